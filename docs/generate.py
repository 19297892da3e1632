"""Rewrite what the documentation takes from the program: `python docs/generate.py`, or `--check` to fail on drift."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from lf_bridge.cli.main import lfb
from lf_bridge.prepare.formats.columns import AGENT, CUSTOMER, NAMES
from lf_bridge.recipe.describe import markdown_table
from lf_bridge.runtime.templates import template_names

ROOT = Path(__file__).parents[1]
FILES = ("README.md", "README_zh.md", "docs/commands.md")
_WIDTH = 100  # of help texts, whatever terminal this runs in
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def command_table() -> str:
    """Every command with the first sentence of its help."""
    rows = [f"| `lfb {name}` | {command.get_short_help_str(200)} |" for name, command in lfb.commands.items()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def command_help() -> str:
    """The whole help of every command, subcommands included."""
    parts = []
    for name, command in lfb.commands.items():
        below = command.commands if isinstance(command, click.Group) else {}
        for path, each in [(name, command), *((f"{name} {inner}", below[inner]) for inner in below)]:
            context = click.Context(each, info_name=f"lfb {path}", terminal_width=_WIDTH)
            parts.append(f"## `lfb {path}`\n\n```text\n{each.get_help(context)}\n```")
    return "\n\n".join(parts)


def column_table() -> str:
    """The names that a column can have, and the words that say who wrote a message."""
    known = {**NAMES, "a role cell of the customer": sorted(CUSTOMER), "a role cell of the agent": sorted(AGENT)}
    rows = [f"| {meaning} | {', '.join(f'`{name}`' for name in names)} |" for meaning, names in known.items()]
    return "\n".join(["| meaning | names |", "|---|---|", *rows])


def template_list() -> str:
    """The chat templates that can be published."""
    return ", ".join(f"`{name}`" for name in template_names())


PARTS = {
    "commands": command_table,
    "help": command_help,
    "columns": column_table,
    "templates": template_list,
    "recipe": markdown_table,
}


def main() -> int:
    """Rewrite the files, or with ``--check`` name those that are not current."""
    stale = []
    for path in (ROOT / name for name in FILES):
        text = path.read_text(encoding="utf-8")
        new = _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[3]}", text)
        if new != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"error: not current: {', '.join(stale)}\n\nhint: python docs/generate.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
