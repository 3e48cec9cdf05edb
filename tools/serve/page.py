#!/usr/bin/env python3
"""Drives the web chat of a running `aira-cli serve` in Chromium: asking, streaming, stopping, another answer, the sliders,
probabilities and their alternatives, both languages, the keyboard alone, a phone's screen, dark and light, a server that
asks for a key; axe-core must find nothing on any screen. Screenshots go to FOLDER.

usage: page.py URL FOLDER [--slow-url URL] [--key-url URL KEY]
needs: playwright, axe-core-python (tools/serve/page-requirements.txt), Debian's chromium
"""
import argparse
import json
import unittest
from pathlib import Path

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

QUESTION = "Qual a capital do Brasil?"
ANSWER = "A capital do Brasil é Brasília."


class Page(unittest.TestCase):
    options: argparse.Namespace

    @classmethod
    def setUpClass(cls):
        cls.driver = sync_playwright().start()
        cls.browser = cls.driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.driver.stop()

    def open(self, url=None, locale="pt-BR", width=1100, height=800, **more):
        context = self.browser.new_context(locale=locale, viewport={"width": width, "height": height}, **more)
        self.addCleanup(context.close)
        page = context.new_page()
        self.problems = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: self.problems.append(request.url)
                if not request.url.startswith((url or self.options.url, "data:", "blob:")) else None)
        page.goto(url or self.options.url)
        expect(page.locator("#model")).not_to_be_empty()
        return page

    def setUp(self):
        self.problems = []

    def tearDown(self):
        self.assertEqual(self.problems, [])

    def shot(self, page, name):
        page.screenshot(path=str(self.options.folder / f"{name}.png"))

    def accessible(self, page):
        found = Axe().run(page)["violations"]
        self.assertEqual(found, [], json.dumps([(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]))

    def ask(self, page, question=QUESTION):
        page.get_by_label("Sua pergunta").fill(question)
        page.keyboard.press("Enter")

    def last(self, page):
        return page.locator(".answer").last

    def test_a_question_and_its_answer(self):
        page = self.open()
        self.accessible(page)
        self.shot(page, "empty")
        self.ask(page)
        expect(self.last(page)).to_have_text(ANSWER)
        expect(self.last(page)).to_have_attribute("aria-busy", "false")
        expect(page.locator("#said")).to_have_text("Resposta: " + ANSWER)
        self.accessible(page)
        page.reload()
        expect(self.last(page)).to_have_text(ANSWER)
        page.get_by_role("button", name="Editar 1").click()
        expect(page.get_by_label("Sua pergunta")).to_have_value(QUESTION)
        page.keyboard.press("Shift+Enter")
        expect(page.locator("article")).to_have_count(0)

    def test_another_answer_and_its_seed(self):
        page = self.open()
        self.ask(page, "Oi")
        expect(self.last(page)).to_have_attribute("aria-busy", "false")
        first = page.locator(".seed").inner_text()
        page.get_by_role("button", name="Outra resposta 1").click()
        expect(page.locator(".seed")).not_to_have_text(first)
        page.locator(".seed").click()
        page.get_by_role("button", name="Ajustes").click()
        expect(page.get_by_label("Semente")).to_have_value(page.locator(".seed").inner_text().split()[-1])
        page.get_by_role("button", name="Valores iniciais").click()
        expect(page.get_by_label("Semente")).to_have_value("")

    def test_sliders(self):
        page = self.open()
        page.get_by_role("button", name="Ajustes").click()
        expect(page.get_by_label("Temperatura")).to_have_value("0.2")
        self.accessible(page)
        self.shot(page, "settings")
        page.get_by_label("Comprimento máximo").fill("3")
        page.get_by_label("Temperatura").fill("0")
        page.get_by_label("Melhor de").fill("2")
        page.get_by_role("button", name="Fechar").click()
        with page.expect_request("**/v1/chat/completions") as sent:
            self.ask(page)
        body = sent.value.post_data_json
        self.assertEqual((body["temperature"], body["max_new_tokens"], body["best_of"], body["stream"]), (0, 3, 2, False))

    def test_probabilities_and_going_on_from_another_token(self):
        page = self.open()
        page.get_by_role("button", name="Ajustes").click()
        page.get_by_label("Colorir as palavras").check()
        page.get_by_role("button", name="Fechar").click()
        self.ask(page, "Por que o mar é salgado e o céu é azul?")
        expect(self.last(page)).to_have_attribute("aria-busy", "false")
        tokens = page.locator("button.token")
        self.assertGreater(tokens.count(), 5)
        before = self.last(page).inner_text()
        self.shot(page, "probabilities")
        self.accessible(page)
        tokens.nth(2).click()
        choices = page.locator("#alternatives li button")
        expect(choices).to_have_count(5)
        self.accessible(page)
        self.shot(page, "alternatives")
        choices.nth(1).click()
        expect(self.last(page)).to_have_attribute("aria-busy", "false")
        after = self.last(page).inner_text()
        self.assertNotEqual(after, before)
        kept = "".join(tokens.nth(i).inner_text() for i in range(2))
        self.assertTrue(after.replace(" ", "").startswith(kept), (kept, after))

    def test_stopping(self):
        if not self.options.slow_url:
            self.skipTest("no --slow-url")
        page = self.open(self.options.slow_url)
        page.get_by_role("button", name="Ajustes").click()
        page.get_by_label("Comprimento máximo").fill("500")
        page.get_by_role("button", name="Fechar").click()
        self.ask(page, "ola")
        expect(self.last(page)).not_to_have_text("")
        self.shot(page, "streaming")
        page.get_by_role("button", name="Parar").click()
        expect(self.last(page)).to_contain_text("(interrompida)")
        page.get_by_role("button", name="Outra resposta 1").click()
        expect(page.get_by_role("button", name="Parar")).to_be_visible()
        page.keyboard.press("Escape")
        expect(self.last(page)).to_contain_text("(interrompida)")

    def test_the_keyboard_alone(self):
        page = self.open()
        page.keyboard.press("Tab")
        for _ in range(30):
            if page.evaluate("document.activeElement.id") == "question":
                break
            page.keyboard.press("Tab")
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        expect(self.last(page)).to_have_text(ANSWER)
        self.assertEqual(page.evaluate("document.activeElement.id"), "question")

    def test_english(self):
        page = self.open(locale="en-US")
        expect(page.get_by_role("button", name="Settings")).to_be_visible()
        self.assertEqual(page.evaluate("document.documentElement.lang"), "en")
        page.get_by_role("button", name="Português").click()
        expect(page.get_by_role("button", name="Ajustes")).to_be_visible()
        page.reload()
        expect(page.get_by_role("button", name="Ajustes")).to_be_visible()

    def test_a_phone_in_the_dark(self):
        page = self.open(width=320, height=640, color_scheme="dark", reduced_motion="reduce", has_touch=True)
        self.ask(page)
        expect(self.last(page)).to_have_text(ANSWER)
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 320)
        small = page.evaluate("""[...document.querySelectorAll('button:not(.token), input[type=range]')].filter((one) => one.offsetParent)
                                 .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
                                 .filter(([, box]) => box.height < 44 || box.width < 44).map(([name]) => name)""")
        self.assertEqual(small, [])
        self.accessible(page)
        self.shot(page, "phone")

    def test_export_and_delete(self):
        page = self.open()
        self.ask(page)
        expect(self.last(page)).to_have_attribute("aria-busy", "false")
        page.get_by_role("button", name="Exportar").click()
        self.accessible(page)
        with page.expect_download() as got:
            page.get_by_role("button", name="Markdown").click()
        self.assertEqual(Path(got.value.path()).read_text(), f"**{QUESTION}**\n\n{ANSWER}\n")
        page.get_by_role("button", name="Exportar").click()
        with page.expect_download() as got:
            page.get_by_role("button", name="JSON").click()
        self.assertEqual(json.loads(Path(got.value.path()).read_text())[0]["answer"], ANSWER)
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Apagar tudo").click()
        expect(page.locator("article")).to_have_count(0)
        self.assertEqual(page.evaluate("localStorage.length"), 0)

    def test_a_key(self):
        if not self.options.key_url:
            self.skipTest("no --key-url")
        url, key = self.options.key_url
        context = self.browser.new_context(locale="pt-BR")
        self.addCleanup(context.close)
        self.problems = []
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Chave", exact=True).fill(key)
        page.get_by_role("button", name="OK").click()
        expect(page.locator("#model")).not_to_be_empty()
        self.ask(page)
        expect(self.last(page)).to_have_text(ANSWER)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slow-url")
    parser.add_argument("--key-url", nargs=2, metavar=("URL", "KEY"))
    Page.options, rest = parser.parse_known_args()
    Page.options.folder.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=["page.py", *rest])
