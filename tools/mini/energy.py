# SPDX-License-Identifier: Apache-2.0
"""Energy used between two moments, where the machine tells: RAPL on CPUs, NVML on NVIDIA GPUs."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class RaplZone:
    """One processor package; its counter counts microjoules and wraps around."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = int(self._counter.read_text())
        self.joules = 0.0

    def update(self) -> None:
        now = int(self._counter.read_text())
        self.joules += ((now - self._last) % (self._range + 1)) / 1e6
        self._last = now


class NvmlGpu:
    """The first GPU; its counter counts millijoules since the driver was loaded."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libnvidia-ml.so.1")
        if self._lib.nvmlInit_v2() != 0:
            raise OSError("NVML did not start")
        self._device = ctypes.c_void_p()
        if self._lib.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self._device)) != 0:
            raise OSError("NVML lists no GPU")
        self._first = self._read()
        self.joules = 0.0

    def _read(self) -> int:
        value = ctypes.c_ulonglong()
        if self._lib.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(value)) != 0:
            raise OSError("this GPU does not count energy")
        return value.value

    def update(self) -> None:
        self.joules = (self._read() - self._first) / 1e3


class EnergyMeter:
    """Sums all meters found; call `update` at least once a minute, as RAPL counters wrap."""

    def __init__(self) -> None:
        self._meters: list[tuple[str, RaplZone | NvmlGpu]] = []
        # intel-rapl:0 is a package; intel-rapl:0:1 is a part of it and would count twice.
        for folder in sorted(POWERCAP.glob("intel-rapl:*")):
            if folder.name.count(":") == 1:
                try:
                    self._meters.append(("CPU", RaplZone(folder)))
                except (OSError, ValueError):
                    continue
        with contextlib.suppress(OSError, AttributeError):
            self._meters.append(("GPU", NvmlGpu()))

    def update(self) -> None:
        for _, meter in self._meters:
            meter.update()

    def report(self) -> str:
        """One sentence on the energy used since this meter was made."""
        if not self._meters:
            return "energy: cannot be told (no readable RAPL counter, no GPU energy counter)"
        self.update()
        parts = [f"{name} {meter.joules / 3600:.2f} Wh" for name, meter in self._meters]
        return "energy: " + ", ".join(parts) + " (whole device, all its processes)"
