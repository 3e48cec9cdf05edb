"""aira-cli serve: OpenAI's interface over HTTP, its limits, its errors and its end."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import threading
import time
import unittest

import harness

QUESTION = "Qual é a capital de São Tomé?"
TEXT = "Olá, ação! "


class Server:
    """A server of the built-in or another model, ready, on a port of its own."""

    def __init__(self, *args, env=None, ready=True, address="http"):
        self.process = harness.start("serve", "--port", "0", *args, env=env)
        self.log = []
        self.told = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        line = self.wait_for(r"listening on (\S+);")
        self.address = line.group(1)
        self.port = int(self.address.rsplit(":", 1)[1]) if address == "http" else None
        if ready:
            self.wait_for(r"is ready\.")

    def _read(self):
        for line in self.process.stderr:
            with self.told:
                self.log.append(line.decode())
                self.told.notify_all()
        with self.told:
            self.log.append("END")
            self.told.notify_all()

    def wait_for(self, pattern):
        def found():
            return re.search(pattern, "".join(self.log)) or (self.log and self.log[-1] == "END")

        with self.told:
            self.told.wait_for(found, timeout=harness.PATIENCE)
            match = re.search(pattern, "".join(self.log))
        if not match:
            raise AssertionError(f"{pattern!r} is not in {''.join(self.log)!r}")
        return match

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=harness.PATIENCE)
        self.reader.join(timeout=10)
        self.process.stdout.close()
        self.process.stdin.close()
        self.process.stderr.close()
        return code

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=harness.PATIENCE)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body as JSON or text)"""
        connection = self.connect()
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        if reply.getheader("Content-Type", "").startswith("application/json") and text:
            return reply.status, reply.headers, json.loads(text)
        return reply.status, reply.headers, text

    def post(self, path, **body):
        status, _, answer = self.request("POST", path, body)
        if status != 200:
            raise AssertionError(f"{status}: {answer}")
        return answer

    def stream(self, path, **body):
        """The events of a stream, parsed; "[DONE]" is the last."""
        status, headers, text = self.request("POST", path, {**body, "stream": True})
        if status != 200:
            raise AssertionError(f"{status}: {text}")
        assert headers["Content-Type"] == "text/event-stream", headers
        events = [e[len("data: ") :] for e in text.split("\n\n") if e.startswith("data: ")]
        assert events[-1] == "[DONE]", events[-1]
        return [json.loads(event) for event in events[:-1]]


def chat(text, **more):
    return {"messages": [{"role": "user", "content": text}], **more}


