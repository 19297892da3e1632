"""Rewrite what the documentation takes from the program: `python docs/generate.py`, or `--check` to fail on drift."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

import click

from lf_bridge.cli.main import lfb
from lf_bridge.prepare.formats import columns, sniff
from lf_bridge.prepare.report_words import REASONS
from lf_bridge.recipe.describe import markdown_table
from lf_bridge.recipe.preparing import Mapping, PrepareSettings
from lf_bridge.runtime.templates import template_names

ROOT = Path(__file__).parents[1]
FILES = ("README.md", "README_zh.md", "docs/commands.md", "docs/prepare.md")
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


def format_names() -> str:
    """The formats that are read, by name."""
    return ", ".join(f"`{one.name}`" for one in sniff.formats())


def format_table() -> str:
    """Every format with what it needs and where its schema was read."""
    rows = [
        f"| `{one.name}` | {one.title} | {'; '.join(one.needs)} | {one.schema or 'schema unverified'} |"
        for one in sniff.formats()
    ]
    return "\n".join(["| format | reads | needs | schema |", "|---|---|---|---|", *rows])


def column_table() -> str:
    """The names that a column can have, and the words that say who wrote a message."""
    roles = {"customer": columns.CUSTOMER, "agent": columns.AGENT, "bot": columns.BOT, "system": columns.SYSTEM}
    known = {**columns.NAMES, **{f"a role cell: {role}": sorted(words) for role, words in roles.items()}}
    rows = [f"| {meaning} | {', '.join(f'`{name}`' for name in names)} |" for meaning, names in known.items()]
    return "\n".join(["| meaning | names |", "|---|---|", *rows])


def reason_table() -> str:
    """Every word that ledger and report can give as a reason, with its sentence."""
    rows = [f"| `{word}` | {sentence} |" for word, sentence in REASONS.items()]
    return "\n".join(["| reason | what it says |", "|---|---|", *rows])


@cache
def screen(*arguments: str) -> str:
    """What ``lfb`` prints on the sample, with a key of its own in a folder of its own, as a console block."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name in ("recipes", "data/sample"):
            shutil.copytree(ROOT / name, root / name)
        own = {"LFB_KEY": "of the documentation", "HF_HOME": str(root), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "lf_bridge", *arguments],
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
            cwd=root,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return f"```text\n{done.stdout.replace(f'{root}{os.sep}', '')}```"


def template_list() -> str:
    """The chat templates that can be published."""
    return ", ".join(f"`{name}`" for name in template_names())


PARTS = {
    "commands": command_table,
    "help": command_help,
    "formats": format_names,
    "format_table": format_table,
    "columns": column_table,
    "reasons": reason_table,
    "inspect": partial(screen, "inspect", "data/sample"),
    "prepare": partial(screen, "prepare", "data/sample"),
    "templates": template_list,
    "recipe": markdown_table,
    "settings": partial(markdown_table, PrepareSettings),
    "mapping": partial(markdown_table, Mapping),
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
