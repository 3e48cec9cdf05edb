#!/usr/bin/env python3
"""Writes the man page aira-cli(1) from what --help says.

man_page.py PROGRAM [pt] > aira-cli.1
"""

import os
import re
import subprocess
import sys

COLUMN = 34  # where --help describes options
WORDS = {
    "en": ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "NOTES", "THE COMMAND {}",
           "answers questions with a chat model"),
    "pt": ("NOME", "SINOPSE", "DESCRIÇÃO", "OPÇÕES", "NOTAS", "O COMANDO {}",
           "responde a perguntas com um modelo de conversa"),
}


def help_of(program, language, *words):
    env = dict(os.environ, AIRA_LANG=language)
    return subprocess.run([program, *words], env=env, check=True,
                          capture_output=True).stdout.decode().rstrip("\n")


def roff(text):
    """TEXT for roff: hyphens that can be copied, no line that is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def items_of(lines):
    """What lines of --help describe, and what they say of it."""
    found = []
    for line in lines:
        if line.startswith(" " * COLUMN):  # goes on
            tag, text = found.pop()
            found.append((tag, f"{text} {line.strip()}".strip()))
        elif re.match("  [a-z]", line):  # a command
            found.append(tuple(line.split(maxsplit=1)))
        elif line[COLUMN - 1:COLUMN] == " ":
            found.append((line[:COLUMN].strip(), line[COLUMN:]))
        else:
            found.append((line.strip(), ""))
    return found


def items(lines):
    """Tagged paragraphs."""
    return [line for tag, text in items_of(lines)
            for line in (".TP", f"\\fB{roff(tag)}\\fR", roff(text))]


def literal(lines):
    return [".EX", *map(roff, lines), ".EE"]


def section(title, lines, kind=".SH"):
    return [f'{kind} "{roff(title)}"', *lines]


def options(groups):
    out = []
    for group in groups:
        title, *lines = group.split("\n")
        is_list = lines and lines[0].lstrip().startswith("-")
        out += section(title.rstrip(":"), items(lines) if is_list else literal(lines), ".SS")
    return out


def page(program, language):
    words = WORDS[language]
    version = help_of(program, language, "--version").split()[1]
    about, usage, commands, *groups, notes = help_of(program, language, "--help").split("\n\n")
    command_lines = commands.split("\n")
    out = [f'.TH AIRA\\-CLI 1 "" "aira\\-cli {version}"',
           *section(words[0], [f"aira\\-cli \\- {words[6]}"]),
           *section(words[1], items(usage.split("\n"))),
           *section(words[2], about_lines(about)),
           *section(command_lines[0].rstrip(":"), items(command_lines[1:]), ".SS"),
           *section(words[3], options(groups)),
           *section(words[4], [roff(notes)])]
    for line in command_lines[1:]:
        name = line.split()[0]
        blocks = help_of(program, language, "help", name).split("\n\n")
        out += section(words[5].format(name), literal(blocks[0].split("\n")))
        own = [block for block in blocks[1:] if block not in groups]
        out += options(block for block in own if ":\n" in block)
        out += [roff(block) for block in own if ":\n" not in block]
    return "\n".join(out) + "\n"


def about_lines(text):
    """The last line is a command to be copied."""
    *lines, command = text.split("\n")
    return [*map(roff, lines), *literal([command])]


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "en"))
