"""Pulls that are broken off, and several at once."""

import os
import random
import shutil
import signal
import subprocess
import time

from harness import main, scratch, start
from hub_server import etag_of
from pull_case import PullTest, bulky


class Interrupted(PullTest):
    """Broken off, and gone on with."""

    def sent(self, files):
        """Bytes of the weights that were sent."""
        return sum(one.sent for one in self.hub.requests("GET", etag_of("model.safetensors",
                                                                        files["model.safetensors"])))

    def begin(self, files, least=600_000):
        """A pull that has fetched a part of the weights."""
        self.hub.add("org/name", files)
        self.hub.pause = 0.02
        process = start("pull", "org/name", env=self.env())
        while self.sent(files) < least:
            time.sleep(0.01)
            self.assertIsNone(process.poll())
        return process

    def test_ctrl_c(self):
        files = bulky()
        process = self.begin(files)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertIn("what was fetched is kept", err.decode())
        self.assertFalse(os.path.exists(os.path.join(self.folder(), "refs", "main")))
        self.hub.pause = 0
        self.hub.log.clear()
        out = self.pull("org/name", "--dry-run")
        self.assertRegex(out, r"\n +3\.0 MB  model\.safetensors  \(\d\.\d MB to fetch\)\n")
        self.pull("org/name")
        self.holds(files)
        [large] = self.hub.requests("GET", etag_of("model.safetensors", files["model.safetensors"]))
        self.assertRegex(large.headers["range"], r"\Abytes=\d{6,}-\Z")
        self.assertLess(self.sent(files), 2_500_000)

    def killed(self, times, seed):
        """kill -9 at random moments, then a pull: right bytes, and it fetches what was missing."""
        files = {**bulky(), "generation_config.json": b"{}", "special_tokens_map.json": b"{ }"}
        commit = self.hub.add("org/name", files)
        names = {etag_of(*file): file[0] for file in files.items()}
        dice = random.Random(seed)
        moments = set()
        for _ in range(times):
            self.hub.pause = 0.002
            shutil.rmtree(self.cache, ignore_errors=True)
            for _ in range(dice.choice((1, 1, 2))):
                process = start("pull", "org/name", env=self.env())
                time.sleep(dice.uniform(0.02, 0.35))
                process.kill()
                process.communicate()
            finished, here = set(), {name: 0 for name in files}
            for place, _, found in os.walk(self.folder()):
                for name in found:
                    if place.endswith(commit) and "snapshots" in place:
                        finished.add(name)
                    elif place.endswith("blobs"):
                        name, path = names.get(name.split(".")[0]), os.path.join(place, name)
                        if name and not os.path.islink(path):
                            here[name] = max(here[name], os.path.getsize(path))
            moments.add((len(finished), here["model.safetensors"] > 0))
            self.hub.pause = 0
            self.hub.log.clear()
            self.pull("org/name")
            self.holds(files)
            for one in self.hub.log:
                self.assertNotIn(one.path.split("/")[-1], finished)
            self.assertEqual(self.sent(files), len(files["model.safetensors"]) - here["model.safetensors"])
        self.assertGreater(len(moments), 2)

    def test_kill_9(self):
        self.killed(12, 1)

    def test_kill_9_slow(self):
        self.killed(100, 2)

    def test_a_whole_file_that_has_not_its_name_yet(self):
        files = bulky()
        self.hub.add("org/name", files)
        etag = etag_of("model.safetensors", files["model.safetensors"])
        for name in (etag + ".incomplete", etag + ".0a1b2c3d.incomplete"):  # as huggingface_hub has them
            shutil.rmtree(self.cache, ignore_errors=True)
            os.makedirs(os.path.join(self.folder(), "blobs"))
            with open(os.path.join(self.folder(), "blobs", name), "wb") as file:
                file.write(files["model.safetensors"])
            self.pull("org/name")
            self.holds(files)
            self.assertEqual(self.sent(files), 0)

    def test_leftovers_that_are_wrong(self):
        files = bulky()
        self.hub.add("org/name", files)
        etag = etag_of("model.safetensors", files["model.safetensors"])
        for content in (b"wrong" * 1000, files["model.safetensors"] + b"more", b""):
            shutil.rmtree(self.cache, ignore_errors=True)
            os.makedirs(os.path.join(self.folder(), "blobs"))
            with open(os.path.join(self.folder(), "blobs", etag + ".x.incomplete"), "wb") as file:
                file.write(content)
            self.pull("org/name")
            self.holds(files)

    def test_servers_that_know_no_range(self):
        """200 with everything, 416, or bytes from another place: from the beginning."""
        files = bulky(400_003)
        content = files["model.safetensors"]
        self.hub.add("org/name", files)
        answers = (lambda at: at.send(200, {}, content),
                   lambda at: at.send(416) if "Range" in at.headers else at.send(200, {}, content),
                   lambda at: at.send(206, {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"},
                                      content) if "Range" in at.headers else at.send(200, {}, content))
        for answer in answers:
            shutil.rmtree(self.cache, ignore_errors=True)
            os.makedirs(os.path.join(self.folder(), "blobs"))
            with open(os.path.join(self.folder(), "blobs", etag_of("model.safetensors", content)
                                   + ".x.incomplete"), "wb") as file:
                file.write(content[:100_000])
            self.hub.faults["large"] = lambda at: answer(at) or True  # noqa: B023
            self.pull("org/name")
            self.holds(files)

    def test_connections_that_break_off(self):
        """The body is cut after a while, again and again; each time it goes on from there."""
        files = bulky(500_009)
        content = files["model.safetensors"]
        self.hub.add("org/name", files)

        def cut(at):
            first = int(at.headers.get("Range", "bytes=0-")[6:-1])
            at.send(206 if first else 200, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"},
                    content[first:first + 100_000], len(content) - first)
            return True

        self.hub.faults["large"] = cut
        self.pull("org/name")
        self.holds(files)
        self.assertEqual(self.sent(files), len(content))
        self.assertEqual(len(self.hub.requests("GET", etag_of("model.safetensors", content))), 6)

    def test_a_connection_that_breaks_off_for_good(self):
        files = bulky(500_009)
        content = files["model.safetensors"]
        self.hub.add("org/name", files)
        self.hub.faults["revision"] = lambda at: at.cut() or True
        self.fails("cannot be reached (Empty reply")

        def cut(at):
            if "Range" in at.headers:
                at.refuse(502)
            else:
                at.send(200, {}, content[:100_000], len(content))
            return True

        self.hub.faults = {"head": lambda at: at.cut() or True}
        self.fails("was lost; what was fetched is kept")
        self.hub.faults = {"large": cut}
        self.hub.log.clear()
        self.fails("HTTP status 502")
        self.assertEqual(len([one for one in self.hub.log if one.status == 502]), 4)
        self.hub.faults.clear()
        self.hub.log.clear()
        self.pull("org/name")
        self.holds(files)
        self.assertEqual(self.sent(files), 400_009)


class Together(PullTest):
    def test_two_at_once(self):
        files = bulky()
        self.hub.add("org/name", files)
        self.hub.pause = 0.01
        processes = [start("pull", "org/name", env=self.env()) for _ in range(2)]
        said = [process.communicate(timeout=60) for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0], said)
        self.holds(files)
        sent = sum(one.sent for one in self.hub.requests("GET", etag_of("model.safetensors",
                                                                        files["model.safetensors"])))
        self.assertEqual(sent, 3_000_017)
        self.assertTrue(any(b"another program is fetching" in err for _, err in said), said)

    def test_one_that_waits_takes_over(self):
        files = bulky()
        self.hub.add("org/name", files)
        self.hub.pause = 0.03
        first = start("pull", "org/name", env=self.env())
        while not self.hub.requests("GET", etag_of("model.safetensors", files["model.safetensors"])):
            time.sleep(0.02)
        second = start("pull", "org/name", env=self.env())
        line = b""
        while b"waiting" not in line:
            line = second.stderr.readline()
        first.kill()
        first.communicate()
        self.hub.pause = 0
        self.assertEqual(second.communicate(timeout=60)[0].decode(), self.snapshot() + "\n")
        self.holds(files)

    def three_at_once(self, files, **variables):
        """Names of their own keep the files right; what is lost is that each fetches for itself."""
        shutil.rmtree(self.folder(), ignore_errors=True)
        processes = [start("pull", "org/name", env=self.env(**variables)) for _ in range(3)]
        said = [process.communicate(timeout=60) for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0, 0], said)
        self.holds(files)

    def test_without_locks(self):
        files = bulky(1_000_003)
        self.hub.add("org/name", files)
        self.hub.pause = 0.01
        os.makedirs(self.cache)
        with open(os.path.join(self.cache, ".locks"), "w"):
            pass  # a file where the folder of locks would be
        self.three_at_once(files)

    def test_file_systems_whose_locks_do_not_work(self):
        """They give a lock to all, or to nobody."""
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler to imitate them with")
        files = bulky(1_000_003)
        self.hub.add("org/name", files)
        self.hub.pause = 0.01
        for name, body in (("all", "return 0;"), ("none", "errno = ENOLCK; return -1;")):
            library = scratch(name + ".so")
            subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], check=True, input=(
                "#include <errno.h>\nint flock(int file, int how) { (void)file, (void)how; %s }" % body).encode())
            variables = {"LD_PRELOAD": library,
                         "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
            with self.subTest(name):
                self.three_at_once(files, **variables)
                # What a killed one has left is not taken from one that may be alive.
                shutil.rmtree(self.folder())
                os.makedirs(os.path.join(self.folder(), "blobs"))
                left = os.path.join(self.folder(), "blobs", etag_of(
                    "model.safetensors", files["model.safetensors"]) + ".x.incomplete")
                with open(left, "wb") as file:
                    file.write(files["model.safetensors"][:500_000])
                self.pull("org/name", **variables)
                self.assertEqual(os.path.getsize(left), 500_000)


if __name__ == "__main__":
    main()
