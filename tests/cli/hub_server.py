"""An imitation of the Hugging Face hub: HTTPS on localhost, large files by redirect from 127.0.0.1.

    with Hub() as hub:
        hub.add("org/name", {"config.json": b"{}", "model.safetensors": weights})
        run("pull", "org/name", env=environment(**hub.variables, HF_HUB_CACHE=...))

Each request is logged. `hub.faults` maps a kind of request ("revision", "tree", "head", "get", "small",
"large") to a function of the handler that may answer in its place: True when it has.
"""

import hashlib
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

LARGE = (".safetensors", ".bin", ".pt", ".h5")  # what LFS keeps


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def etag_of(name, content):
    large = name.endswith(LARGE)
    return hashlib.sha256(content).hexdigest() if large else git_sha1(content)


class Request:
    def __init__(self, handler):
        self.host = handler.headers["Host"].split(":")[0]
        self.method, self.path = handler.command, handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.status, self.sent = None, 0  # bytes of the body

    def __repr__(self):
        return f"{self.method} {self.host} {self.path} -> {self.status} ({self.sent} bytes)"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def hub(self):
        return self.server.hub

    def send(self, status, headers=None, body=b"", length=None, pause=0):
        """`length`: what the header says; a connection whose body falls short is closed."""
        self.request_log.status = status
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "HEAD":
            return
        block = self.hub.block
        for at in range(0, len(body), block):
            self.wfile.write(body[at:at + block])
            self.wfile.flush()
            self.request_log.sent += len(body[at:at + block])
            if pause or self.hub.pause:
                time.sleep(pause or self.hub.pause)
        if length is not None and length > len(body):
            self.cut()

    def cut(self):
        self.close_connection = True

    def refuse(self, status, code="", message="", body=b"<html><body>no</body></html>", **more):
        headers = {"Content-Type": "text/html", **more}
        if code:
            headers["X-Error-Code"] = code
        if message:
            headers["X-Error-Message"] = message
        self.send(status, headers, body)

    def send_file(self, content, headers):
        """Also a part of it."""
        wanted = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        if not wanted:
            return self.send(200, headers, content)
        first = int(wanted[1])
        if first >= len(content):
            return self.send(416, {"Content-Range": f"bytes */{len(content)}"})
        headers = {**headers, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        return self.send(206, headers, content[first:])

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.request_log = Request(self)
        self.hub.log.append(self.request_log)
        try:
            self.answer()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def fault(self, kind):
        return kind in self.hub.faults and self.hub.faults[kind](self)

    def repository(self, name):
        """Its files; None when the request is answered."""
        if name in self.hub.renamed:
            self.send(307, {"Location": self.path.replace(name, self.hub.renamed[name], 1)})
        elif name not in self.hub.repositories:
            self.refuse(401 if not self.headers.get("Authorization") else 404, "RepoNotFound",
                        "Repository not found")
        else:
            return self.hub.repositories[name]
        return None

    def answer(self):
        path = urllib.parse.urlsplit(self.path).path
        if self.request_log.host == "127.0.0.1":
            return self.fault("large") or self.send_file(self.hub.large[path.split("/")[-1]], {
                "ETag": '"another"', "Content-Type": "binary/octet-stream"})
        if found := re.match(r"/api/models/(.+)/revision/(.+)$", path):
            files = None if self.fault("revision") else self.repository(found[1])
            if files is None:
                return None
            commit = files.commit(urllib.parse.unquote(found[2]))
            if not commit:
                return self.refuse(404, "RevisionNotFound", "Invalid rev id: " + found[2])
            return self.send_json({"id": found[1], "modelId": found[1], "sha": commit, "tags": [],
                                   "private": False, "downloads": 0, "siblings": [
                                       {"rfilename": name} for name in files.of(commit)]})
        if found := re.match(r"/api/models/(.+)/tree/([0-9a-f]{40})$", path):
            files = None if self.fault("tree") else self.repository(found[1])
            return files and self.send_tree(files.of(found[2]))
        if found := re.match(r"/(api/resolve-cache/models/)?(.+?)/(?:resolve/)?([0-9a-f]{40})/(.+)$", path):
            return self.resolve(*found.groups())
        return self.refuse(404)

    def send_json(self, value, **headers):
        self.send(200, {"Content-Type": "application/json; charset=utf-8", **headers},
                  json.dumps(value).encode())

    def send_tree(self, files):
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "runs"}]
        for name, content in files.items():
            entry = {"type": "file", "oid": git_sha1(content), "size": len(content), "path": name}
            if name.endswith(LARGE):
                entry["lfs"] = {"oid": etag_of(name, content), "size": len(content),
                                "pointerSize": 134}
            entries.append(entry)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        first = int(query.get("cursor", ["0"])[0])
        rest = first + self.hub.page
        more = {}
        if rest < len(entries):
            path = self.path.split("&cursor")[0]
            more["Link"] = f'<{self.hub.link_host or self.hub.endpoint}{path}&cursor={rest}>; rel="next"'
        self.send_json(entries[first:rest], **more)

    def resolve(self, cached, model, commit, name):
        name = urllib.parse.unquote(name)
        files = self.repository(model)
        if files is None or self.fault("small" if cached else self.command.lower()):
            return None
        content = files.of(commit).get(name)
        if content is None:
            return self.refuse(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": commit})
        etag = etag_of(name, content)
        if name.endswith(LARGE):
            self.hub.large[etag] = content
            return self.send(302, {
                "Location": f"https://127.0.0.1:{self.hub.large_port}/repos/{etag}?Signature=geheim",
                "X-Repo-Commit": commit, "X-Linked-Etag": f'"{etag}"', "ETag": '"pointer"',
                "X-Linked-Size": str(len(content))}, b"Found. Redirecting")
        headers = {"X-Repo-Commit": commit, "ETag": f'W/"{etag}"' if "LICENSE" in name else f'"{etag}"'}
        if cached:
            return self.send_file(content, headers)
        return self.send(307, {**headers, "Location": f"/api/resolve-cache/models/{model}/{commit}/"
                               + urllib.parse.quote(name)}, b"Temporary Redirect")


class Repository:
    def __init__(self):
        self.commits, self.names = {}, {}

    def commit(self, revision):
        return revision if revision in self.commits else self.names.get(revision)

    def of(self, commit):
        return self.commits[commit]


class Hub:
    def __init__(self):
        self.log, self.faults, self.large, self.repositories, self.renamed = [], {}, {}, {}, {}
        self.page, self.block, self.pause, self.link_host = 3, 65536, 0, ""
        self.folder = tempfile.mkdtemp(prefix="hub-")
        self.certificate = os.path.join(self.folder, "cert.pem")
        key = os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.servers = []
        for _ in range(2):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
            server.socket = context.wrap_socket(server.socket, server_side=True,
                                                do_handshake_on_connect=False)
            server.hub = self
            server.handle_error = lambda *_: None
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self.servers.append(server)
        self.endpoint = f"https://localhost:{self.servers[0].server_port}"
        self.large_port = self.servers[1].server_port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.folder)

    @property
    def variables(self):
        return {"HF_ENDPOINT": self.endpoint, "SSL_CERT_FILE": self.certificate}

    def add(self, model, files, *names):
        """A commit with these files; main and `names` mean it from now on. Gives the commit."""
        repository = self.repositories.setdefault(model, Repository())
        commit = hashlib.sha1(repr((model, len(repository.commits), sorted(files))).encode()).hexdigest()
        repository.commits[commit] = files
        for name in ("main", *names):
            repository.names[name] = commit
        return commit

    def requests(self, method=None, ending=""):
        return [one for one in self.log if (method is None or one.method == method)
                and urllib.parse.urlsplit(one.path).path.endswith(ending)]
