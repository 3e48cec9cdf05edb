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


def is_item(line):
    """Whether the line has something to describe, and its description from COLUMN on."""
    return line[:1].strip() != "" and line[COLUMN - 2:COLUMN] == "  " or line.lstrip().startswith("-")


def items(lines):
    """Tagged paragraphs."""
    out = []
    for line in lines:
        if is_item(line):
            tag, text = (line, "") if len(line) <= COLUMN else (line[:COLUMN], line[COLUMN:])
            out += [".TP", f"\\fB{roff(tag.strip())}\\fR"]
        elif line.startswith(" " * COLUMN):
            text = line[COLUMN:]
        else:
            name, text = line.split(maxsplit=1)
            out += [".TP", f"\\fB{roff(name)}\\fR"]
        if text:
            out.append(roff(text))
    return out


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
    version = help_of(program, language, "--version").split()[-1]
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
        out += options(block for block in blocks[1:] if re.match(r".*:\n", block))
        out += [roff(line) for block in blocks[1:] if not re.match(r".*:\n", block)
                for line in ["", *block.split("\n")] if line]
    return "\n".join(out) + "\n"


def about_lines(text):
    """The last line is a command to be copied."""
    *lines, command = text.split("\n")
    return [*map(roff, lines), *literal([command])]


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "en"))
