"""LLaMA-Factory's chat templates as plain pieces, and the same pieces as an Ollama TEMPLATE.

``templates.json`` is the output of ``inside/templates.py``; a test makes it again and compares.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from lf_bridge.errors import LfbError
from lf_bridge.handover import ChatTemplate

TABLE = Path(__file__).with_name("templates.json")


def template_names() -> tuple[str, ...]:
    """The names of all templates that can be served as they were trained."""
    return tuple(sorted(name for name, entry in _read_table().items() if "refused" not in entry))


def chat_template(name: str, *, bos: str, eos: str) -> ChatTemplate:
    """The template of this name for a tokenizer whose BOS and EOS texts these are (empty where it has none).

    ``eos`` is the one that LLaMA-Factory saved with the model. Raises ``LfbError`` for a name that LLaMA-Factory does
    not have, and for a template that cannot be served as it was trained.
    """
    table = _read_table()
    if name not in table:
        near = difflib.get_close_matches(name, table, n=3)
        raise LfbError(
            f"`{name}` is not a chat template of LLaMA-Factory",
            hint=("did you mean " + " or ".join(f"`{one}`" for one in near) + "? " if near else "")
            + "set `model.template` to the one that belongs to the base model",
        )
    entry = table[name]
    if "refused" in entry:
        reason, _, advice = entry["refused"].partition("; ")
        raise LfbError(f"the chat template `{name}` cannot be served as it was trained: {reason}", hint=advice)

    def fill(piece: str) -> str:
        return piece.replace("{bos}", bos).replace("{eos}", eos)

    stop = dict.fromkeys([*entry["stop"], eos])  # the order kept, each text once
    return ChatTemplate(
        name=name,
        prefix=fill(entry["prefix"]),
        system=fill(entry["system"]),
        user=fill(entry["user"]),
        assistant=fill(entry["assistant"]),
        stop=tuple(text for text in stop if text),
    )


def go_template(template: ChatTemplate) -> str:
    """The template in Go's language, as Ollama's TEMPLATE takes it.

    The tag's SYSTEM reaches it as a first message of the role ``system``, unless the client sends its own. Nothing
    follows the last message: a user's piece ends where the answer begins.
    """
    branches = "{{ else ".join(
        f'if eq .Role "{role}" }}}}{_escape(before)}{{{{ .Content }}}}{_escape(after)}'
        for role, piece in (("system", template.system), ("user", template.user), ("assistant", template.assistant))
        for before, _, after in [piece.partition("{{content}}")]
    )
    return f"{_escape(template.prefix)}{{{{ range .Messages }}}}{{{{ {branches}{{{{ end }}}}{{{{ end }}}}"


def _escape(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def _read_table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))["templates"]
    return table
