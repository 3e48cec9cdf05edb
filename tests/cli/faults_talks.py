"""More scenarios for faults.py: those that talk with somebody, on a terminal or over a network."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import termios
import threading
import time

from faults import HANG, Scenario, Wrong, sentence_in
from harness import Terminal, model, start
from hub_server import Hub, etag_of

ANSWERS = ("-m", model(), "-t", "2", "--max-new-tokens", "5")


class Chat(Scenario):
    """Questions typed on a terminal; the answers go to a pipe, the rest to the screen."""

    name = "chat"
    typed = ("oi", "/params top_k 3", "olá", "/exit")

    def ask(self, folder, **more):
        terminal = Terminal("chat", *ANSWERS, "--seed", "1", env=self.env(folder, **more),
                            stdout=subprocess.PIPE)
        terminal.type("\r".join(self.typed) + "\r")
        end = time.monotonic() + HANG
        while terminal.process.poll() is None and time.monotonic() < end:
            terminal._read(0.01)
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.end()
            raise Wrong(f"it hangs: {terminal.screen[-300:]!r}")
        modes = termios.tcgetattr(terminal.master)[3]
        out = terminal.process.stdout.read()
        terminal.process.stdout.close()
        code = terminal.end()
        if code in (0, 1) and not (modes & termios.ECHO and modes & termios.ICANON):
            raise Wrong(f"the terminal is not given back: {terminal.screen[-300:]!r}")
        return code, out, terminal.screen

    def judge(self, fault, code, out, err):
        if code not in (0, 1):
            raise Wrong(f"exit code {code}: {err[-300:]!r}")
        errors = len(re.findall(r"aira-cli: error: [^\n]*\.$", err, re.M))
        if code == 1 and errors == 0 and fault[0] != "write":
            raise Wrong(f"1 without a word: {err[-300:]!r}")
        rest = self.right.splitlines(True)
        for line in out.splitlines(True):
            while rest and not rest[0].startswith(line.rstrip(b"\n")):
                rest.pop(0)
            if not rest:
                raise Wrong(f"{out!r} instead of {self.right!r}")
            rest.pop(0)
        if out != self.right and errors == 0 and fault[0] not in ("write", "read"):
            raise Wrong(f"answers are missing without a word: {out!r}, {err[-300:]!r}")

    def follow(self, folder, fault):
        super().follow(folder, fault)
        with open(os.path.join(folder, ".local/state/aira-cli/history"), encoding="utf-8",
                  errors="replace") as file:
            title, *lines = file.read().splitlines()
        if title != "_HiStOrY_V2_" or not set(lines) <= {one.replace(" ", r"\040") for one in self.typed}:
            raise Wrong(f"the history is {lines}")


class Pull(Scenario):
    """A model fetched from an imitation of the hub."""

    name = "pull"
    files = {"config.json": json.dumps({"model_type": "gpt2", "n_layer": 1, "n_head": 1, "n_embd": 4,
                                        "n_positions": 8, "vocab_size": 260}).encode(),
             "tokenizer.json": b"{}", "model.safetensors": bytes(range(256)) * 300}

    def __init__(self):
        self.hub = Hub()
        self.hub.add("org/name", self.files)
        super().__init__()

    def ask(self, folder, **more):
        env = self.env(folder, **self.hub.variables, HF_HUB_CACHE=os.path.join(folder, "hub"),
                       no_proxy="localhost,127.0.0.1", **more)
        code, out, err = self.talk(("pull", "org/name", "-q"), None, env)
        return code, out.replace(folder.encode(), b"FOLDER"), err

    def judge(self, fault, code, out, err):
        super().judge(fault, code, out, err)
        if code == 1 and out:
            raise Wrong(f"1, but {out!r}")

    def follow(self, folder, fault):
        super().follow(folder, fault)
        root = os.path.join(folder, "hub", "models--org--name")
        with open(os.path.join(root, "refs", "main")) as file:
            snapshot = os.path.join(root, "snapshots", file.read())
        for name, content in self.files.items():
            with open(os.path.join(snapshot, name), "rb") as file:
                if file.read() != content:
                    raise Wrong(f"{name} is wrong")
        blobs = set(os.listdir(os.path.join(root, "blobs")))
        if not {name for name in blobs if not name.startswith(("tag.", "ref."))} <= {
                etag_of(*file) for file in self.files.items()}:
            raise Wrong(f"left behind: {blobs}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=HANG)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(HANG)
        self.sock.connect(self.path)


class Serve(Scenario):
    """A server that is asked twice and then told to end."""

    name = "serve"

    def ask(self, folder, **more):
        path = os.path.join(folder, "socket")
        process = start("serve", "--host", "unix:" + path, *ANSWERS, env=self.env(folder, **more))
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, b"")))
        reader.start()
        try:
            replies = [self.request(process, path) for _ in range(2)]
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=HANG)
        except subprocess.TimeoutExpired as expired:
            raise Wrong("it does not end") from expired
        finally:
            process.kill()
            process.wait()
            reader.join()
            for stream in (process.stdin, process.stdout, process.stderr):
                stream.close()
        return process.returncode, json.dumps(replies).encode(), b"".join(lines).decode()

    def request(self, process, path):
        """The answer, or None where the server broke off or said that it failed."""
        end = time.monotonic() + HANG
        status, content = 503, None
        while status == 503 and process.poll() is None:  # it is still loading
            if time.monotonic() > end:
                raise Wrong("it is never ready")
            status, content = self.reply(path)
            if status == 503:
                time.sleep(0.002)
        return content["choices"] if status == 200 else None

    def reply(self, path):
        connection = UnixConnection(path)
        body = {"messages": [{"role": "user", "content": "oi"}], "temperature": 0}
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        except TimeoutError as slow:
            raise Wrong("a request is never answered") from slow
        except (FileNotFoundError, ConnectionRefusedError):  # it does not listen yet
            return 503, None
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def judge(self, fault, code, out, err):
        if code not in (0, 1, -signal.SIGTERM):  # the last: it was ending already
            raise Wrong(f"exit code {code}: {err[-300:]!r}")
        if code == 1:
            sentence_in(err, fault)
        [right, _] = json.loads(self.right)
        replies = json.loads(out)
        if any(reply not in (None, right) for reply in replies):
            raise Wrong(f"{replies} instead of {right}")
        if code == 0 and not any(replies) and not fault[2].endswith("+"):
            raise Wrong(f"a fault that is over spoils all answers: {err[-300:]!r}")

    def follow(self, folder, fault):
        pass
