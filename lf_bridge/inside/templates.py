"""Write down LLaMA-Factory's chat templates as plain pieces of text.

Runs in the training environment: ``python templates.py request.json response.json``; the request is ``{}``. The
answer is the table that ``lf_bridge/runtime/templates.json`` holds. For each template it gives either ``prefix``,
``system``, ``user``, ``assistant`` (``{{content}}`` where the turn's words go, ``{bos}`` and ``{eos}`` where the
tokenizer's own tokens go), ``stop`` and ``default_system``, or ``refused``: why pieces cannot say it.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import Any

BOS, EOS = -1, -2
CONVERSATIONS = (
    ["Where is my order?"],
    ["Where is my order?", "Which number?", "  12\n34 {eos} "],
    ["Hi", "Hello!", "Thanks.", "Anything else?", "No"],
)


class TextTokenizer:
    """A tokenizer whose ids are characters, so that what LLaMA-Factory encodes can be read back as text."""

    bos_token_id = BOS
    eos_token_id = EOS

    def encode(self, text: str, **_: Any) -> list[int]:
        """A number for each character."""
        return [ord(character) for character in text]

    def decode(self, ids: list[int]) -> str:
        """The text back, the tokenizer's own tokens as their markers."""
        return "".join({BOS: "{bos}", EOS: "{eos}"}.get(one) or chr(one) for one in ids)


def write_piece(slots: list[Any]) -> str:
    """One piece from the slots of a formatter."""
    text = ""
    for slot in slots:
        if isinstance(slot, str):
            text += slot
        elif "bos_token" in slot:
            text += "{bos}"
        elif "eos_token" in slot:
            text += "{eos}"  # a set that names another token adds nothing: data/template.py, _convert_elements_to_ids
    return text


def describe(name: str, template: Any, names: Any) -> dict[str, Any]:
    """The table's entry for one template."""
    from llamafactory.data.template import Llama2Template, ReasoningTemplate

    parts = {part: getattr(template, f"format_{part}").slots for part in ("prefix", "system", "user", "assistant")}
    if isinstance(template, ReasoningTemplate):
        plain = f"{name}_nothink"
        advice = f"train with `{plain}`" if plain in names else "train with a template that does not reason"
        return {"refused": f"it adds an empty thought to every answer, which the served prompt cannot show; {advice}"}
    if isinstance(template, Llama2Template):
        return {"refused": "it puts the system prompt inside the first question; train with one that keeps them apart"}
    if any(isinstance(slot, dict) for slots in parts.values() for slot in slots):
        return {"refused": "it names tokens that no text spells; LLaMA-Factory cannot export it either"}
    pieces = {part: write_piece(slots) for part, slots in parts.items()}
    if any(pieces[part].count("{{content}}") != 1 for part in ("system", "user", "assistant")):
        return {"refused": "a turn's words do not stand exactly once in its piece"}
    for conversation in CONVERSATIONS:
        turns = list(zip(("user", "assistant") * 3, [*conversation, "answer"], strict=False))
        encoded, _ = template.encode_oneturn(
            TextTokenizer(), [{"role": role, "content": content} for role, content in turns], "Be kind."
        )
        written = pieces["prefix"] + "".join(
            pieces[role].replace("{{content}}", content) for role, content in [("system", "Be kind."), *turns[:-1]]
        )
        if TextTokenizer().decode(encoded) != written:
            return {"refused": "LLaMA-Factory does not encode it as its pieces say"}
    return {**pieces, "stop": template.stop_words, "default_system": template.default_system}


def main(response: str) -> None:
    """Write the table."""
    from llamafactory.data.template import TEMPLATES

    table = {
        "llamafactory": importlib.metadata.version("llamafactory"),
        "templates": {name: describe(name, template, TEMPLATES) for name, template in TEMPLATES.items()},
    }
    with open(response, "w", encoding="utf-8") as file:
        file.write(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[2])
