"""The console blocks of a README, as the tests run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"<!-- run: (\w+) -->\n+```(\w+)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    kind: str
    language: str
    commands: tuple[str, ...]


def blocks(path: Path) -> list[Block]:
    found = []
    for kind, language, body in _BLOCK.findall(path.read_text(encoding="utf-8")):
        commands = tuple(re.split(r"^\$ ", body, flags=re.MULTILINE)[1:])
        found.append(Block(kind, language, tuple(command.strip() for command in commands)))
    return found
