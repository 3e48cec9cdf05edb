"""What a run does when one of its calls fails, comes short or comes late: scenarios, each judged by
rules that hold whatever the fault is. tests/faults makes the faults.

    python3 faults.py SCENARIO                how often it calls what
    python3 faults.py SCENARIO CALL:N:HOW     one fault, its outcome shown
    python3 faults.py SCENARIO MOST [kills]   MOST of each kind; 0: all
"""

import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import BINARY, environment, model, run, scratch, start

SHIM = os.environ.get("AIRA_FAULTS", os.path.join(os.path.dirname(BINARY), "tests", "libfaults.so"))
HANG = 20  # seconds; a server that has no memory at all notices after 15
WITH_SHIM = unittest.skipUnless(os.path.exists(SHIM), "sanitizers and static programs have no shim")

MEMORY = ("ENOMEM",)
DISK = ("ENOSPC", "EDQUOT", "EIO")
# How each call may go wrong; with + it does so from then on.
FAULTS = {
    "accept": ("EMFILE", "ECONNABORTED"),
    "bind": ("EADDRINUSE",),
    "calloc": ("ENOMEM", "ENOMEM+"),
    "clock_gettime": ("jump+",),
    "close": ("EIO", "EINTR"),
    "connect": ("ECONNREFUSED", "ETIMEDOUT", "ECONNREFUSED+"),
    "dup": ("EMFILE",),
    "epoll_ctl": ("ENOMEM",),
    "epoll_wait": ("EINTR",),
    "eventfd": ("EMFILE", "EMFILE+"),
    "fallocate": ("ENOSPC", "EOPNOTSUPP", "EINTR"),
    "fdatasync": DISK,
    "flock": ("ENOLCK", "EINTR", "ENOLCK+"),
    "fopen": ("EMFILE", "EACCES", "EMFILE+"),
    "fstat": ("EIO", "EIO+"),
    "fsync": DISK,
    "ftruncate": ("EIO",),
    "listen": ("EADDRINUSE",),
    "lseek": ("EIO",),
    "lstat": ("EACCES", "EIO+"),
    "malloc": ("ENOMEM", "ENOMEM+"),
    "memalign": ("ENOMEM", "ENOMEM+"),
    "mkdir": ("EROFS", "EDQUOT", "EROFS+"),
    "mmap": ("ENOMEM", "ENOMEM+"),
    "mremap": MEMORY,
    "open": ("EMFILE", "EROFS", "EMFILE+"),
    "opendir": ("EMFILE",),
    "poll": ("EINTR", "ENOMEM"),
    "pread": ("EIO", "EINTR", "short", "short+"),
    "pthread_create": ("EAGAIN", "EAGAIN+"),
    "pwrite": ("ENOSPC", "EDQUOT", "EINTR", "short", "short+", "ENOSPC+"),
    "read": ("EIO", "EINTR", "short", "short+", "EIO+"),
    "realloc": ("ENOMEM", "ENOMEM+"),
    "recv": ("ECONNRESET", "EINTR", "short+"),
    "recvmsg": ("ECONNRESET", "EINTR", "short+"),
    "rename": ("EROFS", "ENOSPC", "EIO+"),
    "send": ("EPIPE", "EINTR", "short+"),
    "sendmsg": ("EPIPE", "EINTR", "short+"),
    "socket": ("EMFILE", "EMFILE+"),
    "stat": ("EIO", "EACCES+"),
    "symlink": ("EPERM",),
    "unlink": ("EROFS", "EROFS+"),
    "write": ("EIO", "ENOSPC", "EINTR", "short", "short+", "ENOSPC+"),
}
# What changes files; killed before it, or in the middle of it.
KILLED = ("kill", "torn+")
KILLS = {call: KILLED if call in ("write", "pwrite") else ("kill",) for call in (
    "close", "fallocate", "fdatasync", "flock", "fsync", "ftruncate", "mkdir", "open", "pwrite",
    "rename", "symlink", "unlink", "write")}
HOURS = 5 * 3600


def variables(fault):
    """The environment that makes the shim cause it: (call, n, how)."""
    call, number, how = fault
    name = how.rstrip("+-")
    code = str(getattr(errno, name, name)) + ("+" if how.endswith("+") else "")
    delay = -HOURS if "-" in how else HOURS
    return {"LD_PRELOAD": SHIM, "FAULT": f"{call}:{number}:{code}", "FAULT_DELAY": str(delay)}


def ways(call):
    both = {"jump+": ("jump+", "jump-+")}
    return [way for how in FAULTS.get(call, ()) for way in both.get(how, (how,))]


class Wrong(Exception):
    """What must not come of a fault."""


def sentence_in(err, fault):
    """Checks that stderr has one sentence that says what failed."""
    found = re.findall(r"^aira-cli: error: (?:\[E\d+\] )?[^\n]*\.$", err, re.M)
    if len(found) == 1 and err.count("aira-cli: error:") == 1:
        return
    if not found and fault[0] == "write":
        return  # nor could it be written
    raise Wrong(f"not one sentence on stderr: {err[-300:]!r}")


