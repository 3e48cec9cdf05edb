"""Writes what Unicode classes the regular expressions inside `tokenizers` use.

tests/data/tokenizer/classes.txt: every run of code points with one class, found by asking the real
library about each of the 1,112,064. src/text/unicode_additions.inc: the few that the installed
libutf8proc holds unassigned. src/text/unicode_late.inc: those that the normalizers of `tokenizers`,
made of older tables than libutf8proc, leave as they are.

    python tools/goldens/unicode.py
"""

import ctypes
import pathlib

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def piece_class(split, letter):
    """L, N, S or O: the class of a letter is that of the neighbour it forms one piece with."""
    for name, neighbour in (("L", "a"), ("N", "1"), ("O", "!")):
        if len(split(neighbour + letter)) == 1:
            return name
    return "S"


def classes():
    """code point -> its class, then w when it is a word character."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    tokenizer.add_tokens([AddedToken("ab", single_word=True, normalized=False)])
    found = {}
    for code in CODE_POINTS:
        word = 2 not in tokenizer.encode(chr(code) + "ab").ids
        found[code] = piece_class(split, chr(code)) + ("w" if word else "")
    return found


def runs(found):
    """[first, last, class] of maximal runs."""
    out = []
    for code, name in found.items():
        if out and out[-1][1] == code - 1 and out[-1][2] == name:
            out[-1][1] = code
        else:
            out.append([code, code, name])
    return out


def write_additions(found, path):
    category = ctypes.CDLL("libutf8proc.so.2").utf8proc_category
    kinds = {"Lw": "kLetter", "Nw": "kNumber", "Ow": "kOther"}
    late = {c: n for c, n in found.items() if n != "O" and category(c) == 0}
    lines = [
        f"{{0x{first:04X}, 0x{last:04X}, Kind::{kinds[name]}}},"
        for first, last, name in runs(late)
    ]
    path.write_text(
        "// Made by tools/goldens/unicode.py: what `tokenizers` (see tools/goldens/requirements.txt) takes\n"
        f"// for letters, numbers and marks, {len(late):,} code points, and utf8proc 2.8 (Unicode 15.0) holds\n"
        "// unassigned.\n" + "".join(" ".join(lines[i : i + 2]) + "\n" for i in range(0, len(lines), 2))
    )
    return len(late)


def is_late(code, library):
    """Whether it is a mark, or decomposes, for utf8proc alone."""
    letter = chr(code)
    mark = 6 <= library.utf8proc_category(code) <= 8
    if mark and normalizers.StripAccents().normalize_str("a" + letter) != "a":
        return True
    text = ctypes.create_string_buffer(letter.encode())
    library.utf8proc_NFKD.restype = ctypes.c_char_p
    return code > 0 and library.utf8proc_NFKD(text).decode() != normalizers.NFKD().normalize_str(letter)


def write_late(path):
    library = ctypes.CDLL("libutf8proc.so.2")
    late = {c: "" for c in CODE_POINTS if is_late(c, library)}
    ranges = [f"{{0x{first:04X}, 0x{last:04X}}}," for first, last, _ in runs(late)]
    path.write_text(
        f"// Made by tools/goldens/unicode.py: {len(late):,} code points that the normalizers of `tokenizers`\n"
        "// leave as they are, unlike utf8proc 2.8 (Unicode 15.0).\n"
        + "".join(" ".join(ranges[i : i + 4]) + "\n" for i in range(0, len(ranges), 4))
    )
    return len(late)


def main():
    found = classes()
    path = ROOT / "tests/data/tokenizer/classes.txt"
    path.write_text("".join(f"{a:X} {b:X} {name}\n" for a, b, name in runs(found)))
    late = write_additions(found, ROOT / "src/text/unicode_additions.inc")
    print(f"{len(found)} code points, {late} beyond utf8proc, {write_late(ROOT / 'src/text/unicode_late.inc')} late")


if __name__ == "__main__":
    main()
