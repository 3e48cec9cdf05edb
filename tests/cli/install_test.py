"""What `cmake --install` puts where, and that it works there."""

import glob
import gzip
import os
import shutil
import subprocess
import unittest

from harness import BINARY, ROOT, CliTest, environment, main, scratch

BUILD = os.path.dirname(os.path.abspath(BINARY))
EXAMPLE = os.path.join(ROOT, "tools", "package", "example")
MODEL = os.path.join(ROOT, "tools", "mini", "model")
QUESTION, ANSWER = "Qual é a capital do Brasil?", "A capital do Brasil é Brasília.\n"


def command(*words, **how):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def files_below(folder):
    return sorted(os.path.relpath(path, folder) for path in glob.glob(f"{folder}/**", recursive=True)
                  if os.path.isfile(path))


@unittest.skipUnless(shutil.which("cmake") and os.path.exists(f"{BUILD}/cmake_install.cmake"),
                     "the program's build folder or cmake is not there")
class Install(CliTest):
    def install(self, component, name="prefix", env=None):
        prefix = scratch(name)
        command("cmake", "--install", BUILD, "--prefix", prefix, "--component", component, env=env)
        return prefix

    def test_the_program_with_completions_and_manual(self):
        prefix = self.install("runtime", "a prefix")
        files = files_below(prefix)
        self.assertIn("bin/aira-cli", files)
        self.assertIn("share/bash-completion/completions/aira-cli", files)
        self.assertIn("share/fish/vendor_completions.d/aira-cli.fish", files)
        self.assertTrue(any(path.endswith("/_aira-cli") and "/zsh/" in path for path in files), files)
        self.assertIn("share/doc/aira-cli/copyright", files)
        self.assertFalse([path for path in files if path.startswith(("include", "lib"))])
        for page in (path for path in files if path.endswith("aira-cli.1.gz")):
            with gzip.open(f"{prefix}/{page}", "rt", encoding="utf-8") as file:
                self.assertTrue(file.read().startswith(".TH AIRA\\-CLI 1"))
        self.assertEqual(command(f"{prefix}/bin/aira-cli", QUESTION, env=environment()), ANSWER)

    def test_a_staging_folder(self):
        self.install("runtime", "usr", env=environment(DESTDIR=scratch("stage")))
        self.assertTrue(os.path.exists(scratch("stage") + scratch("usr/bin/aira-cli")))
        self.assertFalse(os.path.exists(scratch("usr")))

    def test_the_module_is_looked_for_where_it_would_be_installed(self):
        prefix = self.install("runtime", "moved")
        self.assertIn("CUDA module: none\n", command(f"{prefix}/bin/aira-cli", "version", env=environment()))
        with open(f"{BUILD}/CMakeCache.txt", encoding="utf-8") as file:
            libdir = next(line.split("=")[1].strip() for line in file if line.startswith("CMAKE_INSTALL_LIBDIR:"))
        module = f"{prefix}/{libdir}/aira-cli/libaira_cuda.so"
        os.makedirs(os.path.dirname(module))
        open(module, "w").close()
        for program in (f"{prefix}/bin/aira-cli", scratch("a link")):
            if not os.path.exists(program):
                os.symlink(f"{prefix}/bin/aira-cli", program)
            self.assertIn(f"CUDA module: {module}\n", command(program, "version", env=environment()))

    def test_the_library_for_cmake_and_pkg_config(self):
        with open(f"{BUILD}/CMakeCache.txt", encoding="utf-8") as file:
            if any(line.startswith(("AIRA_SANITIZE:BOOL=ON", "AIRA_TSAN:BOOL=ON", "AIRA_STATIC:BOOL=ON"))
                   for line in file):
                self.skipTest("a library with a sanitizer or for static programs needs more flags")
        prefix = self.install("dev")
        compiler = os.environ.get("CXX", "c++")
        for header in os.listdir(f"{prefix}/include/aira"):
            command(compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++",
                    "-I", f"{prefix}/include", "-include", f"aira/{header}", "/dev/null")
        folder = scratch("by-cmake")
        command("cmake", "-S", EXAMPLE, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
        command("cmake", "--build", folder)
        self.assertEqual(command(f"{folder}/example", MODEL, QUESTION, env=environment()), ANSWER)
        failed = subprocess.run([f"{folder}/example", "no such folder", "x"], capture_output=True, text=True,
                                check=False)
        self.assertEqual((failed.returncode, failed.stdout), (1, ""))
        self.assertIn("no such folder", failed.stderr)

        configs = glob.glob(f"{prefix}/lib*/**/pkgconfig", recursive=True)
        env = dict(os.environ, PKG_CONFIG_PATH=":".join(configs))
        flags = command("pkg-config", "--cflags", "--libs", "aira", env=env).split()
        program = scratch("by-pkg-config")
        command(compiler, "-std=c++20", f"{EXAMPLE}/main.cc", *flags, "-o", program)
        self.assertEqual(command(program, MODEL, QUESTION, env=environment()), ANSWER)


if __name__ == "__main__":
    main()
