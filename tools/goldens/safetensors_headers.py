#!/usr/bin/env python3
"""Makes tests/data/safetensors.json: which files the reference reader of safetensors accepts.

Small files with a changed header, a wrong length or data too many or too few. A file is
[base, [[at, removed, inserted], ...], length, data]: the header is the base's with the edits made one
after the other, each byte a character of Latin-1; `length` is added to the length that stands before
it; `data` zeros follow. What counts is safe_open, by which transformers reads.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/safetensors_headers.py
"""

import json
import pathlib
import random
import re
import struct
import tempfile

import safetensors

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/safetensors.json"
RANDOM_FILES = 5000
# The byte sizes of the data follow the headers.
BASES = [
    ('{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
    ('{"__metadata__":{"format":"pt","a":"b"},"b":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},'
     '"a":{"shape":[2,1],"data_offsets":[6,14],"dtype":"F32"},'
     '"s":{"dtype":"BOOL","shape":[],"data_offsets":[14,15]}}  ', 15),
    ('{"a":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},'
     '"e":{"dtype":"I64","shape":[2,0],"data_offsets":[16,16]},'
     '"c":{"dtype":"U8","shape":[2],"data_offsets":[16,18]}}', 18),
]
NUMBERS = ['0', '1', '2', '3', '4', '6', '8', '14', '15', '16', '18', '-1', '-0', '00', '1.0', '1e0', '1e400',
           '4294967296', '9223372036854775807', '9223372036854775808', '18446744073709551615',
           '18446744073709551616']
STRINGS = ['""', '"t"', '"a"', '"F32"', '"f32"', '"F16"', '"F4"', '"F6_E2M3"', '"C64"', '"U8"', '"__metadata__"',
           '"dtype"', '"shape"', '"data_offsets"', '"x"', '"\\u0000"', '"\\u0061"', '"\\ud800"',
           '"\\ud83d\\ude00"', '"\\x"', '"\xff"', '"\xc3\xa9"', '"\t"', '"\\/"', '"\xed\xa0\x80"', '"\xc0\xaf"']
VALUES = ['null', 'true', '{}', '[]', '{"F32":null}', '[0,0]', '[0]', '[1,1,1,1,1,1,1,1,1]', '[0,4,4]',
          '[4294967296,4294967296]', '[9223372036854775807,0]', '[0,9223372036854775807,3]',
          '[18446744073709551615,0]', '["F32",[1],[0,4]]', '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}']
MEMBERS = ['"a":"a",', '"x":1,', '"x":null,', '"x":[[[1]]],', '"x":{"x":1,"x":{}},', '"x":-1.5e-3,', '"x":1e400,',
           '"x":"\\ud800",', '"__metadata__":{},', '"__metadata__":null,', '"__metadata__":{"a":1},',
           '"dtype":"F32",', '"shape":[1],', '"data_offsets":[0,4],',
           '"z":{"dtype":"F16","shape":[0],"data_offsets":[0,0]},',
           '"z":{"dtype":"F16","shape":[0],"data_offsets":[2,2]},',
           '"z":{"dtype":"F16","shape":[7,0],"data_offsets":[16,16]},']
SCRAPS = ['{', '}', '[', ']', ',', ':', ' ', '\n', '\r', '\0', '\x0c', '\x7f', '/**/', '\xef\xbb\xbf', '\xa0']
TYPES = ("BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 F64 I64 "
         "U64 C64 C128 F4 F6_E2M3 F6_E3M2 F8 U4 I4").split()
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.eE+]+|\w+|\S|\s+', re.S)


def tokens(text):
    return [(found.start(), found.end()) for found in TOKEN.finditer(text)]


def edited(text, edits):
    for at, removed, inserted in edits:
        text = text[:at] + inserted + text[at + removed:]
    return text


