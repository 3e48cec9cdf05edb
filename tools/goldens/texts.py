"""Adversarial texts for tokenizers, the same on every machine: all Unicode general categories, mixes
of white space, contractions, scripts, emoji and look-alikes of special tokens, long runs, and bytes
that are not UTF-8."""

import random
import sys
import unicodedata

MARKERS = [
    "<|endoftext|>", "<|startofinstruction|>", "<|endofinstruction|>", "<|endofcompletion|>", "<|pad|>",
    "<|unk|>", "<|start|>", "<|end|>", "<|end|>x", "[L]", "[R]", "[LR]", "palavra", "coração", "não",
    "日本", "ab", "abc", "bcd", "<|", "|>", " x", "é", "the", "<|endoftext", "endoftext|>", "<|END|>",
    "<||>", "< |endoftext|>", "<|endoftext|>s",
]
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\v", "\f", "\x85", "\xa0", "\u1680",
          "\u2003", "\u2028", "\u2029", "\u202f", "\u3000", "\u200b", "\u180e", "\ufeff", "\x1c", "\x1f"]
QUOTES = ["'", "''", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "\u2019s", "'l", "'r", "'v",
          " 's", "n't", "d'água", "'a", "'1", "' s"]
WORDS = ["a", "A", "olá", "você", "ação", "Não", "über", "naïve", "straße", "ǅ", "ﬁ", "the", "World", "é", "e\u0301",
         "o\u0302\u0303", "Привет", "мир", "שלום", "مرحبا", "नमस्ते", "ไทย", "한국어", "日本語", "中文", "ʰ", "ª", "º", "𝒜",
         "𐐀", "İ", "ı", "ß", "palavras", "apalavra", "corações", "xab", "abcd", "abcbcd", "_", "__init__"]
NUMBERS = ["0", "1", "42", "1984", "3.14", "1,000", "٣", "५", "Ⅷ", "²", "½", "①", "𝟘", "〇", "一", "1º", "2ª"]
SYMBOLS = [".", ",", "...", "!", "?!", "-", "--", "—", "(", ")", "[", "]", "{", "}", "<", ">", "|", "/", "\\", "@",
           "#", "$", "€", "%", "&", "*", "+", "=", "~", "`", "^", "«", "»", "¿", "¡", "·", "©", "°", "\u0301",
           "\u20dd", "\u0e31", "\ufffd", "\x00", "\x01", "\x1b", "\x7f", "\x80", "\xad", "\u200c", "\u200d",
           "\u202e", "\u2066", "\ue000", "\U000f0000", "\U0010ffff", "\uffff", "\u0378", "\U000e0041",
           "😀", "👨\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "👍🏽", "🇧🇷", "🇧", "❤️", "1️⃣", "\ufe0f"]
BROKEN = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3(", b"\xe0\x80\x80", b"\xe0\xa0", b"\xe1\x80",
          b"\xe2\x82", b"\xe2\x82(", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xef\xbf",
          b"\xf0\x80\x80\x80", b"\xf0\x90\x80", b"\xf0\x9f\x98", b"\xf0\x9f", b"\xf0", b"\xf1\x80\x80(",
          b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xff\xfe",
          b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA", b"\xc3\xc3\xa9", b"\xe2\xe2\x82\xac"]


def by_category(rng, each):
    """A sample of code points of every general category, Cn and Co included, Cs (surrogates) not."""
    groups = {}
    for code in range(sys.maxunicode + 1):
        groups.setdefault(unicodedata.category(chr(code)), []).append(code)
    del groups["Cs"]
    for name in sorted(groups):
        codes = groups[name]
        for code in sorted(rng.sample(codes, min(each, len(codes)))):
            yield chr(code)


def mixture(rng, longest):
    pools = [SPACES, SPACES, QUOTES, WORDS, WORDS, NUMBERS, SYMBOLS, MARKERS]
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, longest)))


def broken(rng):
    parts = []
    for _ in range(rng.randint(1, 8)):
        kind = rng.random()
        if kind < 0.4:
            parts.append(rng.choice(BROKEN))
        elif kind < 0.6:
            parts.append(rng.randbytes(rng.randint(1, 6)))
        else:
            letters = mixture(rng, 2).encode()
            parts.append(letters[: rng.randint(1, len(letters))])
    return b"".join(parts)


def random_text(rng):
    """One text as bytes: most are valid UTF-8."""
    kind = rng.random()
    if kind < 0.6:
        return mixture(rng, 14).encode()
    if kind < 0.8:
        codes = [rng.randint(0, 0x10FFFF) if rng.random() < 0.5 else rng.randint(0, 0x2FFF) for _ in range(8)]
        return "".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000).encode()
    return broken(rng)


def texts():
    """2,400 or so texts as bytes, shuffled."""
    rng = random.Random(20240607)
    out = [b"", b" ", b"  ", b"\n", b"a", b"'", b"\x00", b"\xef\xbb\xbfBOM"]
    for one in by_category(rng, 14):
        out.append(one.encode())
        out.append(f" {one}{one} a{one}b1{one}2 {one}'s\n{one}.{one} ".encode())
    for run in ["a", " ", "\n", "\t ", "é", "e\u0301", "'", "'s", "ab", "9", "!", "=", "-", "\u3000", "😀", "\u0301",
                "\ufffd", "<|endoftext|>", "<|end|>", "palavra ", " x", "  [LR]  ", "aA1 ", "日本"]:
        for length in (2, 3, 7, 33, 64, 150):
            out.append((run * length).encode())
            out.append((run * length + "z").encode())
    for marker in MARKERS:
        for form in ("{}", " {}", "{} ", "  {}  ", "a{}", "{}a", "_{}", "{}1", "\n{}\n", "{}{}", "{} {}", "ǅ{}", "{}\u0301",
                     "\u200d{}", "ab{}cd"):
            out.append(form.replace("{}", marker).encode())
    out.extend(BROKEN)
    out.extend(broken(rng) for _ in range(220))
    out.extend(mixture(rng, 12).encode() for _ in range(500))
    out = list(dict.fromkeys(out))
    rng.shuffle(out)
    return out
