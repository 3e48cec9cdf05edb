#!/usr/bin/env python3
"""Draws the README's picture: a session with the built-in model, typed into a real terminal (tmux).

usage: session.py [aira-cli]      writes session.svg beside this file; needs tmux
"""
import subprocess
import sys
import textwrap
import time
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 400, 60  # of the terminal, in characters: wide enough that it wraps nothing itself
COLUMNS = 84  # of the picture
LINE, CHARACTER, MARGIN = 20, 8.43, 18  # pixels
SCRIPT = (
    ('aira-cli "Qual a capital do Brasil?"', 1.0),
    ("printf 'quanto é 7 mais 5?\\ncapital da franca\\n' | aira-cli --quiet", 1.0),
    ("aira-cli --quiet --choose 'Lisboa|Roma|Madri' 'Qual a capital da Itália?'", 1.0),
    ("aira-cli --quiet", 1.0),
    ("O que é um modelo de linguagem?", 1.5),
    ("Você sabe alguma coisa sobre Ética das Virtudes?", 1.5),
    ("Obrigado!", 1.0),
    ("/exit", 0.5),
)


def tmux(*arguments: str) -> str:
    return subprocess.run(["tmux", "-L", "aira-session", *arguments], check=True, capture_output=True, text=True).stdout


def record(program: Path) -> list[str]:
    """The lines on the screen once everything has been typed."""
    size = ("-x", str(WIDTH), "-y", str(HEIGHT))
    shell = f"env -u AIRA_MODEL LANG=C.UTF-8 HF_HOME=/nonexistent PATH={program.parent}:$PATH PS1='$ ' bash --norc --noprofile"
    tmux("new-session", "-d", "-s", "s", *size, shell)
    try:
        time.sleep(1)
        for keys, seconds in SCRIPT:
            tmux("send-keys", "-t", "s", "-l", keys)
            tmux("send-keys", "-t", "s", "Enter")
            time.sleep(seconds)
        lines = tmux("capture-pane", "-p", "-t", "s").rstrip().splitlines()
    finally:
        tmux("kill-server")
    return lines[:-1] if lines[-1] == "$" else lines  # the prompt that waits for more


def draw(lines: list[str]) -> str:
    rows = [(row, line.startswith(("$ ", "> "))) for line in lines for row in textwrap.wrap(line, COLUMNS) or [""]]
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, len(rows) * LINE + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        'font-size="14" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace">',
        '<rect width="100%" height="100%" rx="8" fill="#14181f"/>',
    ]
    for number, (row, typed) in enumerate(rows):
        y = MARGIN + (number + 0.75) * LINE
        if row:
            parts.append(f'<text x="{MARGIN}" y="{y:.0f}" fill="{"#8fd0a5" if typed else "#e3e7ee"}" xml:space="preserve">{escape(row)}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "build" / "aira-cli"
    screen = record(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default)
    Path(__file__).with_name("session.svg").write_text(draw(screen), encoding="utf8")
    print("\n".join(screen))
