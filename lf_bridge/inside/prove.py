"""Is the merged model the tuned one, and does its folder say so? One start for every question.

Request: {base: folder, adapter: folder or null, tuned: folder or null, merged: folder, template, validation: ShareGPT
file, cases, questions, answer_tokens, trust_remote_code, device, output: JSON Lines file to write}. ``tuned`` is the
whole model that training wrote, where there is no adapter. Response: the measures below. ``output`` gets a case a line:
{conversation, turn, prompt: [ids], answer: [ids], base_loss, tuned_loss} with losses in nats, summed over the answer,
and for the first turn of the first ``questions`` conversations {question, reference, base_answer, tuned_answer}.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

Turn = tuple[list[int], list[int]]  # ids of the prompt, ids of the answer
Conversation = tuple[str, list[dict[str, str]]]  # system text, messages
COMPARED = 8  # conversations whose logits are compared
ROWS = 64  # answer tokens whose logits are compared in each, and computed with at once


class InsideError(Exception):
    """Refused; the text is for the user."""


def main(asked: str, answered: str) -> None:
    import llamafactory.train.tuner  # noqa: F401 - imported first: mends trl and transformers for peft
    from transformers import AutoModelForCausalLM, AutoTokenizer

    request = json.loads(Path(asked).read_text())
    merged = Path(request["merged"])
    trust = request["trust_remote_code"]
    tokenizer = AutoTokenizer.from_pretrained(merged, trust_remote_code=trust)
    template = load_template(request["template"], tokenizer)
    conversations = read_conversations(Path(request["validation"]), request["cases"])
    turns = [encode(template, tokenizer, conversation) for conversation in conversations]
    end = turn_end(template, tokenizer)
    mended = mend_chat_template(template, tokenizer, conversations, merged) + mend_end(merged, end)
    device = "cuda" if request["device"] != "cpu" and fits_on_gpu(merged) else "cpu"

    def load(folder: str | Path) -> Any:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", trust_remote_code=trust)
        return model.to(device).eval()

    stops = sorted(set(template.get_stop_token_ids(tokenizer)) | {end})
    ask = [(case[0][0], request["answer_tokens"]) for case in turns[: request["questions"]]]
    base = load(request["base"])
    base_logits, base_losses = measure(base, turns)
    base_answers = [generate(base, tokenizer, ids, stops, most) for ids, most in ask]
    if request["adapter"]:
        from peft import PeftModel

        tuned = PeftModel.from_pretrained(base, request["adapter"]).eval()
    else:
        del base
        tuned = load(request["tuned"])
    tuned_logits, _ = measure(tuned, turns[:COMPARED])
    base = tuned = None
    model = load(merged)
    logits, losses = measure(model, turns)
    answers = [generate(model, tokenizer, ids, stops, most) for ids, most in ask]
    context = getattr(model.config, "max_position_embeddings", None) or sys.maxsize
    with open(request["output"], "w", encoding="ascii") as file:
        for number, case in enumerate(turns):
            prompt: list[int] = []
            for turn, (source, target) in enumerate(case):
                prompt = prompt + source
                if len(prompt) + len(target) > context:
                    break  # no runtime can score what is longer than the model was made for
                line = {
                    "conversation": number,
                    "turn": turn,
                    "prompt": prompt,
                    "answer": target,
                    "base_loss": base_losses[number][turn],
                    "tuned_loss": losses[number][turn],
                }
                if turn == 0 and number < len(ask):
                    messages = conversations[number][1]
                    line |= {
                        "question": messages[0]["content"],
                        "reference": messages[1]["content"],
                        "base_answer": base_answers[number],
                        "tuned_answer": answers[number],
                    }
                file.write(json.dumps(line) + "\n")
                prompt = prompt + target
    response = {
        "merge_difference": difference(logits, tuned_logits),
        "tuning_change": difference(logits, base_logits),
        "dtype": str(model.dtype).removeprefix("torch."),
        "mended": mended,
        "end": tokenizer.convert_ids_to_tokens(end),
        "vocabulary": len(tokenizer),
        "embedding_rows": model.get_input_embeddings().weight.shape[0],
        "conversations": len(turns),
    }
    Path(answered).write_text(json.dumps(response))


def fits_on_gpu(folder: Path) -> bool:
    """Whether the weights and room to compute with fit into what is free."""
    import torch

    if not torch.cuda.is_available():
        return False
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return bool(torch.cuda.mem_get_info()[0] > 1.3 * weights)


def load_template(name: str, tokenizer: Any) -> Any:
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    return get_template_and_fix_tokenizer(tokenizer, DataArguments(template=name))


def read_conversations(path: Path, most: int) -> list[Conversation]:
    examples = json.loads(path.read_text(encoding="ascii"))
    roles = {"human": "user", "gpt": "assistant"}
    return [
        (
            example["system"],
            [{"role": roles[turn["from"]], "content": turn["value"]} for turn in example["conversations"]],
        )
        for example in examples[:most]
    ]


def encode(template: Any, tokenizer: Any, conversation: Conversation) -> list[Turn]:
    system, messages = conversation
    return list(template.encode_multiturn(tokenizer, messages, system))


def turn_end(template: Any, tokenizer: Any) -> int:
    """The token that the template ends an answer with: the first special one after the words."""
    _, target = template.encode_multiturn(
        tokenizer, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}], "a"
    )[-1]
    stops = set(template.get_stop_token_ids(tokenizer))
    return int(next((token for token in target if token in stops), tokenizer.eos_token_id))


def mend_chat_template(template: Any, tokenizer: Any, conversations: list[Conversation], folder: Path) -> list[str]:
    """The folder's own chat template must render what was trained; otherwise LLaMA-Factory's own takes its place."""
    system, messages = max(conversations, key=lambda conversation: len(conversation[1]))
    pairs = template.encode_multiturn(tokenizer, messages, system)
    trained = [token for source, target in pairs for token in source + target][: -len(pairs[-1][1]) or None]

    def renders() -> bool:
        given = [{"role": "system", "content": system}, *messages[:-1]]
        try:
            text = tokenizer.apply_chat_template(given, add_generation_prompt=True, tokenize=False)
        except Exception:
            return False
        # LLaMA-Factory encodes turn by turn: where the pieces meet, the same text may be cut into other tokens.
        return bool(tokenizer.encode(text, add_special_tokens=False) == trained or text == tokenizer.decode(trained))

    if renders():
        return []
    tokenizer.chat_template = template._get_jinja_template(tokenizer)
    if not renders():
        raise InsideError("neither the exported folder's chat template nor LLaMA-Factory's renders what was trained")
    write_chat_template(folder, tokenizer.chat_template)
    return ["chat_template.jinja rendered another prompt than the one trained; it is LLaMA-Factory's own now"]


def write_chat_template(folder: Path, text: str) -> None:
    """Beside the tokenizer's settings, where it wins over one that is inside them."""
    (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    values = json.loads(settings.read_text(encoding="utf-8"))
    if values.pop("chat_template", None) is not None:
        settings.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")


def mend_end(folder: Path, end: int) -> list[str]:
    """`eos_token_id` of both configs must hold the token that ends a turn: a LoRA merge keeps the base's."""
    mended = []
    for name in ("config.json", "generation_config.json"):
        path = folder / name
        if not path.exists():
            continue
        values = json.loads(path.read_text(encoding="utf-8"))
        old = values.get("eos_token_id")
        if old == end or (isinstance(old, list) and end in old):
            continue
        more = [token for token in (old if isinstance(old, list) else [old]) if token is not None]
        values["eos_token_id"] = end if name == "config.json" else [end, *more]
        path.write_text(json.dumps(values, indent=2), encoding="utf-8")
        mended.append(f"{name} ended an answer with another token than the template does")
    return mended


def measure(model: Any, turns: list[list[Turn]]) -> tuple[list[Any], list[list[float]]]:
    """Logits before the first answer tokens of the first conversations (on the CPU), and each answer's loss in nats.

    Only rows of answer tokens become float32, a few at a time: a whole conversation's would be a gigabyte where the
    vocabulary is large.
    """
    import torch

    kept, losses = [], []
    with torch.inference_mode():
        for number, case in enumerate(turns):
            ids = [token for source, target in case for token in source + target]
            logits = model(torch.tensor([ids], device=model.device)).logits[0]
            position, summed = 0, []
            rows: list[int] = []
            for source, target in case:
                position += len(source)
                rows += range(position - 1, position - 1 + len(target))
                loss = 0.0
                for begin in range(0, len(target), ROWS):
                    part = torch.tensor(target[begin : begin + ROWS], device=model.device)
                    at = position - 1 + begin
                    chances = torch.log_softmax(logits[at : at + len(part)].float(), -1)
                    loss -= float(chances.gather(1, part[:, None]).sum())
                summed.append(loss)
                position += len(target)
            losses.append(summed)
            if number < COMPARED:
                kept.append(logits[rows[:ROWS]].float().cpu())
    return kept, losses


def difference(one: list[Any], other: list[Any]) -> float:
    """Mean absolute difference of logits over their standard deviation; no unit."""
    import torch

    pairs = list(zip(one, other, strict=True))
    gap = torch.cat([(a - b).abs().flatten() for a, b in pairs]).mean()
    spread = torch.cat([b.flatten() for _, b in pairs]).std()
    value = float(gap / spread)
    return value if math.isfinite(value) else -1.0


def generate(model: Any, tokenizer: Any, ids: list[int], stops: list[int], most: int) -> str:
    """The greedy answer, without the token that ends it."""
    import torch

    with torch.inference_mode():
        prompt = torch.tensor([ids], device=model.device)
        made = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=most,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
            eos_token_id=stops,
            pad_token_id=stops[0],
        )[0][len(ids) :].tolist()
    while made and made[-1] in stops:
        made.pop()
    return str(tokenizer.decode(made, skip_special_tokens=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
