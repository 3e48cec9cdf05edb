"""The readers of module.py on small inputs: they must find what module_test.py looks for."""
import struct
import unittest

import module

LOG = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN4aira4cuda1a22layernorm_warp_per_rowE' for 'sm_75'
ptxas info    : Function properties for _ZN4aira4cuda1a22layernorm_warp_per_rowE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 400 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN4aira4cuda1a19embed_block_per_rowE' for 'sm_75'
ptxas info    : Function properties for _ZN4aira4cuda1a19embed_block_per_rowE
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Compiling entry function '_ZN4aira4cuda1a19embed_block_per_rowE' for 'sm_90a'
ptxas info    : Function properties for _ZN4aira4cuda1a19embed_block_per_rowE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
"""


def fatbin(*entries: tuple[int, int]) -> bytes:
    """A fat binary of (kind, architecture), each with 24 bytes of contents."""
    body = b"".join(struct.pack("<HHIQIIHHI", kind, 0x101, 64, 24, 0, 0, 0, 0, arch) + bytes(32 + 24)
                    for kind, arch in entries)  # fmt: skip
    return struct.pack("<IHHQ", module.FATBIN_MAGIC, 1, 16, len(body)) + body


class ModuleReader(unittest.TestCase):
    def test_finds_spills_and_missing_kernels(self):
        found = module.resources(LOG)
        self.assertEqual(sorted(found), [75, 90])
        self.assertEqual(len(found[75]), 2)
        wanted = ["layernorm_warp_per_row", "embed_block_per_row"]
        spilled, *rest = module.complaints(found[75], wanted)
        self.assertIn("12 bytes stored, 8 loaded", spilled)
        self.assertEqual(rest, [])
        self.assertEqual(module.complaints(found[90], wanted), ["layernorm_warp_per_row was not compiled"])

    def test_a_log_without_numbers_is_an_error(self):
        with self.assertRaises(ValueError):
            module.resources(LOG.replace("spill stores", "?"))

    def test_names_kernels(self):
        source = "__global__ void a_b(int x) {}\n__global__ void __launch_bounds__(kWarps * 32)\n    c(Job job) {}"
        self.assertEqual(module.kernel_names(source), ["a_b", "c"])
        with self.assertRaises(ValueError):
            module.kernel_names("static __global__ int odd;")

    def test_lists_what_every_fat_binary_has(self):
        first = fatbin((2, 75), (2, 90), (1, 90))
        self.assertEqual(module.architectures(first), ({75, 90}, {90}))
        both = first + bytes(8) + fatbin((2, 90), (1, 90), (1, 75))
        self.assertEqual(module.architectures(both), ({90}, {90}))
        self.assertEqual(module.architectures(b""), (set(), set()))

    def test_reads_sections(self):
        names = b"\0.nv_fatbin\0.shstrtab\0"
        contents = b"contents"
        table = 64 + len(contents) + len(names)
        header = bytearray(64)
        header[:6] = b"\x7fELF\x02\x01"
        struct.pack_into("<Q", header, 0x28, table)
        struct.pack_into("<HHH", header, 0x3A, 64, 3, 2)
        sections = b"".join(struct.pack("<IIQQQQ", name, 1, 0, 0, at, size) + bytes(24)
                            for name, at, size in ((0, 0, 0), (1, 64, 8), (12, 72, len(names))))  # fmt: skip
        elf = bytes(header) + contents + names + sections
        self.assertEqual(module.section(elf, ".nv_fatbin"), contents)
        self.assertEqual(module.section(elf, ".text"), b"")
        with self.assertRaises(ValueError):
            module.section(b"#!/bin/sh\n", ".text")


if __name__ == "__main__":
    unittest.main()
