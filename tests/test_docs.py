"""The documentation is the program's own word: commands, options, messages and tables."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import click
import pytest
from readme import blocks
from standins import SHELF

from lf_bridge.cli.main import lfb
from lf_bridge.recipe.load import section_of
from lf_bridge.recipe.model import Recipe
from lf_bridge.recipe.preparing import PrepareSettings

READMES = ("README.md", "README_zh.md")
PAGES = (*READMES, *(f"docs/{name}.md" for name in ("architecture", "commands", "data", "data-protection", "prepare")))


def test_both_readmes_have_the_same_commands_in_the_same_order() -> None:
    english, chinese = ([(block.kind, block.commands) for block in blocks(SHELF / name)] for name in READMES)
    assert english == chinese
    assert {kind for kind, _ in english} == {"clone", "tour", "server"}


def test_every_console_block_says_where_it_runs() -> None:
    for name in READMES:
        text = (SHELF / name).read_text(encoding="utf-8")
        assert text.count("```console") == len(blocks(SHELF / name))


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_one_that_the_program_takes(name: str) -> None:
    text = (SHELF / name).read_text(encoding="utf-8")
    written = re.findall(r"^\$? ?(lfb [a-z][^&\n]*)", text, re.MULTILINE) + re.findall(r"`(lfb [a-z][^`]*)`", text)
    assert len(written) > 10
    for line in written:
        command: click.Command = lfb
        arguments = shlex.split(line)[1:]
        while isinstance(command, click.Group) and arguments:
            word = arguments.pop(0)
            assert word in command.commands, line
            command = command.commands[word]
        if arguments:
            command.make_context(line, arguments)


def test_every_command_is_in_the_tables_and_has_its_help() -> None:
    page = (SHELF / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, command in lfb.commands.items():
        for readme in READMES:
            assert f"\n| `lfb {name}` | " in (SHELF / readme).read_text(encoding="utf-8"), f"{readme}: {name}"
        below = command.commands if isinstance(command, click.Group) else ()
        for path in (name, *(f"{name} {inner}" for inner in below)):
            assert f"\n## `lfb {path}`\n" in page


@pytest.mark.parametrize("name", PAGES)
def test_every_link_into_this_project_leads_somewhere(name: str) -> None:
    page = SHELF / name
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    assert links or name not in READMES
    for path, place in links:
        target = page.parent / path if path else page
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE) if place else []
        assert target.exists(), path
        assert not place or place in [heading.lower().replace(" ", "-") for heading in headings], f"{path}#{place}"


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_that_a_page_names_is_one(name: str) -> None:
    text = (SHELF / name).read_text(encoding="utf-8")
    for section, field in re.findall(r"`([a-z_]+)\.(?!py`)([a-z_]+)[`:=]", text):
        for model in (Recipe, PrepareSettings):
            inside = section_of(model, section)
            assert inside is None or field in inside.model_fields, f"{section}.{field}"


@pytest.mark.parametrize("name", READMES)
def test_every_message_of_the_troubleshooting_table_is_one_that_the_program_says(name: str) -> None:
    text = (SHELF / name).read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([^`|]+)` \| [^|]+ \|$", text.partition("## Limits")[0].partition("## 限制")[0], re.MULTILINE
    )
    messages = [row for row in rows if not row.startswith("lfb ")]
    assert len(messages) >= 10
    source = "".join(path.read_text(encoding="utf-8") for path in (SHELF / "lf_bridge").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", source)
    known = re.sub(r"\{[^{}]*\}", "", joined)
    assert [message for message in messages if message not in joined and message not in known] == []


@pytest.mark.parametrize("columns", ["40", "200"])
def test_what_the_program_writes_into_the_documentation_is_current_on_any_terminal(columns: str) -> None:
    done = subprocess.run(
        [sys.executable, SHELF / "docs" / "generate.py", "--check"],
        env={**os.environ, "COLUMNS": columns},
        capture_output=True,
        text=True,
        cwd=SHELF,
    )
    assert done.returncode == 0, done.stderr