class Scenario:
    """Something that is asked of the program. `prepare` makes a folder ready for it; `ask` runs it there
    and gives (exit code, stdout, stderr); `judge` raises Wrong; `follow` looks at what was left behind."""

    name = ""

    def __init__(self):
        self.lock = threading.Lock()
        self.used = 0
        folder = self.fresh()
        counts = os.path.join(folder, "counts")
        code, self.right, err = self.ask(folder, LD_PRELOAD=SHIM, FAULT_COUNTS=counts)
        if code != self.code:
            raise AssertionError((code, err))
        with open(counts) as file:
            self.counts = {call: int(count) for call, count in map(str.split, file)}
        shutil.rmtree(folder)

    code = 0  # without a fault

    def fresh(self):
        with self.lock:
            self.used += 1
            folder = scratch(f"{self.name}-{self.used}")
        os.makedirs(folder)
        self.prepare(folder)
        return folder

    def prepare(self, folder):
        pass

    def env(self, folder, **more):
        return environment(HOME=folder, AIRA_CACHE=os.path.join(folder, "cache"), **more)

    def talk(self, args, stdin, env):
        """A run to its end; a hang is wrong."""
        process = start(*args, env=env)
        try:
            out, err = process.communicate(stdin, timeout=HANG)
        except subprocess.TimeoutExpired as expired:
            process.kill()
            process.communicate()
            raise Wrong("it hangs") from expired
        return process.returncode, out, err.decode(errors="replace")

    def ask(self, folder, **more):
        raise NotImplementedError

    def judge(self, fault, code, out, err):
        if code not in (0, 1):
            raise Wrong(f"exit code {code}: {err[-300:]!r}")
        if code == 0 and out != self.right:
            raise Wrong(f"0, but {out[-200:]!r}")
        if code == 1:
            sentence_in(err, fault)
            if not self.right.startswith(out.rstrip(b"\n")):
                raise Wrong(f"no beginning of the answer: {out[-200:]!r}")

    def again(self, folder):
        return self.ask(folder)

    def follow(self, folder, fault):
        """A clean run from what was left gives the right answer, and leaves nothing unfinished."""
        code, out, err = self.again(folder)
        if (code, out) != (self.code, self.right):
            raise Wrong(f"afterwards {code}, {out[-200:]!r}, {err[-200:]!r}")
        left = [name for _, _, names in os.walk(folder) for name in names
                if name.endswith((".unfinished", ".incomplete"))
                and not (fault[2] in KILLED and name.startswith(("tag.", "ref.")))]  # a few bytes
        if left and fault[0] != "clock_gettime":  # what seemed to take hours is not tried again
            raise Wrong(f"left behind: {left}")

    def attempt(self, fault):
        """None, or what was wrong."""
        folder = self.fresh()
        try:
            outcome = self.ask(folder, **variables(fault))
            if fault[2] not in KILLED:
                self.judge(fault, *outcome)
            self.follow(folder, fault)
        except Wrong as wrong:
            return f"{self.name} {fault[0]}:{fault[1]}:{fault[2]}: {wrong}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def faults(self, most=None, kills=False):
        """All of them, or of each call and way at most so many, spread evenly."""
        for call, count in self.counts.items():
            count += count // 50  # threads make it vary
            for how in KILLS.get(call, ()) if kills else ways(call):
                tries = count if most is None else min(count, most)
                for i in range(tries):
                    yield call, 1 + int((i + 0.5) * count / tries), how


class OneShot(Scenario):
    """A question; converted weights are written beside it."""

    name = "one-shot"

    def ask(self, folder, **more):
        args = ("-m", model(), "-t", "2", "--greedy", "--max-new-tokens", "5", "oi")
        return self.talk(args, None, self.env(folder, **more))


class BuiltIn(Scenario):
    name = "built-in"

    def ask(self, folder, **more):
        args = ("-t", "2", "-q", "--greedy", "Qual a capital do Brasil?")
        return self.talk(args, None, self.env(folder, **more))

    def follow(self, folder, fault):
        pass  # it keeps nothing


def matrix(scenario, most=None, kills=False, workers=2):
    """Tries the faults; gives how many, by call, and what was wrong."""
    tried, wrong = {}, []
    faults = list(scenario.faults(most, kills))
    with ThreadPoolExecutor(workers) as pool:
        for fault, problem in zip(faults, pool.map(scenario.attempt, faults)):
            tried[fault[0]] = tried.get(fault[0], 0) + 1
            if problem:
                wrong.append(problem)
    return tried, wrong


def main():
    import faults_lines as lines
    import faults_talks as talks
    every = (OneShot, BuiltIn, lines.Pipe, lines.JsonLines, lines.File, talks.Chat, talks.Pull, talks.Serve)
    [scenario] = [one() for one in every if one.name == sys.argv[1]]
    if len(sys.argv) == 2:
        print({call: count for call, count in scenario.counts.items() if count})
        return
    if sys.argv[2].isdigit():
        tried, wrong = matrix(scenario, int(sys.argv[2]) or None, sys.argv[3:] == ["kills"])
        print("\n".join(wrong))
        print(tried, sum(tried.values()), "tried,", len(wrong), "wrong")
        return
    call, number, how = sys.argv[2].split(":")
    folder = scenario.fresh()
    try:
        print(*scenario.ask(folder, **variables((call, int(number), how))), sep="\n")
    except Wrong as wrong:
        print(wrong)
    print(scenario.attempt((call, int(number), how)) or "right")


if __name__ == "__main__":
    sys.modules["faults"] = sys.modules["__main__"]  # which the others import
    main()