def chosen():
    """What random edits hardly find: types and their sizes, duplicates, order, padding, depth."""
    header, size = BASES[0]
    whole = lambda text: [[0, len(header), text]]  # noqa: E731
    entry = header[5:-1]
    for name in TYPES:
        for bits in (1, 2, 3, 4, 5, 6, 8, 16, 32, 64, 128):
            yield 0, whole(f'{{"t":{{"dtype":"{name}","shape":[8],"data_offsets":[0,{bits}]}}}}'), 0, bits
        yield 0, whole(f'{{"t":{{"dtype":"{name}","shape":[3],"data_offsets":[0,2]}}}}'), 0, 2
    second = entry.replace("[0,4]", "[4,8]")
    for text, data in [
            ("{}", 0), ("{}", 1), ("", 0), ("[]", 0), ("{}{}", 0), ("null", 0), ('{"__metadata__":{}}', 0),
            (f'{{"t":{entry},"t":{entry}}}', 4), (f'{{"t":{entry},"t":{second}}}', 8),
            (f'{{"t":{entry},"\\u0074":{entry}}}', 4), (f'{{"t":{second},"u":{entry}}}', 8),
            (f'{{"t":{second},"t":{entry}}}', 4), (f'{{"t":{entry},"u":{entry}}}', 4),
            ('{"__metadata__":{"a":"1","a":"2"}}', 0), ('{"__metadata__":{},"__metadata__":{}}', 0),
            ('{"t":["F32",[1],[0,4]]}', 4), (f'{{"__metadata__":{entry}}}', 4)]:
        yield 0, whole(text), 0, data
    for depth in (28, 29, 30, 31, 32, 100, 124, 125, 126, 127, 128):
        yield 0, [[6, 0, '"x":' + "[" * depth + "]" * depth + ","]], 0, size
    for length in (-8, -1, 1, 2, 4, 5, 8, 100_000_000, 2 ** 32, 2 ** 63):
        yield 0, [], length, size
    for kind in (" ", "\n", "\t", "\r", "\0", "x", "\xa0"):
        yield 0, [[len(header), 0, kind * 3]], 0, size
        yield 0, [[0, 0, kind]], 0, size


def change(draw, text):
    """An edit of `text`, rather one that leaves it JSON."""
    places = tokens(text)
    kind = draw.randrange(20)
    start, end = draw.choice(places)
    if kind == 0:
        return [start, end - start, ""]
    if kind == 1:
        at = draw.randrange(len(text))
        return [at, 1, chr(ord(text[at]) ^ 1 << draw.randrange(8))]
    if kind == 2:
        return [start, 0, draw.choice(SCRAPS)]
    if kind == 3:  # some tokens once more, or elsewhere
        first = draw.randrange(len(places))
        last = min(first + draw.randrange(1, 24), len(places)) - 1
        return [start, 0, text[places[first][0]:places[last][1]]]
    if kind < 8:
        start, end = draw.choice([place for place in places if text[place[0]] == "{"] or places)
        return [end, 0, draw.choice(MEMBERS)]
    if kind < 10:
        return [start, 0, draw.choice((" ", "\n", "\t", "\r"))]
    first, scraps = draw.choice((("-0123456789", NUMBERS), ('"', STRINGS), ('"0123456789', VALUES)))
    start, end = draw.choice([place for place in places if text[place[0]] in first] or places)
    return [start, end - start, draw.choice(scraps)]


def drawn(draw):
    base = draw.randrange(len(BASES))
    text, data = BASES[base]
    edits = []
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3))):
        edits.append(change(draw, text))
        text = edited(text, edits[-1:])
    length = draw.choice((-1, 1, 4)) if draw.random() < 0.02 else 0
    if draw.random() < 0.1:
        data = max(0, data + draw.choice((-4, -1, 1, 4)))
    return base, edits, length, data


def content(base, edits, length, data):
    header = edited(BASES[base][0], edits).encode("latin-1")
    return struct.pack("<Q", len(header) + length) + header + bytes(data)


def accepts(path, file):
    path.write_bytes(file)
    try:
        with safetensors.safe_open(path, "np") as opened:
            opened.keys()
        return True
    except safetensors.SafetensorError:
        return False


def main():
    draw = random.Random(18)
    files = list(chosen()) + [drawn(draw) for _ in range(RANDOM_FILES)]
    found = {"accepted": [], "refused": []}
    seen = set()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "f.safetensors"
        for file in files:
            made = content(*file)
            if made in seen:
                continue
            seen.add(made)
            found["accepted" if accepts(path, made) else "refused"].append(file)
    with open(OUT, "w", encoding="ascii") as out:
        out.write('{"safetensors":' + json.dumps(safetensors.__version__))
        out.write(',"bases":' + json.dumps([header for header, _ in BASES]))
        for name, rows in found.items():
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
            out.write(f',\n"{name}":[\n{rows}]')
        out.write("}\n")
    print({name: len(rows) for name, rows in found.items()}, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
