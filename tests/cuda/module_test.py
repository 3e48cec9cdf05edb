"""Checks of the built libaira_cuda.so, without a GPU: no kernel spills registers, none is missing, and there is
machine code for each architecture that was asked for and PTX for the newest.

usage: module_test.py spills|code|ptx ARCHITECTURE --module FILE --logs FOLDER --kernels FOLDER
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import module


def check_spills(args: argparse.Namespace) -> list[str]:
    wanted = [name for file in sorted(args.kernels.glob("*.cu")) for name in module.kernel_names(file.read_text())]
    if not wanted:
        return [f"there are no kernels in {args.kernels}"]
    kernels = module.read_logs(args.logs).get(args.architecture, {})
    print(f"sm_{args.architecture}: {len(kernels)} kernels from {len(wanted)} templates and functions")
    return module.complaints(kernels, wanted)


def check_code(args: argparse.Namespace) -> list[str]:
    code, ptx = module.architectures(module.section(args.module.read_bytes(), ".nv_fatbin"))
    print(f"machine code: {sorted(code)}, PTX: {sorted(ptx)}")
    found = ptx if args.check == "ptx" else code
    wrong = [] if args.architecture in found else [f"no {args.check} for {args.architecture} in every fat binary"]
    cuobjdump = shutil.which("cuobjdump", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
    if cuobjdump:
        option = "--list-ptx" if args.check == "ptx" else "--list-elf"
        listed = subprocess.run([cuobjdump, option, args.module], check=True, capture_output=True, text=True).stdout
        seen = {int(number) for number in re.findall(r"sm_(\d+)", listed)}
        if seen != found:
            wrong.append(f"cuobjdump finds {sorted(seen)}, this test {sorted(found)}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("check", choices=("spills", "code", "ptx"))
    parser.add_argument("architecture", type=int)
    parser.add_argument("--module", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--kernels", type=Path, required=True)
    args = parser.parse_args()
    wrong = check_spills(args) if args.check == "spills" else check_code(args)
    for sentence in wrong:
        print(f"FAILED: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
