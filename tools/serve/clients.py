#!/usr/bin/env python3
"""Asks a running `aira-cli serve` through clients that people use: openai (sync, async, streams, log-probabilities,
errors, retries) and, where they are installed, langchain-openai, litellm and llm. tools/serve/check runs this once for
each environment it makes.

usage: clients.py http://127.0.0.1:PORT
"""
import asyncio
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from urllib.request import urlopen

import openai

QUESTION = "Qual a capital do Brasil?"
ANSWER = "A capital do Brasil é Brasília."
MESSAGES = [{"role": "user", "content": QUESTION}]
URL = sys.argv.pop(1).rstrip("/") + "/v1"
DETERMINED = {"temperature": 0, "max_tokens": 40}


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class OpenAi(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=URL, api_key="unused", max_retries=0)
        self.addCleanup(self.client.close)
        self.model = self.client.models.list().data[0].id

    def test_models(self):
        self.assertEqual(self.client.models.retrieve(self.model).id, self.model)
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nobody/none")

    def test_chat(self):
        made = self.client.chat.completions.create(model=self.model, messages=MESSAGES, **DETERMINED)
        self.assertEqual(made.choices[0].message.content, ANSWER)
        self.assertEqual(made.choices[0].finish_reason, "stop")
        self.assertEqual(made.usage.total_tokens, made.usage.prompt_tokens + made.usage.completion_tokens)

    def test_stream(self):
        chunks = list(self.client.chat.completions.create(
            model=self.model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **DETERMINED))
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]), ANSWER)
        self.assertEqual(chunks[-2].choices[0].finish_reason, "stop")
        self.assertEqual((chunks[-1].choices, chunks[-1].usage.completion_tokens > 0), ([], True))

    def test_a_stream_that_is_left(self):
        with self.client.chat.completions.create(model=self.model, messages=MESSAGES, stream=True) as stream:
            next(iter(stream))
        self.test_chat()

    def test_log_probabilities(self):
        made = self.client.chat.completions.create(
            model=self.model, messages=MESSAGES, logprobs=True, top_logprobs=3, **DETERMINED)
        tokens = made.choices[0].logprobs.content
        text = b"".join(bytes(one.bytes) for one in tokens if not (one.model_extra or {}).get("special"))
        self.assertEqual(text.decode(), ANSWER)
        for one in tokens:
            self.assertEqual(len(one.top_logprobs), 3)
            self.assertEqual(one.top_logprobs[0].logprob, one.logprob)  # the greatest, of a greedy answer
        made = self.client.completions.create(
            model=self.model, prompt="A capital do", logprobs=2, echo=True, max_tokens=1, temperature=0)
        lists = made.choices[0].logprobs
        self.assertIsNone(lists.token_logprobs[0])
        self.assertEqual("".join(lists.tokens), made.choices[0].text)
        for token, logprob, top in list(zip(lists.tokens, lists.token_logprobs, lists.top_logprobs))[1:]:
            self.assertEqual(top[token], logprob)

    def test_several(self):
        made = self.client.completions.create(model=self.model, prompt=["um", "dois"], n=2, seed=-3, max_tokens=4)
        self.assertEqual([choice.index for choice in made.choices], [0, 1, 2, 3])
        again = self.client.completions.create(model=self.model, prompt=["um", "dois"], n=2, seed=-3, max_tokens=4)
        self.assertEqual([one.text for one in made.choices], [one.text for one in again.choices])

    def test_errors(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model=self.model, prompt="um", temperature=-1)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model=self.model, prompt="um " * 5000)
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.NotFoundError):
            self.client.chat.completions.create(model="nobody/none", messages=MESSAGES)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(
                model=self.model, messages=MESSAGES, tools=[{"type": "function", "function": {"name": "f"}}])
        self.assertEqual(caught.exception.param, "tools")

    def test_async_and_retries(self):
        """More at once than may wait: the client tries again until all are answered."""

        async def ask_all():
            async with openai.AsyncOpenAI(base_url=URL, api_key="unused", max_retries=30) as client:
                return await asyncio.gather(*(
                    client.chat.completions.create(model=self.model, messages=MESSAGES, **DETERMINED) for _ in range(40)))

        made = asyncio.run(ask_all())
        self.assertEqual({one.choices[0].message.content for one in made}, {ANSWER})


@unittest.skipUnless(installed("prometheus_client"), "prometheus-client is not installed")
class Metrics(unittest.TestCase):
    def test_what_prometheus_reads(self):
        from prometheus_client.parser import text_string_to_metric_families

        with urlopen(URL.removesuffix("/v1") + "/metrics") as reply:
            families = {one.name: one for one in text_string_to_metric_families(reply.read().decode())}
        self.assertEqual(families["aira_queue_seconds"].type, "histogram")
        self.assertGreater(families["aira_requests"].samples[0].value, 0)
        counts = [one.value for one in families["aira_token_seconds"].samples if one.name.endswith("_bucket")]
        self.assertEqual(counts, sorted(counts))


@unittest.skipUnless(installed("langchain_openai"), "langchain-openai is not installed")
class LangChain(unittest.TestCase):
    def test_chat(self):
        from langchain_openai import ChatOpenAI

        chat = ChatOpenAI(base_url=URL, api_key="unused", model="aira-mini", temperature=0, max_tokens=40)
        self.assertEqual(chat.invoke(QUESTION).content, ANSWER)
        self.assertEqual("".join(chunk.content for chunk in chat.stream(QUESTION)), ANSWER)


@unittest.skipUnless(installed("litellm"), "litellm is not installed")
class LiteLlm(unittest.TestCase):
    def test_chat(self):
        import litellm

        common = {"model": "openai/aira-mini", "api_base": URL, "api_key": "unused", "messages": MESSAGES}
        self.assertEqual(litellm.completion(**common, **DETERMINED).choices[0].message.content, ANSWER)
        stream = litellm.completion(**common, stream=True, **DETERMINED)
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in stream), ANSWER)


@unittest.skipUnless(installed("llm"), "llm is not installed")
class Llm(unittest.TestCase):
    def test_prompt(self):
        with tempfile.TemporaryDirectory() as home:
            Path(home, "extra-openai-models.yaml").write_text(
                f"- model_id: aira\n  model_name: aira-mini\n  api_base: {URL}\n  api_key_name: aira\n")
            done = subprocess.run(
                [Path(sys.executable).with_name("llm"), "-m", "aira", "--key", "unused", "-o", "temperature", "0", QUESTION],
                env={**os.environ, "LLM_USER_PATH": home}, capture_output=True, text=True)  # fmt: skip
        self.assertEqual(done.stdout.strip(), ANSWER, done.stderr)


if __name__ == "__main__":
    names = ("openai", "langchain-openai", "litellm", "llm")
    found = [f"{name} {importlib.metadata.version(name)}" for name in names if installed(name.replace("-", "_"))]
    print("clients:", ", ".join(found), file=sys.stderr)
    unittest.main()
