"""What is in libaira_cuda.so: the architectures it has code for, and what ptxas said of its kernels.

The container that nvcc puts into the section .nv_fatbin is not documented by its maker; the layout here is the
one that the public readers of Cricket (RWTH Aachen, cpu-elf2.c) and cuda-fatbin-decompression describe, and was
compared with cuobjdump 13.5's list on this project's module. Only headers are read, so that compressed contents
do not matter.
"""
import re
import struct
from collections import defaultdict
from pathlib import Path

FATBIN_MAGIC = 0xBA55ED50
PTX, MACHINE_CODE = 1, 2


def section(elf: bytes, wanted: str) -> bytes:
    """A section of a 64-bit little-endian ELF file; empty when there is none."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    table, size, count, names = *struct.unpack_from("<Q", elf, 0x28), *struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
    names_at = headers[names][4]
    for name, _, _, _, offset, length in headers:
        end = elf.index(b"\0", names_at + name)
        if elf[names_at + name : end].decode() == wanted:
            return elf[offset : offset + length]
    return b""


def architectures(fatbins: bytes) -> tuple[set[int], set[int]]:
    """The architectures (75, 90, ...) with machine code in every fat binary of a .nv_fatbin section, and with PTX."""
    code, ptx = [], []
    at = 0
    while at + 16 <= len(fatbins):
        magic, _, header, size = struct.unpack_from("<IHHQ", fatbins, at)
        if magic != FATBIN_MAGIC:
            at += 8  # between two of them
            continue
        found: dict[int, set[int]] = {PTX: set(), MACHINE_CODE: set()}
        entry, end = at + header, at + header + size
        while entry + 32 <= end:
            kind, _, entry_header, entry_size = struct.unpack_from("<HHIQ", fatbins, entry)
            if entry_header < 32:
                raise ValueError(f"an entry of the fat binary at byte {entry} has a header of {entry_header} bytes")
            found.setdefault(kind, set()).add(struct.unpack_from("<I", fatbins, entry + 28)[0])
            entry += entry_header + entry_size
        if any(found.values()):
            code.append(found[MACHINE_CODE])
            ptx.append(found[PTX])
        at = end
    return (set.intersection(*code), set.intersection(*ptx)) if code else (set(), set())


def kernel_names(source: str) -> list[str]:
    """The kernels that a .cu file defines."""
    names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(", source)
    if len(names) != source.count("__global__"):
        raise ValueError(f"{source.count('__global__')} __global__ but {len(names)} names: {names}")
    return names


def resources(log: str) -> dict[int, dict[str, tuple[int, int, int]]]:
    """architecture -> mangled kernel -> (stack, spill stores, spill loads) in bytes, from ptxas -v."""
    result: dict[int, dict[str, tuple[int, int, int]]] = defaultdict(dict)
    entry = r"Compiling entry function '(\w+)' for 'sm_(\d+)\w?'"
    numbers = r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    for part in re.split(r"(?=ptxas info\s*: Compiling entry function)", log):
        match = re.search(entry, part)
        if not match:
            continue
        properties = re.search(rf"Function properties for {match[1]}\s+{numbers}", part)
        if not properties:
            raise ValueError(f"ptxas says nothing of the memory of {match[1]}")
        result[int(match[2])][match[1]] = (int(properties[1]), int(properties[2]), int(properties[3]))
    return result


def complaints(kernels: dict[str, tuple[int, int, int]], wanted: list[str]) -> list[str]:
    """What is wrong with one architecture's kernels: spills, or one that is not there."""
    found = [f"{name} spills: {stores} bytes stored, {loads} loaded" for name, (_, stores, loads) in kernels.items()
             if stores or loads]  # fmt: skip
    missing = [name for name in wanted if not any(f"{len(name)}{name}" in mangled for mangled in kernels)]
    return found + [f"{name} was not compiled" for name in missing]


def read_logs(folder: Path) -> dict[int, dict[str, tuple[int, int, int]]]:
    """resources() of all *.cu.o.log below a folder."""
    merged: dict[int, dict[str, tuple[int, int, int]]] = defaultdict(dict)
    for log in sorted(folder.rglob("*.cu.o.log")):
        for architecture, kernels in resources(log.read_text()).items():
            merged[architecture].update(kernels)
    return merged
