#!/usr/bin/env python3
"""Prints as JSON how long the CUDA driver takes to start here (cuInit) and to create its context, in milliseconds."""
import ctypes
import json
import sys
import time


def main() -> None:
    cuda = ctypes.CDLL("libcuda.so.1")
    context = ctypes.c_void_p()
    times = {}
    for name, call in (("init_ms", lambda: cuda.cuInit(0)),
                       ("context_ms", lambda: cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))):  # fmt: skip
        start = time.perf_counter()
        code = call()
        if code != 0:
            sys.exit(f"The CUDA driver answers {name[:-3]} with error {code}.")
        times[name] = round((time.perf_counter() - start) * 1000, 1)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
