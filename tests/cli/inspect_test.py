"""score --tokens, tokenize --pieces and bench --plot: what the model sees, as tables and a chart."""

import json
import math
import os
import re
import xml.etree.ElementTree

from harness import CliTest, Terminal, main, model, run, scratch


class ScoreTokens(CliTest):
    TEXT = 'Ação é "tudo".\n\\o/ \u00a0😀'

    def scored(self):
        [line] = self.json_lines("-m", model(), "score", stdin=json.dumps({"text": self.TEXT}))
        return [(token["id"], -token["logprob"] / math.log(2)) for token in line["tokens"]]

    def visible(self, byte):
        text = {ord('"'): '\\"', ord("\\"): "\\\\", 10: "\\n"}.get(byte)
        return f'"{text or (chr(byte) if byte < 127 else f"{chr(92)}x{byte:02x}")}"'

    def test_columns_in_a_pipe(self):
        expected = "".join(f"{bits:.4f}\t{id}\t{self.visible(id)}\n" for id, bits in self.scored())
        with open(scratch("texto"), "w", encoding="utf8") as file:
            file.write(self.TEXT)
        for args, text in ((("--text", self.TEXT), b""), ((), self.TEXT.encode()),
                           (("-f", scratch("texto")), b"")):
            code, out, err = run("score", "-m", model(), "--tokens", *args, stdin=text)
            self.assertEqual((code, out.decode()), (0, expected))
            total = sum(bits for _, bits in self.scored())
            self.assertRegex(err, rf"\Aaira-cli: {len(self.TEXT.encode())} tokens, {total:.1f} bits, "
                                  r"[0-9.]+ bits per token, perplexity [0-9.]+\.\n\Z")
        self.assertEqual(run("score", "-q", "-m", model(), "--tokens", stdin="é")[2], "")

    def test_bars_on_a_terminal(self):
        terminal = Terminal("score", "-q", "-m", model(), "--tokens", "--text", self.TEXT)
        self.assertEqual(terminal.end(), 0)
        lines = terminal.screen.splitlines()
        self.assertEqual(len(lines), len(self.TEXT.encode()))
        for line, (id, bits) in zip(lines, self.scored()):
            number, bar, text = line[:7], line[8:32], line[33:]
            self.assertEqual((number.strip(), text), (f"{bits:.2f}", self.visible(id)))
            whole = min(24, int(bits))
            self.assertEqual(bar[:whole], "█" * whole)
            part = "▏▎▍▌▋▊▉".find(bar[whole]) + 1 if whole < 24 else 0
            self.assertEqual(part, int(8 * bits) - 8 * whole if whole < 24 else 0)
            self.assertEqual(bar[whole + 1:].strip(), "")

    def test_a_long_text(self):
        out = self.succeed("score", "-m", model(), "--tokens", stdin="ção " * 100)
        self.assertEqual(len(out.splitlines()), 600)

    def test_wrong_usage(self):
        for args, says in ((("--tokens", "--perplexity"), "use one of them"),
                           (("--text", "a", "-f", "b", "--tokens"), "both bring the text"),
                           (("--text", "a"), "--text is one text, for --tokens or --perplexity")):
            self.assertIn(says, self.fail_with(2, "score", *args))
        self.assertIn("is empty", self.fail_with(1, "score", "-m", model(), "--tokens", stdin=""))
        self.assertIn("nirgends", self.fail_with(1, "score", "-m", model(), "--tokens", "-f",
                                                 "nirgends"))


class TokenizePieces(CliTest):
    def test_lines(self):
        out = self.succeed("tokenize", "-m", model(), "--pieces", stdin='a é"\\\n\n')
        self.assertEqual(out.decode(), r'97 "a" 32 " " 195 "\xc3" 169 "\xa9" 34 "\"" 92 "\\"' "\n\n")

    def test_whole_tokens(self):
        out = self.succeed("tokenize", "-q", "--pieces", stdin="Olá, João<|endofcompletion|>\n")
        self.assertEqual(out.decode(), '737 "Olá" 11 "," 3437 " João" 3998 "<|endofcompletion|>"\n')

    def test_ids_to_pieces(self):
        out = self.succeed("tokenize", "-m", model(), "--decode", "--pieces",
                           stdin="256 10 9 194 160 127 100000\n")
        self.assertEqual(out.decode(), r'256 "<|endoftext|>" 10 "\n" 9 "\t" 194 "\xc2" 160 "\xa0" '
                                       r'127 "\x7f" 100000 ""' "\n")

    def test_json_lines(self):
        [line] = self.json_lines("tokenize", "-m", model(), "--jsonl", "--pieces",
                                 stdin=json.dumps({"text": 'é "\\'}))
        self.assertEqual(list(line), ["model", "ids", "pieces"])
        self.assertEqual(line["pieces"], ["\\xc3", "\\xa9", " ", '"', "\\\\"])
        [line] = self.json_lines("tokenize", "-m", model(), "--jsonl", "--pieces", "--decode",
                                 stdin=json.dumps({"ids": [195, 169]}))
        self.assertEqual((line["text"], line["pieces"]), ("é", ["\\xc3", "\\xa9"]))

    def test_on_a_terminal(self):
        terminal = Terminal("tokenize", "-m", model(), "--pieces", "-f", scratch("pedaços"))
        self.assertEqual(terminal.end(), 1)
        with open(scratch("pedaços"), "w", encoding="utf8") as file:
            file.write("\x1b[31mé\n")
        terminal = Terminal("tokenize", "-m", model(), "--pieces", "-f", scratch("pedaços"))
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.raw.decode().strip(),
                         r'27 "\x1b" 91 "[" 51 "3" 49 "1" 109 "m" 195 "\xc3" 169 "\xa9"')


class BenchPlot(CliTest):
    BENCH = ("bench", "-q", "-p", "9", "-n", "5", "-r", "2")

    def test_a_chart(self):
        folder = model()
        named = scratch("a & <é>")
        os.symlink(folder, named)
        file = scratch("gráfico.svg")
        with open(file, "w") as old:
            old.write("old")
        table = self.succeed(*self.BENCH, "-m", named, "--plot", file).decode()
        root = xml.etree.ElementTree.parse(file).getroot()
        texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("a & <é>", texts[0])
        for line in table.splitlines()[5:]:
            label, speed = re.match(r"(.*?)  +([0-9.]+)", line).groups()
            at = texts.index(label)
            self.assertAlmostEqual(float(texts[at + 1]), float(speed), delta=0.51)
        bars = [bar for bar in root.iter("{http://www.w3.org/2000/svg}rect")
                if bar.get("class") == "bar"]
        self.assertEqual(len(bars), len(table.splitlines()) - 5)
        self.assertIn("tokens per second; longer is better", texts)
        with open(file, encoding="utf8") as written:
            self.assertIn("prefers-color-scheme: dark", written.read())
        for element in root.iter():
            for key in ("x", "x1", "x2"):
                self.assertTrue(0 <= int(element.get(key, 0)) <= 720)
        self.assertEqual([name for name in os.listdir(scratch("")) if "unfinished" in name], [])

    def test_where_no_chart_can_be(self):
        os.mkdir(scratch("pasta.svg"))
        for file, code in ((scratch("a.png"), 2), ("/nowhere/a.svg", 1), (scratch("pasta.svg"), 1)):
            err = self.fail_with(code, *self.BENCH, "-m", "/nowhere", "--plot", file)
            self.assertIn(file, err)


if __name__ == "__main__":
    main()