class WithServer(unittest.TestCase):
    """The built-in model: quick to load, and it has answers."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--seed", "7", "--max-body", "4000")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def refused(self, status, path, body, param=None, method="POST"):
        got, _, answer = self.server.request(method, path, body)
        self.assertEqual(got, status, answer)
        self.assertEqual(set(answer["error"]), {"message", "type", "param", "code"})
        self.assertEqual(answer["error"]["param"], param, answer)
        self.assertTrue(answer["error"]["message"].endswith("."), answer)
        return answer["error"]


class Answers(WithServer):
    def test_a_chat_completion_is_the_answer_of_the_command_line(self):
        code, out, _ = harness.run("-q", "--seed", "7", QUESTION)
        self.assertEqual(code, 0)
        answer = self.server.post("/v1/chat/completions", **chat(QUESTION))
        self.assertEqual(answer["object"], "chat.completion")
        [choice] = answer["choices"]
        self.assertEqual(choice["message"]["content"], out.decode().rstrip("\n"))
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertEqual((choice["index"], choice["finish_reason"], choice["logprobs"]), (0, "stop", None))
        usage = answer["usage"]
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])
        self.assertGreater(usage["completion_tokens"], 0)

    def test_a_stream_has_the_same_text(self):
        whole = self.server.post("/v1/chat/completions", **chat(QUESTION))["choices"][0]
        chunks = self.server.stream("/v1/chat/completions", **chat(QUESTION))
        self.assertEqual({c["object"] for c in chunks}, {"chat.completion.chunk"})
        self.assertEqual(len({(c["id"], c["created"]) for c in chunks}), 1)
        first, *middle, last = [c["choices"][0] for c in chunks]
        self.assertEqual(first["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(c["delta"]["content"] for c in middle), whole["message"]["content"])
        self.assertEqual({c["finish_reason"] for c in [first, *middle]}, {None})
        self.assertEqual((last["delta"], last["finish_reason"]), ({}, "stop"))
        self.assertNotIn("usage", chunks[0])

    def test_usage_in_a_stream(self):
        chunks = self.server.stream("/v1/chat/completions", **chat(QUESTION, stream_options={"include_usage": True}))
        self.assertEqual([c["usage"] for c in chunks[:-1]], [None] * (len(chunks) - 1))
        self.assertEqual(chunks[-1]["choices"], [])
        whole = self.server.post("/v1/chat/completions", **chat(QUESTION))
        self.assertEqual(chunks[-1]["usage"], whole["usage"])

    def test_prompts_of_all_forms(self):
        ids = self.server.post("/tokenize", prompt=TEXT)["tokens"]
        by_text = self.server.post("/v1/completions", prompt=TEXT, max_tokens=3, temperature=0)
        texts = {
            json.dumps(prompt): [c["text"] for c in self.server.post("/v1/completions", prompt=prompt, max_tokens=3, temperature=0)["choices"]]
            for prompt in ([TEXT], ids, [ids], [TEXT, TEXT])
        }
        one = by_text["choices"][0]["text"]
        self.assertEqual(list(texts.values()), [[one], [one], [one], [one, one]])
        self.assertEqual(by_text["choices"][0]["finish_reason"], "length")

    def test_several_answers_to_several_prompts_are_in_order(self):
        prompts = [TEXT, "O céu é"]
        both = self.server.post("/v1/completions", prompt=prompts, n=3, seed=5, temperature=1.5, top_p=1, top_k=0, max_tokens=7)
        self.assertEqual([c["index"] for c in both["choices"]], list(range(6)))
        alone = [self.server.post("/v1/completions", prompt=p, n=3, seed=5, temperature=1.5, top_p=1, top_k=0, max_tokens=7)["choices"] for p in prompts]
        self.assertEqual([c["text"] for c in both["choices"]], [c["text"] for a in alone for c in a])
        self.assertGreater(len({c["text"] for c in both["choices"]}), 2)

    def test_the_same_bytes_under_load(self):
        body = chat(QUESTION, temperature=1.2, top_p=1, top_k=0, seed=-3, logprobs=True, top_logprobs=3)
        alone = self.server.post("/v1/chat/completions", **body)["choices"]
        answers = []

        def ask():
            answers.append(self.server.post("/v1/chat/completions", **body)["choices"])

        others = [threading.Thread(target=self.server.post, args=("/v1/chat/completions",), kwargs=chat(f"Pergunta {i}?")) for i in range(20)]
        same = [threading.Thread(target=ask) for _ in range(5)]
        for thread in others + same:
            thread.start()
        for thread in others + same:
            thread.join()
        self.assertEqual(answers, [alone] * 5)

    def test_stops_and_penalties(self):
        whole = self.server.post("/v1/completions", prompt="1 2 3 4 1 2 3 4 1 2", max_tokens=40, temperature=0, repetition_penalty=1)["choices"][0]["text"]
        cut = whole[len(whole) // 2 :].strip()[:2]
        stopped = self.server.post("/v1/completions", prompt="1 2 3 4 1 2 3 4 1 2", max_tokens=40, temperature=0, repetition_penalty=1, stop=[cut])["choices"][0]
        self.assertEqual(stopped["text"], whole[: whole.index(cut)])
        self.assertEqual(stopped["finish_reason"], "stop")
        other = self.server.post("/v1/completions", prompt="1 2 3 4 1 2 3 4 1 2", max_tokens=40, temperature=0, repetition_penalty=1, presence_penalty=50)
        ids = self.server.post("/tokenize", prompt=other["choices"][0]["text"], add_special_tokens=False)["tokens"]
        self.assertEqual(len(ids), len(set(ids)), "a penalty of 50 lets no token come twice")

    def test_null_is_absent_and_unknown_fields_are_named(self):
        status, headers, answer = self.server.request(
            "POST", "/v1/chat/completions", chat(QUESTION, temperature=None, stop=None, foo=1, bar=None, user="x", suffix=None, tools=[])
        )
        self.assertEqual(status, 200, answer)
        self.assertEqual(headers["x-aira-ignored"], "bar, foo")

    def test_a_prefix_goes_on(self):
        whole = self.server.post("/v1/chat/completions", **chat(QUESTION, temperature=0, logprobs=True))["choices"][0]
        tokens = whole["logprobs"]["content"]
        rest = self.server.post("/v1/chat/completions", **chat(QUESTION, temperature=0, prefix_ids=[t["id"] for t in tokens[:3]]))
        begun = "".join(t["token"] for t in tokens[:3])
        self.assertEqual(begun + rest["choices"][0]["message"]["content"], whole["message"]["content"])


class Logprobs(WithServer):
    def test_echo_gives_the_prompt_with_its_probabilities(self):
        ids = self.server.post("/tokenize", prompt=TEXT)["tokens"]
        [choice] = self.server.post("/v1/completions", prompt=TEXT, max_tokens=1, logprobs=1, echo=True, temperature=0, seed=1234)["choices"]
        rated = choice["logprobs"]
        self.assertEqual({len(v) for v in rated.values()}, {len(ids) + 1})
        self.assertIsNone(rated["token_logprobs"][0])
        self.assertTrue(choice["text"].startswith(TEXT))
        self.assertEqual("".join(rated["tokens"]), choice["text"])
        for token, logprob, top in list(zip(rated["tokens"], rated["token_logprobs"], rated["top_logprobs"]))[1:]:
            self.assertEqual(top[token], logprob)
            self.assertIn(len(top), (1, 2))
        for offset, token in zip(rated["text_offset"], rated["tokens"]):
            if not token.startswith("bytes:"):
                self.assertEqual(choice["text"][offset : offset + len(token)], token)

    def test_scores_without_an_answer(self):
        scored = self.server.post("/v1/completions", prompt=TEXT, max_tokens=0, logprobs=0, echo=True)["choices"][0]
        both = self.server.post("/v1/completions", prompt=TEXT, max_tokens=5, logprobs=4, echo=True)["choices"][0]
        size = len(scored["logprobs"]["tokens"])
        self.assertEqual(scored["text"], TEXT)
        self.assertEqual(both["logprobs"]["token_logprobs"][:size], scored["logprobs"]["token_logprobs"])
        self.assertEqual(scored["finish_reason"], "length")

    def test_streamed_logprobs_are_the_same(self):
        body = dict(prompt=TEXT, max_tokens=9, logprobs=2, echo=True, temperature=0)
        whole = self.server.post("/v1/completions", **body)["choices"][0]
        joined = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        text = ""
        for chunk in self.server.stream("/v1/completions", **body):
            [choice] = chunk["choices"]
            text += choice["text"]
            for key, values in (choice["logprobs"] or {}).items():
                joined[key] += values
        self.assertEqual((text, joined), (whole["text"], whole["logprobs"]))

    def test_chat_logprobs(self):
        [choice] = self.server.post("/v1/chat/completions", **chat(QUESTION, logprobs=True, top_logprobs=2))["choices"]
        content = choice["logprobs"]["content"]
        self.assertEqual("".join(t["token"] for t in content if not t.get("special")).strip(), choice["message"]["content"])
        for token in content:
            self.assertEqual(len(token["top_logprobs"]), 2)
            self.assertEqual(bytes(token["bytes"]).decode(), token["token"])
            self.assertLessEqual(token["logprob"], token["top_logprobs"][0]["logprob"])


class Refusals(WithServer):
    def test_fields_that_are_wrong_are_named(self):
        for field, value in [
            ("temperature", -1), ("temperature", "hot"), ("max_tokens", 0), ("n", 0), ("top_p", 2), ("logit_bias", [1]),
            ("stream", 1), ("logprobs", 3), ("seed", 1.5), ("tools", [{}]), ("response_format", {"type": "json_object"}),
            ("messages", []), ("n", 2000), ("messages", None), ("top_logprobs", 5), ("frequency_penalty", "x"), ("suffix", "x"),
        ]:
            with self.subTest(field=field, value=value):
                self.refused(400, "/v1/chat/completions", {**chat(QUESTION), field: value}, field)
        for field, value in [("prompt", None), ("prompt", [99999999]), ("prompt", []), ("logprobs", 1001), ("logprobs", -1), ("echo", "yes")]:
            with self.subTest(field=field, value=value):
                self.refused(400, "/v1/completions", {"prompt": TEXT, field: value}, field)
        self.refused(400, "/v1/completions", {"prompt": TEXT, "best_of": 3, "stream": True}, "best_of")
        error = self.refused(400, "/v1/completions", {"prompt": TEXT, "num_beams": 4000})
        self.assertIn("(--batch)", error["message"])  # an option of the server, no field

    def test_too_long_is_never_cut(self):
        error = self.refused(400, "/v1/completions", {"prompt": "a " * 300, "max_tokens": 100000}, "prompt")
        self.assertEqual(error["code"], "context_length_exceeded")
        self.assertIn("100000", error["message"])

    def test_bodies_that_are_no_json(self):
        for body in ("", "{", "[]", '"x"', b"\xff", '{"a": 1, "a": 2}'):
            with self.subTest(body=body):
                self.refused(400, "/v1/completions", body)

    def test_many_values_take_no_longer_each(self):
        """Parsing is no task for a clock here: by the square, this would take minutes."""
        with Server() as server:
            body = '{"prompt": "a", "max_tokens": 1, "x": [' + ",".join(["{}"] * 300000) + "]}"
            self.assertEqual(server.request("POST", "/v1/completions", body)[0], 200)

    def test_other_paths_and_methods(self):
        self.refused(404, "/v1/nothing", {}, None)
        self.refused(404, "/v1/completions", {"prompt": "a", "model": "gpt-9"}, "model")
        status, headers, answer = self.server.request("GET", "/v1/completions")
        self.assertEqual((status, headers["Allow"]), (405, "POST, OPTIONS"), answer)

    def test_other_hosts_and_origins(self):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            status, _, answer = self.server.request("GET", "/v1/models", headers=headers)
            self.assertEqual(status, 403, answer)
        status, _, _ = self.server.request("GET", "/v1/models", headers={"Host": f"localhost:{self.server.port}", "Origin": f"http://localhost:{self.server.port}"})
        self.assertEqual(status, 200)

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=harness.PATIENCE) as peer:
            peer.sendall(data)
            got = b""
            while piece := peer.recv(65536):
                got += piece
            return got

    def test_what_is_no_http(self):
        self.assertIn(b"400 Bad Request", self.raw(b"HALLO\r\n\r\n"))
        self.assertIn(b"413 ", self.raw(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4001\r\n\r\n"))
        self.assertIn(b"431 ", self.raw(b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n"))

    def test_keep_alive_pipelining_chunks_and_expect(self):
        body = json.dumps({"prompt": TEXT}).encode()
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        request = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" + chunked
        last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        got = self.raw(request + request + last)
        self.assertEqual(got.count(b'"count":'), 2, got)
        self.assertEqual(got.count(b"HTTP/1.1 200"), 3, got)
        self.assertGreaterEqual(got.count(b"100 Continue"), 1, got)


class Others(WithServer):
    def test_models(self):
        [one] = self.server.request("GET", "/v1/models")[2]["data"]
        self.assertEqual((one["id"], one["object"], one["owned_by"]), ("aira-mini", "model", "aira-cli"))
        self.assertEqual(self.server.request("GET", "/v1/models/aira-mini")[2], one)
        self.assertEqual(self.server.request("GET", "/v1/models/none")[0], 404)

    def test_tokens_there_and_back(self):
        made = self.server.post("/tokenize", content=TEXT)
        self.assertEqual(made["count"], len(made["tokens"]))
        self.assertEqual(self.server.post("/detokenize", tokens=made["tokens"])["prompt"], TEXT)
        pieces = self.server.post("/tokenize", content="sol", with_pieces=True)["tokens"]
        self.assertEqual("".join(p["piece"] for p in pieces), "sol")
        info = self.server.request("GET", "/tokenizer_info")[2]
        self.assertEqual(set(info), {"bos_token", "eos_token", "pad_token", "unk_token", "vocab_size", "chat_template"})

    def test_metrics(self):
        self.server.post("/v1/completions", prompt=TEXT, max_tokens=3)
        status, headers, text = self.server.request("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) \w+ .*|\w+(\{(\w+="[^"]*",?)+\})? [-+.\deE]+(Inf)?)$')
        self.assertRegex(text, r'aira_requests_total\{endpoint="/v1/completions",code="200"\} [1-9]')
        self.assertIn("aira_requests_running 0", text)

    def test_the_page(self):
        status, headers, text = self.server.request("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertIn("<!doctype html>", text)
        self.assertEqual(self.server.request("GET", "/", headers={"If-None-Match": headers["ETag"]})[0], 304)


class Life(unittest.TestCase):
    def test_a_key_is_asked_for(self):
        path = harness.scratch("chaves")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# chaves\nsegredo-ção\nabc\n")
        with Server("--api-key-file", path) as server:
            for header, status in ((None, 401), ("Bearer x", 401), ("Basic abc", 401), ("Bearer abc", 200)):
                headers = {"Authorization": header} if header else {}
                self.assertEqual(server.request("GET", "/v1/models", headers=headers)[0], status)
            self.assertEqual(server.request("GET", "/health")[0], 200)
            server.stop()
            self.assertNotIn("abc", "".join(server.log))

    def test_a_unix_socket(self):
        path = harness.scratch("s.sock")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with Server("--host", "unix:" + path, address="unix"):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                peer.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                self.assertIn(b"200 OK", peer.recv(65536))
        self.assertFalse(os.path.exists(path))

    def test_an_address_that_is_taken(self):
        with Server() as server:
            code, _, err = harness.run("serve", "--port", str(server.port))
            self.assertEqual(code, 1)
            self.assertIn("E750", err)

    def test_a_client_that_leaves_frees_its_slot(self):
        with Server("-m", harness.slow_model(), "--batch", "1") as server:
            for body in ({"stream": True}, {}):
                connection = server.connect()
                connection.request("POST", "/v1/completions", json.dumps({"prompt": "a", "max_tokens": 8000, "min_new_tokens": 8000, **body}))
                time.sleep(0.3)
                connection.sock.close()
                connection.close()
            quick = server.post("/v1/completions", prompt="b", max_tokens=1)
            self.assertEqual(quick["usage"]["completion_tokens"], 1)
            text = server.request("GET", "/metrics")[2]
            gone = sum(int(n) for n in re.findall(r"aira_requests_cancelled_total\{.*\} (\d+)", text))
            self.assertEqual(gone, 2, text)

    def test_a_full_queue(self):
        with Server("-m", harness.slow_model(), "--batch", "1", "--max-queue", "1") as server:
            body = json.dumps({"prompt": "a", "max_tokens": 8000, "min_new_tokens": 8000, "stream": True})
            long = [server.connect() for _ in range(2)]
            for connection in long:
                connection.request("POST", "/v1/completions", body)
                time.sleep(0.3)
            status, headers, answer = server.request("POST", "/v1/completions", {"prompt": "a"})
            self.assertEqual((status, answer["error"]["code"]), (429, "queue_full"))
            self.assertIn("Retry-After", headers)
            for connection in long:
                connection.close()

    def test_a_stream_that_waits_is_kept_alive_slow(self):
        with Server("-m", harness.slow_model(), "--batch", "1") as server:
            first = server.connect()
            first.request("POST", "/v1/completions", json.dumps({"prompt": "a", "max_tokens": 8000, "min_new_tokens": 8000, "n": 40}))
            second = server.connect()
            second.request("POST", "/v1/completions", json.dumps({"prompt": "a", "stream": True}))
            self.assertEqual(second.getresponse().readline(), b": ping\n")
            first.close()
            second.close()

    def test_the_fingerprint_is_that_of_the_weights(self):
        found = []
        for number in range(3):
            folder = os.path.join(harness.scratch(f"fingerprint{number}"), "model")
            shutil.copytree(harness.model(), folder)
            if number == 2:
                with open(os.path.join(folder, "model.safetensors"), "r+b") as weights:
                    weights.seek(-4, os.SEEK_END)
                    weights.write(b"\0\0\0@")  # 2.0
            with Server("-m", folder) as server:
                found.append(server.post("/v1/completions", prompt="a", max_tokens=1)["system_fingerprint"])
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])

    def test_it_drains(self):
        with Server("-m", harness.slow_model(), "--grace", "600") as server:
            connection = server.connect()
            connection.request("POST", "/v1/completions", json.dumps({"prompt": "a", "max_tokens": 4000, "min_new_tokens": 4000}))
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            status, _, answer = server.request("GET", "/health")
            self.assertEqual((status, answer), (503, {"status": "draining"}))
            self.assertEqual(server.request("POST", "/v1/completions", {"prompt": "a"})[0], 503)
            reply = connection.getresponse()
            self.assertEqual(json.loads(reply.read())["usage"]["completion_tokens"], 4000)
            connection.close()
            self.assertEqual(server.process.wait(timeout=harness.PATIENCE), 0)

    def test_a_second_signal_ends_at_once(self):
        with Server("-m", harness.slow_model()) as server:
            connection = server.connect()
            connection.request("POST", "/v1/completions", json.dumps({"prompt": "a", "max_tokens": 8000, "min_new_tokens": 8000}))
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            self.assertEqual(server.stop(), 0)
            connection.close()

    def test_a_slow_reader_holds_up_nobody(self):
        with Server("-m", harness.slow_model(), "--batch", "2") as server:
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                slow.connect(("127.0.0.1", server.port))
                body = json.dumps({"prompt": "a", "max_tokens": 4000, "min_new_tokens": 4000, "stream": True, "logprobs": 50}).encode()
                slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                for _ in range(3):
                    self.assertEqual(server.post("/v1/completions", prompt="b", max_tokens=2)["usage"]["completion_tokens"], 2)

    def test_it_tells_the_service_manager(self):
        path = harness.scratch("notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(harness.PATIENCE)
            with Server(env=harness.environment(NOTIFY_SOCKET=path)) as server:
                self.assertEqual(manager.recv(100), b"READY=1")
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(manager.recv(100), b"STOPPING=1")

    def test_a_model_without_questions(self):
        with Server("-m", harness.model()) as server:
            if server.request("POST", "/v1/chat/completions", chat("a"))[0] == 200:
                self.skipTest("the tiny model has markers")
            status, _, answer = server.request("POST", "/v1/chat/completions", chat("a"))
            self.assertEqual(status, 400)
            self.assertIn("/v1/completions", answer["error"]["message"])


if __name__ == "__main__":
    unittest.main()
