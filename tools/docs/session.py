#!/usr/bin/env python3
"""Draws the README's picture: a real session with the built-in model, typed into a real terminal (tmux).

usage: session.py [aira-cli]      writes session.svg beside this file; needs tmux
"""
import subprocess
import sys
import time
from html import escape
from pathlib import Path

COLUMNS, ROWS = 92, 22
LINE, CHARACTER, MARGIN = 19, 8.43, 18  # pixels
SCRIPT = (
    ('aira-cli "Qual a capital do Brasil?"', 1.0),
    ("printf 'quanto é 7 mais 5?\\ncapital da franca\\n' | aira-cli --quiet", 1.0),
    ("aira-cli --quiet", 1.0),
    ("O que é um modelo de linguagem?", 1.5),
    ("Você sabe alguma coisa sobre Ética das Virtudes?", 1.5),
    ("Obrigado!", 1.0),
    ("/exit", 0.5),
)


def tmux(*arguments: str) -> str:
    return subprocess.run(["tmux", "-L", "aira-session", *arguments], check=True, capture_output=True, text=True).stdout


def record(program: Path) -> list[str]:
    """The screen's lines after everything was typed."""
    size = ("-x", str(COLUMNS), "-y", str(ROWS))
    shell = f"env -u AIRA_MODEL LANG=C.UTF-8 HF_HOME=/nonexistent PATH={program.parent}:$PATH PS1='$ ' bash --norc --noprofile"
    tmux("new-session", "-d", "-s", "s", *size, shell)
    try:
        time.sleep(1)
        for keys, seconds in SCRIPT:
            tmux("send-keys", "-t", "s", "-l", keys)
            tmux("send-keys", "-t", "s", "Enter")
            time.sleep(seconds)
        return tmux("capture-pane", "-p", "-t", "s").rstrip().splitlines()
    finally:
        tmux("kill-server")


def draw(lines: list[str]) -> str:
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-size="14" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace">',
        '<rect width="100%" height="100%" rx="8" fill="#14181f"/>',
    ]
    for number, line in enumerate(lines):
        typed = line.startswith(("$ ", "> "))
        y = MARGIN + (number + 0.75) * LINE
        if line:
            parts.append(f'<text x="{MARGIN}" y="{y:.0f}" fill="{"#8fd0a5" if typed else "#e3e7ee"}" xml:space="preserve">{escape(line)}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "build" / "aira-cli"
    screen = record(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default)
    Path(__file__).with_name("session.svg").write_text(draw(screen), encoding="utf8")
    print("\n".join(screen))
