"""Packed weights between two runs: made by the first, used by the second, never in the way."""

import json
import os
import random
import shutil
import time

from harness import CliTest, environment, main, model, run, scratch, slow_model, start


class Cache(CliTest):
    def ask(self, folder, *args, **variables):
        """Answer and stderr of a run with --stats whose packed weights go to `folder`."""
        env = environment(XDG_CACHE_HOME=folder, **variables)
        code, out, err = run("-m", model(), "--raw", "--seed", "1", "--stats", "--max-new-tokens", "4",
                             *args, "ol\u00e1", env=env)
        self.assertEqual(code, 0, err)
        return out, err

    def files(self, folder):
        place = os.path.join(folder, "aira")
        return sorted(os.listdir(place)) if os.path.isdir(place) else []

    def test_the_second_start_uses_them(self):
        folder = scratch("cache-used")
        first, err = self.ask(folder)
        self.assertIn("converted", err)
        [name] = [name for name in self.files(folder) if "f16" in name]
        second, err = self.ask(folder)
        self.assertIn("packed", err)
        self.assertNotIn("converted", err)
        self.assertEqual(first, second)
        self.assertEqual(err.count("\n"), 3, err)  # the start, the answer, its energy
        self.ask(folder, "--dtype", "f32")
        self.assertEqual(len([name for name in self.files(folder) if "f32" in name]), 1)
        env = environment(XDG_CACHE_HOME=folder)
        info = json.loads(self.succeed("info", "--json", "-m", model(), env=env))
        self.assertEqual(info["packed_weights"], os.path.join(folder, "aira", name))
        self.assertEqual(info["packed_bytes"], os.path.getsize(info["packed_weights"]))

    def test_without_stats_nothing_is_said(self):
        for _ in range(2):
            env = environment(XDG_CACHE_HOME=scratch("cache-silent"))
            code, _, err = run("-m", model(), "--raw", "a", env=env)
            self.assertEqual((code, err), (0, ""))

    def test_off(self):
        folder = scratch("cache-off")
        for _ in range(2):
            _, err = self.ask(folder, AIRA_CACHE="off")
            self.assertIn("converted", err)
        self.assertEqual(self.files(folder), [])
        env = environment(XDG_CACHE_HOME=folder, AIRA_CACHE="off")
        info = json.loads(self.succeed("info", "--json", "-m", model(), env=env))
        self.assertNotIn("packed_weights", info)

    def test_a_place_of_its_own(self):
        folder = scratch("cache-own")
        self.ask(scratch("cache-not-this"), AIRA_CACHE=folder)
        self.assertTrue(os.listdir(folder))
        self.assertEqual(self.files(scratch("cache-not-this")), [])
        for place in ("kept", "./kept/", "deep/er/kept"):
            at = scratch("cache-relative-" + place.replace("/", ""))
            os.mkdir(at)
            env = environment(AIRA_CACHE=place)
            for word in ("converted", "packed"):
                code, _, err = run("-m", model(), "--raw", "--stats", "a", env=env, cwd=at)
                self.assertEqual((code, word in err, "not kept" in err), (0, True, False), err)

    def test_an_impossible_place_is_one_line_of_stats(self):
        blocked = scratch("cache-blocked")
        with open(blocked, "w", encoding="utf-8") as file:
            file.write("not a folder")
        answer, err = self.ask(blocked)
        self.assertIn("not kept", err)
        self.assertEqual(answer, self.ask(scratch("cache-good"))[0])

    def killed(self, times, seed):
        """kill -9 at random moments; then the right answer, and nothing is left unfinished."""
        ask = ("-m", slow_model(), "--raw", "--seed", "1", "--max-new-tokens", "2", "olá")
        folder = scratch("cache-killed")
        env = environment(AIRA_CACHE=folder)
        begun = time.monotonic()
        expected = self.succeed(*ask, env=env)
        longest = 1.2 * (time.monotonic() - begun)
        dice = random.Random(seed)
        for _ in range(times):
            shutil.rmtree(folder, ignore_errors=True)
            process = start(*ask, env=env)
            time.sleep(dice.uniform(0, longest))
            process.kill()
            process.communicate()
            self.assertEqual(self.succeed(*ask, env=env), expected)
            [name] = os.listdir(folder)
            self.assertTrue(name.endswith(".packed"))
            self.assertEqual(self.succeed(*ask, env=env), expected)

    def test_killed_while_it_is_written(self):
        self.killed(6, 1)

    def test_killed_while_it_is_written_slow(self):
        self.killed(250, 2)

    def test_no_home(self):
        env = environment()
        env.pop("HOME")
        code, _, err = run("-m", model(), "--raw", "a", env=env)
        self.assertEqual((code, err), (0, ""))

    def test_folder_and_files_are_the_users_alone(self):
        folder = scratch("cache-modes")
        self.ask(folder)
        place = os.path.join(folder, "aira")
        modes = {oct(os.stat(os.path.join(place, name)).st_mode & 0o7777) for name in self.files(folder)}
        self.assertEqual((oct(os.stat(place).st_mode & 0o7777), modes), ("0o700", {"0o600"}))

    def test_what_others_can_write_to_is_not_used(self):
        place = scratch("cache-open")
        variables = {"AIRA_CACHE": place}
        expected, _ = self.ask(scratch("unused"), **variables)
        os.chmod(place, 0o777)
        for _ in range(2):
            answer, err = self.ask(scratch("unused"), **variables)
            self.assertEqual(answer, expected)
            self.assertIn("converted", err)
            self.assertEqual(err.count(f"others can write to that folder; chmod go-w {place} ends that."), 1)
        report = json.loads(self.succeed("doctor", "--json", "-m", model(), env=environment(**variables)))
        row = next(row for group in report.values() if isinstance(group, dict)
                   for name, row in group.items() if name == "packed_weights")
        self.assertIn("others can write to that folder", row["advice"])
        os.chmod(place, 0o700)
        self.assertNotIn("converted", self.ask(scratch("unused"), **variables)[1])
        [path] = [os.path.join(place, name) for name in os.listdir(place)]
        os.chmod(path, 0o666)  # who knows what is in it now
        self.assertIn("converted", self.ask(scratch("unused"), **variables)[1])
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        self.assertNotIn("converted", self.ask(scratch("unused"), **variables)[1])

    def running(self, *args, **variables):
        """A process that has answered a line and waits for more, and its answer."""
        process = start("-m", model(), "--raw", "--seed", "1", "--max-new-tokens", "4", *args,
                        env=environment(**variables))
        process.stdin.write(b"a\n")
        process.stdin.flush()
        return process, process.stdout.readline()

    def test_a_file_cut_short_under_a_running_program_is_one_sentence(self):
        place = scratch("cache-cut")
        self.ask(scratch("unused"), AIRA_CACHE=place)
        process, _ = self.running(AIRA_CACHE=place)
        [path] = [os.path.join(place, name) for name in os.listdir(place)]
        os.truncate(path, 4096)
        out, err = process.communicate(b"a\n" * 9)
        self.assertEqual((process.returncode, out), (1, b""))
        self.assertRegex(err.decode(), r"\Aaira-cli: error: \[E545\] [^\n]*\.packed was cut short [^\n]*\.\n\Z")
        answer, err = self.ask(scratch("unused"), AIRA_CACHE=place)
        self.assertIn("converted", err)

    def test_the_model_may_be_cut_short_or_replaced_once_it_is_loaded(self):
        copy = shutil.copytree(model(), scratch("model-cut"))
        path = os.path.join(copy, "model.safetensors")
        with open(path, "rb") as file:
            content = file.read()
        for change in ("truncate", "overwrite", "replace"):
            with open(path, "wb") as file:
                file.write(content)
            process, first = self.running("-m", copy, AIRA_CACHE="off")
            if change == "truncate":
                os.truncate(path, 4096)
            elif change == "overwrite":
                with open(path, "r+b") as file:
                    file.write(os.urandom(len(content)))
            else:
                with open(path + ".new", "wb") as file:
                    file.write(b"something else")
                os.rename(path + ".new", path)
            out, err = process.communicate(b"a\n" * 3)
            self.assertEqual((process.returncode, out, err), (0, first * 3, b""), change)

    def test_damage_and_changes_are_repaired(self):
        folder = scratch("cache-damaged")
        copy = shutil.copytree(model(), scratch("cache-model"))
        first, _ = self.ask(folder, "-m", copy)
        [name] = [name for name in self.files(folder) if "f16" in name]
        path = os.path.join(folder, "aira", name)
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            good = file.read()
        for content in (b"", b"x" * size, good[:size // 2] + bytes(size - size // 2)):
            with open(path, "wb") as file:
                file.write(content)
            again, err = self.ask(folder, "-m", copy)
            self.assertIn("converted", err)
            self.assertEqual(first, again)
            self.assertIn("packed", self.ask(folder, "-m", copy)[1])
        os.utime(os.path.join(copy, "model.safetensors"))
        self.assertIn("converted", self.ask(folder, "-m", copy)[1])
        self.assertEqual([name for name in self.files(folder) if "f16" in name], [name])

    def test_other_weights_with_the_same_size_and_time(self):
        folder, copy = scratch("cache-stale"), shutil.copytree(model(), scratch("stale-model"))
        path = os.path.join(copy, "model.safetensors")
        os.utime(path, (1, 1))  # as in Nix, in images built to be reproducible, after cp -p
        old, _ = self.ask(folder, "-m", copy)
        with open(path, "rb") as file:
            content = bytearray(file.read())
        for at in range(20003, len(content), 4):
            content[at] ^= 0x80  # every f32 behind the first 20 kB negated
        for replace in (True, False):  # by another file, or where it is
            with open(path + ".new" if replace else path, "r+b" if not replace else "wb") as file:
                file.write(content)
            os.utime(file.name, (1, 1))
            os.rename(file.name, path)
            new, err = self.ask(folder, "-m", copy)
            self.assertIn("converted", err)
            self.assertEqual(new, self.ask(folder, "-m", copy, AIRA_CACHE="off")[0])
            self.assertNotEqual(new, old)
            self.assertIn("packed", self.ask(folder, "-m", copy)[1])

    def test_other_files_in_the_folder_are_no_problem(self):
        folder, copy = scratch("cache-beside"), shutil.copytree(model(), scratch("beside-model"))
        expected, _ = self.ask(folder, "-m", copy)
        os.mkdir(os.path.join(copy, "runs.json"))
        open(os.path.join(copy, "notes.json"), "wb").close()
        os.symlink("gone", os.path.join(copy, "more.safetensors"))
        for variables in ({}, {"AIRA_CACHE": "off"}):
            self.assertEqual(self.ask(folder, "-m", copy, **variables)[0], expected)

    def test_taken_however_the_folder_is_written(self):
        folder = scratch("cache-spelled")
        self.ask(folder, "-m", model())
        places = [os.path.join(folder, "aira", name) for name in self.files(folder)]
        self.assertEqual(len(places), 1)
        before = [(os.stat(place).st_ino, os.stat(place).st_mtime_ns) for place in places]
        self.assertNotIn("converted", self.ask(folder, "-m", model() + "/.")[1])
        self.assertEqual([(os.stat(place).st_ino, os.stat(place).st_mtime_ns) for place in places], before)



if __name__ == "__main__":
    main()
