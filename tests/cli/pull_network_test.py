"""What `pull` sends to whom, and what it makes of answers, good and bad."""

import os
import shutil
import socket
import threading
import time

from harness import main, run, scratch
from pull_case import DEFAULT, PullTest, bulky, tiny


class Access(PullTest):
    """Tokens, hosts, proxies."""

    def test_where_the_token_is(self):
        self.hub.add("org/name", tiny())
        home = scratch("token-home")
        os.makedirs(os.path.join(home, "hf"))
        for name, text in (("hf/token", "hf_home\n"), ("other", " hf_other \n")):
            with open(os.path.join(home, name), "w") as file:
                file.write(text)
        for variables, token in (({"HF_TOKEN": "hf_one"}, "hf_one"),
                                 ({"HF_TOKEN": "hf_one", "HUGGING_FACE_HUB_TOKEN": "hf_two"}, "hf_one"),
                                 ({"HUGGING_FACE_HUB_TOKEN": "hf_two\n"}, "hf_two"),
                                 ({"HF_HOME": f"{home}/hf"}, "hf_home"),
                                 ({"HF_HOME": f"{home}/hf", "HF_TOKEN_PATH": f"{home}/other"}, "hf_other"),
                                 ({"HOME": home, "HF_TOKEN_PATH": "~/$X", "X": "other"}, "hf_other"),
                                 ({"HF_HOME": f"{home}/hf", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, None),
                                 ({}, None)):
            with self.subTest(variables):
                self.hub.log.clear()
                self.pull("org/name", **variables)
                wanted = token and f"Bearer {token}"
                self.assertEqual({one.headers.get("authorization") for one in self.hub.log
                                  if one.host == "localhost"}, {wanted})
        err = self.pull("org/name", code=1, HF_TOKEN="hf_x\r\nX-Evil: 1")
        self.assertIn("HF_TOKEN holds no token", err)
        self.assertNotIn("hf_x", err)

    def test_no_other_host_gets_it(self):
        self.hub.add("org/name", tiny())
        shown = []
        for words in (("org/name",), ("org/name", "--json"), ("org/name", "--dry-run")):
            code, out, err = run("pull", *words, env=self.env(HF_TOKEN="hf_geheim"))
            self.assertEqual(code, 0, err)
            shown += [out.decode(), err]
        self.hub.faults["revision"] = lambda at: at.refuse(418) or True
        shown.append(self.pull("org/none", code=1, HF_TOKEN="hf_geheim"))
        self.assertNotIn("geheim", "".join(shown))
        hosts = {one.host: set() for one in self.hub.log}
        for one in self.hub.log:
            hosts[one.host].add(one.headers.get("authorization"))
        self.assertEqual(hosts, {"localhost": {"Bearer hf_geheim"}, "127.0.0.1": {None}})
        for place, _, names in os.walk(self.cache):
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    self.assertNotIn(b"geheim", file.read())

    def test_no_other_host_is_asked(self):
        """The link to the next page may name the hub where a mirror was asked."""
        self.hub.add("org/name", tiny())
        self.hub.link_host = "https://huggingface.co"
        self.pull("org/name")
        self.holds(tiny())

    def test_redirects_go_to_https_only(self):
        self.hub.add("org/name", tiny())
        for kind, says in (("get", "http://127.0.0.1/x"), ("revision", "file:///etc/passwd")):
            self.hub.faults = {kind: lambda at: at.send(302, {"Location": says + "?s=geheim"}) or True}
            with self.subTest(kind):
                self.assertNotIn("geheim", self.fails(f'"{says}", which is not https'))
        self.hub.faults = {"revision": lambda at: at.send(302, {"Location": at.path}) or True}
        self.fails("redirects again and again")

    def test_what_the_hub_refuses(self):
        self.hub.add("org/name", tiny())

        def refuse(*answer):
            self.hub.faults["revision"] = lambda at: at.refuse(*answer) or True

        self.fails('has no model "org/none"', "org/none")
        self.fails('has no model "org/none"', "org/none", HF_TOKEN="hf_one")
        self.fails('has no revision "v9"', "org/name@v9")
        gated = "Access to model org/name is restricted."
        refuse(401, "GatedRepo", gated)
        self.fails(f"is gated: accept its terms at {self.hub.endpoint}/org/name and put a token")
        refuse(403, "GatedRepo", gated)
        self.fails("is gated, and the token of HF_TOKEN has no access", HF_TOKEN="hf_one")
        refuse(401, "", "Invalid credentials in Authorization header")
        self.fails("does not accept the token of HF_TOKEN", HF_TOKEN="hf_one")
        refuse(403, "", "Storage is\x1b[31m locked")
        self.fails(r"HTTP status 403 (Storage is\x1b[31m locked).")
        refuse(403, "", "<html>")
        self.fails("HTTP status 403; try")
        refuse(418)
        self.fails("HTTP status 418")
        self.hub.faults = {"large": lambda at: at.refuse(403) or True}
        self.assertNotIn("Signature", self.fails("HTTP status 403"))
        self.hub.faults = {"head": lambda at: at.refuse(404, "EntryNotFound") or True}
        self.fails("HTTP status 404")

    def test_pages_that_are_no_answers(self):
        """A login page of a network, a proxy, another program at HF_ENDPOINT."""
        files = tiny()
        self.hub.add("org/name", files)
        page = b"<html><body>Please log in</body></html>"
        for kind, says in (("revision", "login page"), ("tree", "login page"),
                           ("head", "without a valid X-Repo-Commit")):
            self.hub.faults = {kind: lambda at: at.send(200, {"Content-Type": "text/html"}, page) or True}
            with self.subTest(kind):
                self.fails(says)
        for kind in ("small", "large"):
            for content, says in ((page, "config.json" if kind == "small" else "instead of"),
                                  (files["model.safetensors"][:-1] + b"x", ""),
                                  (files["model.safetensors"] + b"x", "")):
                self.hub.faults = {kind: lambda at, c=content: at.send(200, {"X-Repo-Commit": "x", "ETag": "y"}, c) or True}
                with self.subTest(kind=kind, content=content[:9]):
                    self.fails(says)
        commit = self.hub.add("org/name", files)
        for headers, says in (({"ETag": '"e"'}, "X-Repo-Commit"), ({"X-Repo-Commit": "0" * 40}, "X-Repo-Commit"),
                              ({"X-Repo-Commit": commit}, "ETag"),
                              ({"X-Repo-Commit": commit, "ETag": '"../../x"'}, "ETag"),
                              ({"X-Repo-Commit": commit, "ETag": '"e"', "X-Linked-Size": "7"}, "7 bytes by its header")):
            self.hub.faults = {"head": lambda at, h=headers: at.send(200, h, b"x" * 258) or True}
            with self.subTest(headers):
                self.fails(says)
        for sha in (None, "main", "A" * 40, 7):
            self.hub.faults = {"revision": lambda at, s=sha: at.send_json({"sha": s}) or True}
            with self.subTest(sha=sha):
                self.fails("sha" if sha == 7 else "names no commit")
        for entry in ({"type": "file", "path": "config.json", "oid": "0" * 40},
                      {"type": "file", "path": "x.bin", "size": 3, "oid": "0" * 40, "lfs": {"oid": "1", "size": 3}},
                      {"type": "file", "path": "x", "size": -1, "oid": "0" * 40},
                      {"type": "file", "size": 1, "oid": "0" * 40}):
            self.hub.faults = {"tree": lambda at, e=entry: at.send_json([e]) or True}
            with self.subTest(entry):
                self.fails("/tree/")
        self.hub.faults.clear()
        self.pull("org/name")
        self.holds(files)

    def test_wrong_content(self):
        """One sentence, nothing is kept of it, and the next pull is right."""
        for files in (bulky(100_003), {**tiny(), "merges.txt": b"x"}):
            self.hub.add("org/name", files)
            for name in ("model.safetensors", "tokenizer.json"):
                wrong = bytes([files[name][0] ^ 1]) + files[name][1:]

                def answer(at, wrong=wrong, name=name):
                    mine = name == "model.safetensors" or at.path.endswith(name)
                    return mine and at.command == "GET" and (at.send(200, {}, wrong) or True)

                self.hub.faults = {"large" if name == "model.safetensors" else "small": answer}
                with self.subTest(name=name):
                    shutil.rmtree(self.cache, ignore_errors=True)
                    self.fails(f'"{name}" came with other content')
                    left = os.listdir(os.path.join(self.folder(), "blobs"))
                    self.assertFalse([blob for blob in left if "." in blob])
                    self.hub.faults.clear()
                    self.pull("org/name")

    def test_certificates(self):
        self.hub.add("org/name", tiny())
        self.fails("The certificate of localhost:", SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt")
        self.fails("certificate", SSL_CERT_FILE=scratch("none.pem"))
        variables = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), "")
        for variable in variables:
            self.pull("org/name", **{**variables, variable: self.hub.certificate})

    def test_a_proxy(self):
        self.hub.add("org/name", tiny())
        listener = socket.create_server(("127.0.0.1", 0))
        asked = []

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=connect, args=(client,), daemon=True).start()

        def connect(client):
            line = client.recv(4096).split(b"\r\n")[0].decode()
            asked.append(line)
            if len(asked) > 99:
                with client:
                    return client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            host, port = line.split()[1].split(":")
            with client, socket.create_connection((host, int(port))) as target:
                client.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
                back = threading.Thread(target=copy, args=(target, client), daemon=True)
                back.start()
                copy(client, target)
                back.join()

        def copy(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        proxy = "http://127.0.0.1:%d" % listener.getsockname()[1]
        self.pull("org/name", https_proxy=proxy, no_proxy="")
        self.holds(tiny())
        self.assertEqual({line.split(":")[0] for line in asked}, {"CONNECT localhost", "CONNECT 127.0.0.1"})
        asked.clear()
        self.pull("org/name", HTTPS_PROXY=proxy, NO_PROXY="localhost,127.0.0.1")
        self.assertEqual(asked, [])
        shutil.rmtree(self.cache)
        asked += [""] * 99
        self.assertIn("407", self.fails("HTTPS_PROXY", HTTPS_PROXY=proxy, no_proxy=""))
        listener.close()
        self.fails("HTTPS_PROXY", HTTPS_PROXY="http://127.0.0.1:1", no_proxy="")

    def test_the_endpoint(self):
        self.hub.add("org/name", tiny())
        for endpoint in (self.hub.endpoint + "//", self.hub.endpoint.removeprefix("https://")):
            self.pull("org/name", HF_ENDPOINT=endpoint)
        for endpoint in ("http://localhost", "ftp://x", "https://a b"):
            self.assertIn("HF_ENDPOINT is", self.pull("org/name", code=1, HF_ENDPOINT=endpoint))


class Network(PullTest):
    def test_offline(self):
        self.hub.add("org/name", tiny())
        for variable, value in (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "yes")):
            self.fails(f"{variable} forbids the network", **{variable: value})
        self.assertEqual(self.hub.log, [])
        self.pull("org/name")
        self.hub.log.clear()
        self.assertEqual(self.pull("org/name", HF_HUB_OFFLINE="ON"), self.snapshot() + "\n")
        self.assertEqual(self.hub.log, [])
        self.pull("org/name", HF_HUB_OFFLINE="0")
        self.assertNotEqual(self.hub.log, [])

    def test_a_hub_that_cannot_be_reached(self):
        nowhere = {"HF_ENDPOINT": "https://localhost:1"}
        self.fails("localhost:1 cannot be reached", **nowhere)
        self.hub.add("org/name", tiny())
        self.pull("org/name")
        code, out, err = run("pull", "org/name", env=self.env(**nowhere))
        self.assertEqual((code, out.decode()), (0, self.snapshot() + "\n"))
        self.assertIn("cannot be reached", err)
        self.assertIn("the model in the cache is complete and can be used", err)
        os.remove(os.path.join(self.snapshot(), "tokenizer.json"))
        self.assertIn("cannot be reached", self.pull("org/name", code=1, **nowhere))

    def test_servers_that_are_busy(self):
        """Asked again after a while, and after what Retry-After says."""
        files = tiny()
        self.hub.add("org/name", files)


        def busy(kind, answers):
            def answer(at):
                return answers and (at.refuse(answers.pop(), **{"Retry-After": "1"} if kind == "large" else {})
                                    or True)
            return answer

        kinds = ("revision", "tree", "head", "get", "small", "large")
        self.hub.faults = {kind: busy(kind, [503, 429][:1 + (kind == "large")]) for kind in kinds}
        begin = time.monotonic()
        code, _, err = run("pull", "org/name", env=self.env())
        self.assertEqual(code, 0, err)
        self.assertGreaterEqual(err.count("yet; trying again in 1 s."), 2, err)
        self.assertGreater(time.monotonic() - begin, 4)
        self.assertEqual([one.status for one in self.hub.log].count(503), 6)
        self.holds(files)

    def test_servers_that_want_to_be_left_alone(self):
        self.hub.add("org/name", tiny())
        self.hub.faults["tree"] = lambda at: at.refuse(429, **{"Retry-After": "3000"}) or True
        self.fails("no further request for 3000 s")

    def test_servers_that_say_nothing(self):
        files = bulky(200_003)
        self.hub.add("org/name", files)
        self.hub.faults["revision"] = lambda at: time.sleep(3)
        err = self.fails("HF_HUB_DOWNLOAD_TIMEOUT", HF_HUB_DOWNLOAD_TIMEOUT="1")
        self.assertIn("said nothing for 1 s", err)
        naps = [3]
        self.hub.faults = {"head": lambda at: naps and time.sleep(naps.pop())}
        self.pull("org/name", HF_HUB_ETAG_TIMEOUT="1")
        self.assertEqual(len(self.hub.requests("HEAD", "/resolve/" + os.path.basename(self.snapshot())
                                               + "/config.json")), 2)
        shutil.rmtree(self.cache)

        def stall(at):
            first = int(at.headers.get("Range", "bytes=0-")[6:-1])
            if first:
                return at.send_file(files["model.safetensors"], {}) or True
            at.send(200, {}, files["model.safetensors"][:65536], 200_003)
            time.sleep(3)
            return True

        self.hub.faults = {"large": stall}
        self.pull("org/name", HF_HUB_DOWNLOAD_TIMEOUT="1")
        self.holds(files)
        for value in ("0", "x", "-1", "1.5"):
            self.assertIn("must be a whole number of seconds",
                          self.pull("org/name", code=1, HF_HUB_DOWNLOAD_TIMEOUT=value))

    def test_without_libcurl(self):
        folder = scratch("no-curl")
        os.makedirs(folder)
        for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
            with open(os.path.join(folder, name), "w") as file:
                file.write("no library")
        self.fails("Fetching needs libcurl", LD_LIBRARY_PATH=folder)
        self.hub.add(DEFAULT, tiny())
        self.assertEqual(run("-q", "Oi", env=self.env(LD_LIBRARY_PATH=folder))[0], 0)


if __name__ == "__main__":
    main()
