"""Count tokens of conversations as LLaMA-Factory will train them, and defuse special tokens that people typed.

Runs in the training environment: ``python fit.py request.json response.json``. Request: {template, tokenizer,
trust_remote_code, system, cutoff_length, conversations, answers}; ``conversations`` are JSON Lines files with a list of
texts a line (customer and agent in turns). For each line one goes into its file in ``answers``: {prompts, answers:
tokens of each pair in order; tokens: in total; defused: {turn: new text}}, and for those over the cutoff {opening:
tokens of each prompt where it begins an example; closing: tokens at an example's end}. Response: {special_tokens}, or
{near_templates} for a template that is not there, or {tokenizer_problem}.
"""

import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any


def main(asked: str, answered: str) -> None:
    request = json.loads(Path(asked).read_text(encoding="utf-8"))
    response = answer(request)
    Path(answered).write_text(json.dumps(response), encoding="utf-8")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments
    from transformers import AutoTokenizer

    name = request["template"]
    if name not in TEMPLATES:
        return {"near_templates": difflib.get_close_matches(name, list(TEMPLATES), 3)}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            request["tokenizer"], use_fast=True, trust_remote_code=request["trust_remote_code"]
        )
    except Exception as error:
        return {"tokenizer_problem": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"}
    template = get_template_and_fix_tokenizer(tokenizer, DataArguments(template=name))
    special = sorted(special_texts(tokenizer), key=lambda text: (-len(text), text))
    pattern = re.compile("|".join(map(re.escape, special))) if special else None
    for asked, answered in zip(request["conversations"], request["answers"], strict=True):
        with open(asked, encoding="ascii") as lines, open(answered, "w") as output:
            for line in lines:
                output.write(json.dumps(fit(json.loads(line), template, tokenizer, pattern, request)) + "\n")
    return {"special_tokens": special}


def special_texts(tokenizer: Any) -> set[str]:
    """Texts that the tokenizer reads as one token with a meaning of its own."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {text for text in added | set(tokenizer.all_special_tokens) if len(text) > 1 and not text.isspace()}


def fit(
    texts: list[str], template: Any, tokenizer: Any, pattern: re.Pattern[str] | None, request: dict[str, Any]
) -> dict[str, Any]:
    defused = {}
    if pattern:
        for turn, text in enumerate(texts):
            if pattern.search(text):
                defused[turn] = texts[turn] = pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    turns = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]
    system = request["system"]
    pairs = template.encode_multiturn(tokenizer, turns, system)
    prompts, answers = [len(prompt) for prompt, _ in pairs], [len(reply) for _, reply in pairs]
    closing = 1 if template.efficient_eos else 0
    told = {"prompts": prompts, "answers": answers, "tokens": sum(prompts) + sum(answers) + closing, "defused": defused}
    if told["tokens"] > request["cutoff_length"]:
        alone = [template.encode_multiturn(tokenizer, turns[at : at + 2], system)[0] for at in range(0, len(turns), 2)]
        told.update(opening=[len(prompt) for prompt, _ in alone], closing=closing)
    return told


if __name__ == "__main__":
    main(*sys.argv[1:])
