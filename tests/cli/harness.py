"""What the black-box tests of aira-cli share: the binary under test, tiny models, a terminal.

ctest runs each test case as a process of its own:  python3 X_test.py CLASS.test_name
The environment variable AIRA_CLI names the binary; without it, build/aira-cli is taken.
"""

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import tiny_model

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("AIRA_CLI", os.path.join(ROOT, "build", "aira-cli"))
PATIENCE = 120  # seconds until a hang is called a hang
_scratch = tempfile.TemporaryDirectory(prefix="aira-cli-test-")
_models = {}


def scratch(name):
    """A path in this process's own folder, which goes when the process ends."""
    return os.path.join(_scratch.name, name)


def model(**how):
    """The folder of a tiny model; the same arguments give the same model."""
    key = json.dumps(how, sort_keys=True)
    if key not in _models:
        _models[key] = tiny_model.write(scratch(f"model{len(_models)}"), **how)
    return _models[key]


def slow_model():
    """A model that takes seconds for its longest answer, so that it can be stopped midway."""
    return model(layers=4, width=256, heads=4, context=8192)


def environment(**more):
    """The caller's environment without what would choose a model or a colour."""
    ours = ("AIRA_", "HF_", "HUGGINGFACE_", "XDG_", "NO_COLOR")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    env.update(HOME=_scratch.name, LC_ALL="C.UTF-8", TERM="xterm")
    env.update(more)
    return env


def _own_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # a background job ignores the first, nohup the last


def start(*args, env=None, prepare=lambda: None, **how):
    """aira-cli ARGS as a Popen; pipes unless `how` says otherwise."""

    def before_exec():
        _own_signals()
        prepare()

    for stream in ("stdin", "stdout", "stderr"):
        how.setdefault(stream, subprocess.PIPE)
    return subprocess.Popen([BINARY, *args], env=env or environment(), preexec_fn=before_exec, **how)


def run(*args, stdin=b"", env=None, **how):
    """Runs aira-cli ARGS to its end; gives (exit code, stdout, stderr as text)."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    process = start(*args, env=env, **how)
    out, err = process.communicate(stdin, timeout=PATIENCE)
    return process.returncode, out, (err or b"").decode()


def processor_time(process):
    """Milliseconds that all threads of a Popen have been running."""
    tasks = f"/proc/{process.pid}/task"
    spent = 0
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/schedstat") as file:
            spent += int(file.read().split()[0])
    return spent / 1e6


class CliTest(unittest.TestCase):
    def rests(self, process):
        """Checks that a program that waits for input uses no processor time: a spinning thread would
        take a large part of half a second, however busy the machine is."""
        time.sleep(0.2)  # the work is not quite over when its result is printed
        before = processor_time(process)
        time.sleep(0.5)
        self.assertLess(processor_time(process) - before, 10)

    def succeed(self, *args, **how):
        """The stdout of a run that must end with 0."""
        code, out, err = run(*args, **how)
        self.assertEqual((code, err), (0, err), f"stderr: {err}")
        return out

    def fail_with(self, expected_code, *args, **how):
        """The stderr of a run that must end with that code, one sentence and nothing on stdout."""
        code, out, err = run(*args, **how)
        self.assertEqual(code, expected_code, err)
        self.assertEqual(out, b"")
        self.assertRegex(err, r"\A(aira-cli: using [^\n]*\n)?aira-cli: error: [^\n]*\.\n"
                         + (r"try 'aira-cli --help'\n\Z" if expected_code == 2 else r"\Z"))
        return err

    def json_lines(self, *args, stdin, code=0):
        """The objects that a run with JSON lines printed."""
        got, out, err = run(*args, stdin=stdin)
        self.assertEqual(got, code, err)
        return [json.loads(line) for line in out.decode().splitlines()]


class Terminal:
    """aira-cli (or another program) in a pseudo-terminal; `screen` is all that it wrote, less colours
    and cursor moves."""

    def __init__(self, *args, env=None, program=(BINARY,), size=None, **how):
        """`size`: rows and columns from the beginning."""
        import fcntl
        import termios
        master, slave = pty.openpty()
        self.master = master
        self.modes = termios.tcgetattr(master)[3]  # before the program changes them
        if size:
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        streams = {name: how.get(name, slave) for name in ("stdin", "stdout", "stderr")}

        def session():
            _own_signals()
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)  # Ctrl-C reaches who has this terminal

        self.process = subprocess.Popen([*program, *args], env=env or environment(),
                                        preexec_fn=session, **streams)
        os.close(slave)
        self.raw = b""

    @property
    def screen(self):
        text = self.raw.decode(errors="replace").replace("\r", "")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", text)

    def _read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.raw += data
        return bool(data)

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, text, times=1):
        """Reads until the screen has `text` at least so many times."""
        end = time.monotonic() + PATIENCE
        while self.screen.count(text) < times:
            if time.monotonic() > end or self.process.poll() is not None and not self._read(0.2):
                raise AssertionError(f"no {text!r} (x{times}) on the screen:\n{self.screen}")
            self._read(0.2)

    def end(self):
        """Waits for the program's end; its exit code."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.05)
        while self._read(0):
            pass
        code = self.process.wait(timeout=1)
        os.close(self.master)
        return code


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=0)
