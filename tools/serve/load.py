#!/usr/bin/env python3
"""How aira-cli serve bears load, standard library only.

  load.py streams PROGRAM MODEL [--peer URL]   tokens/s of 32 streaming clients beside the pipe at --batch 32 (and beside
                                               llama-server), in turns; p50 and p99 of the first token
  load.py idle PROGRAM [COUNT]                 memory with COUNT (10,000) idle connections, and an answer meanwhile
  load.py leavers PROGRAM MODEL [COUNT]        COUNT (1,000) slow readers and COUNT clients that vanish: all slots come back
  load.py soak PROGRAM SECONDS                 random traffic; memory, and every answer as the command line gives it
"""
import asyncio
import json
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.request

QUESTIONS = [f"Qual a capital do Brasil {number}, e por que?" for number in range(96)]
TOKENS = 64
ROUNDS = 3


class Server:
    def __init__(self, program, *options):
        self.process = subprocess.Popen([program, "serve", "--port", "0", "--log-format", "json", *options], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r":(\d+);", line):
                self.port = int(found[1])
            if "ready" in line:
                break
        else:
            raise SystemExit("the server did not start")
        subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"

    def resident(self):
        """Megabytes, own memory only."""
        text = open(f"/proc/{self.process.pid}/smaps_rollup").read()
        return int(re.search(r"Pss_Anon:\s+(\d+)", text)[1]) / 1024

    def metrics(self):
        with urllib.request.urlopen(self.url + "/metrics") as reply:
            return {line.split()[0]: float(line.split()[1]) for line in reply.read().decode().splitlines() if not line.startswith("#") and "build_info" not in line}

    def stop(self):
        self.process.terminate()
        return self.process.wait()


async def request(port, path, body, read=True):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
    await writer.drain()
    if not read:
        return reader, writer
    start, first, text = time.perf_counter(), None, b""
    while piece := await reader.read(65536):
        text += piece
        if first is None and b"data: " in text:
            first = time.perf_counter() - start
    writer.close()
    return text, first


async def stream_all(port, parallel, extra):
    todo, firsts, tokens = list(QUESTIONS), [], 0

    async def client():
        nonlocal tokens
        while todo:
            text, first = await request(port, "/v1/completions", {"prompt": todo.pop(), "stream": True, "stream_options": {"include_usage": True}, "max_tokens": TOKENS, "seed": 1, **extra})
            firsts.append(first)
            tokens += int(re.search(rb'"completion_tokens": ?(\d+)', text)[1])

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(parallel)))
    return tokens / (time.perf_counter() - start), firsts


