"""How the program was linked and compiled, read from it with binutils' readelf."""

import shutil
import subprocess
import unittest

from harness import BINARY, CliTest, main


def readelf(*options):
    done = subprocess.run(["readelf", "-W", *options, BINARY], check=True, capture_output=True,
                          encoding="utf-8", env={"LC_ALL": "C"})
    return done.stdout


@unittest.skipUnless(shutil.which("readelf", path="/usr/bin:/usr/local/bin"),
                     "readelf is not installed")
class Hardening(CliTest):
    def setUp(self):
        self.segments = {words[0]: words for words in map(str.split, readelf("-l").splitlines())
                         if words}
        if "__asan_init" in readelf("--dyn-syms") or "__tsan_init" in readelf("--dyn-syms"):
            self.skipTest("built with a sanitizer")

    def test_it_may_be_anywhere_in_memory(self):
        self.assertIn("Type:                              DYN", readelf("-h"))

    def test_what_the_loader_wrote_is_read_only(self):
        self.assertIn("GNU_RELRO", self.segments)
        if "INTERP" in self.segments:  # the static program binds nothing
            self.assertRegex(readelf("-d"), r"\((FLAGS_1|FLAGS|BIND_NOW)\).*NOW")

    def test_no_memory_is_writable_and_executable(self):
        flags = " ".join(self.segments["GNU_STACK"][6:-1])
        self.assertEqual(flags, "RW")

    def test_functions_check_their_buffers(self):
        if "INTERP" not in self.segments:
            self.skipTest("a static program names no functions")
        names = readelf("--dyn-syms")
        self.assertIn("__stack_chk_fail@", names)
        self.assertRegex(names, r"__(memcpy|read|snprintf|vsnprintf|fprintf)_chk@")


if __name__ == "__main__":
    main()