def streams(program, model, peer=None):
    """Raw texts of 64 tokens, so that each does the same work."""
    common = ["-m", model, "--batch", "32", "--dtype", "int8", "-q"]
    extra = {"min_new_tokens": TOKENS, "temperature": 0.2, "top_k": 30, "top_p": 0.3, "repetition_penalty": 1.2}
    server = Server(program, *common[:-1])
    rows = {"pipe": [], "serve": [], "peer": []}
    firsts = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run([program, *common, "--raw", "--jsonl", "--seed", "1", "--max-new-tokens", str(TOKENS), "--min-new-tokens", str(TOKENS)],
                              input="".join(json.dumps({"question": one}) + "\n" for one in QUESTIONS), capture_output=True, text=True)
        tokens = sum(len(json.loads(line)["answers"][0]["token_ids"]) for line in done.stdout.splitlines())
        rows["pipe"].append(tokens / (time.perf_counter() - start))
        speed, first = asyncio.run(stream_all(server.port, 32, extra))
        rows["serve"].append(speed)
        firsts += first
        if peer:
            speed, _ = asyncio.run(stream_all(int(peer.rsplit(":", 1)[1]), 32, {"ignore_eos": True, "repeat_penalty": 1.2, "temperature": 0.2, "top_k": 30, "top_p": 0.3}))
            rows["peer"].append(speed)
    server.stop()
    middle = {name: statistics.median(all_) for name, all_ in rows.items() if all_}
    firsts.sort()
    print({name: round(value) for name, value in middle.items()}, "serve/pipe", round(middle["serve"] / middle["pipe"], 3),
          *(["serve/peer", round(middle["serve"] / middle["peer"], 2)] if peer else []),
          "first token p50 %.0f ms, p99 %.0f ms" % (1000 * firsts[len(firsts) // 2], 1000 * firsts[len(firsts) * 99 // 100]))


def idle(program, count="10000"):
    server = Server(program)
    before = server.resident()

    async def hold():
        # Each has sent one request, so that it is known and kept alive.
        held = []
        for _ in range(int(count)):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"}")
            held.append(writer)
        open_now = server.metrics()["aira_connections"]
        start = time.perf_counter()
        text, _ = await request(server.port, "/v1/completions", {"prompt": "a", "max_tokens": 5})
        print(f"{open_now:.0f} connections: {before:.0f} MB before, {server.resident():.0f} MB with them; an answer meanwhile in {1000 * (time.perf_counter() - start):.0f} ms, {text[9:12].decode()}")

    asyncio.run(hold())
    server.stop()


def leavers(program, model, count="1000"):
    server = Server(program, "-m", model, "--batch", "8", "--max-queue", "5000", "--dtype", "int8")

    async def go():
        slow = []
        for number in range(int(count)):
            reader, writer = await request(server.port, "/v1/completions", {"prompt": "a", "stream": True, "logprobs": 100, "max_tokens": 200, "min_new_tokens": 200}, read=False)
            slow.append((reader, writer))
            reader, writer = await request(server.port, "/v1/completions", {"prompt": "b", "stream": number % 2 == 0, "max_tokens": 200, "min_new_tokens": 200}, read=False)
            writer.transport.abort() if number % 3 else writer.close()
        await asyncio.sleep(1)
        print("meanwhile:", {name: value for name, value in server.metrics().items() if "running" in name or "queued" in name or "connections" in name})
        for _, writer in slow:
            writer.transport.abort()
        for _ in range(600):
            await asyncio.sleep(0.1)
            found = server.metrics()
            if found["aira_requests_running"] == found["aira_requests_queued"] == 0:
                break
        text, _ = await request(server.port, "/v1/completions", {"prompt": "a", "max_tokens": 5})
        print("afterwards:", {name: value for name, value in server.metrics().items() if "running" in name or "queued" in name or "cancelled" in name}, text[9:12].decode())

    asyncio.run(go())
    print("exit code", server.stop())


def soak(program, seconds):
    server = Server(program, "--batch", "16")
    chance = random.Random(1)
    asked = ["Qual a capital do Acre?", "O que é fotossíntese?", "Quanto é 3 vezes 4?", "Oi", "Quem descobriu o fogo?"]
    cases = [{"question": one, "seed": seed, "temperature": heat, "num_return_sequences": answers} for one in asked for seed in (1, 2) for heat in (0.2, 1.1) for answers in (1, 2)]
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run([program, "--jsonl", "-q"], input=lines, capture_output=True, text=True, check=True)
    expected = [[answer["text"] for answer in json.loads(line)["answers"]] for line in done.stdout.splitlines()]
    counts = {"right": 0, "wrong": 0, "left": 0}
    end = time.monotonic() + float(seconds)

    async def client():
        while time.monotonic() < end:
            number = chance.randrange(len(cases))
            case = cases[number]
            stream = chance.random() < 0.5
            body = {"messages": [{"role": "user", "content": case["question"]}], "stream": stream, "seed": case["seed"], "temperature": case["temperature"], "n": case["num_return_sequences"], "logprobs": chance.random() < 0.3}
            if chance.random() < 0.2:
                _, writer = await request(server.port, "/v1/chat/completions", body, read=False)
                await asyncio.sleep(chance.random() / 100)
                writer.transport.abort()
                counts["left"] += 1
                continue
            text, _ = await request(server.port, "/v1/chat/completions", body)
            body = text.split(b"\r\n\r\n", 1)[1]
            got = [""] * case["num_return_sequences"]
            if stream:
                for event in re.findall(rb"data: (\{.*\})", body):
                    for choice in json.loads(event)["choices"]:
                        got[choice["index"]] += choice["delta"].get("content", "")
            else:
                got = [choice["message"]["content"] for choice in json.loads(body)["choices"]]
            counts["right" if got == expected[number] else "wrong"] += 1

    async def all_clients():
        memory = []

        async def watch():
            while time.monotonic() < end:
                memory.append(server.resident())
                await asyncio.sleep(float(seconds) / 10)

        await asyncio.gather(watch(), *(client() for _ in range(24)))
        print(counts, "memory, MB:", [round(one) for one in memory])

    asyncio.run(all_clients())
    print("exit code", server.stop())
    return counts["wrong"] > 0


if __name__ == "__main__":
    arguments = [one for one in sys.argv[1:] if one != "--peer"]
    sys.exit({"streams": streams, "idle": idle, "leavers": leavers, "soak": soak}[arguments[0]](*arguments[1:]))
