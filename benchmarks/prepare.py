"""How fast `lfb prepare` reads, threads, repairs and writes, against the plain way in the same run.

    python benchmarks/prepare.py [MESSAGES]

Tiles the shipped sample to MESSAGES (200,000) with new conversation ids, prepares it without a tokenizer, and does the
same with `csv` and a loop over rows. Prints messages/s of both, the ratio and the peak memory.
"""

from __future__ import annotations

import csv
import hmac
import json
import re
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

LITERAL_TOKENS = re.compile("<([|\uff5c][^<>|\uff5c]{1,64}[|\uff5c]|image|video|audio)>")
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "taskmaster4.csv"


def tile(path: Path, messages: int) -> None:
    """Write the sample again and again, each copy under conversation ids of its own."""
    with open(SAMPLE, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        left = messages
        for copy in count():
            if left <= 0:
                break
            writer.writerows([f"{row[0]}-{copy}", f"{row[1]}-{copy}", *row[2:]] for row in rows[:left])
            left -= len(rows)


def plain_way(path: Path, folder: Path, system: str) -> int:
    """The same result a row at a time: hashes, split, examples and ledger; returns the conversations written."""
    threads: dict[str, list[tuple[int, dict[str, str]]]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            threads.setdefault(row["conversation_id"], []).append((number, row))
    splits: dict[str, list[object]] = {"train": [], "validation": []}
    pretrain = []
    with open(folder / "plain.csv", "w", newline="", encoding="utf-8") as file:
        ledger = csv.writer(file)
        for name, messages in threads.items():
            conversation = hmac.digest(b"benchmark", name.encode(), "sha256").hex()[:16]
            share = int.from_bytes(hmac.digest(b"benchmark", conversation.encode(), "sha256")[:6], "big") / 2**48
            last = max((place for place, (_, row) in enumerate(messages) if row["role"] == "agent"), default=-1)
            turns: list[dict[str, str]] = []
            for place, (number, row) in enumerate(messages):
                text, state, reason = row["text"].strip(), "dropped", ""
                speaker = {"customer": "human", "agent": "gpt"}[row["role"]]
                if not text:
                    reason = "empty_text"
                elif place > last:
                    reason = "unanswered"
                elif not turns and speaker == "gpt":
                    reason = "before_customer"
                elif turns and turns[-1]["from"] == speaker:
                    turns[-1]["value"] += "\n" + re.sub(LITERAL_TOKENS, r"< \1>", text)
                    state = "merged"
                else:
                    turns.append({"from": speaker, "value": re.sub(LITERAL_TOKENS, r"< \1>", text)})
                    state = "kept"
                ledger.writerow([path.name, number, row["message_id"], "", state, reason, conversation, ""])
            if turns:
                split = "validation" if share < 0.1 else "train"
                splits[split].append({"conversations": turns, "system": system})
                if split == "train":
                    pretrain.append([{"role": turn["from"], "content": turn["value"]} for turn in turns])
    for split, examples in splits.items():
        (folder / f"plain-{split}.json").write_text(json.dumps(examples), encoding="ascii")
    (folder / "plain-pretrain.jsonl").write_text("\n".join(map(json.dumps, pretrain)), encoding="ascii")
    return sum(map(len, splits.values()))


def main(messages: int) -> None:
    """Run both and print the figures."""
    from lf_bridge.prepare.conversing import peak_memory
    from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations
    from lf_bridge.recipe.model import Data
    from lf_bridge.talk import Silence, format_bytes

    with tempfile.TemporaryDirectory() as folder:
        raw, data = Path(folder, "log.csv"), Data()
        tile(raw, messages)
        print(f"{messages} messages, {format_bytes(raw.stat().st_size)}, tiled from the public sample dialogues")
        started = time.perf_counter()
        found = prepare_conversations([raw], data, b"benchmark", Path(folder, "dataset"), Silence())
        dataset, report = fit_dataset(found, data, "qwen", None, None, Silence())
        ours, memory = time.perf_counter() - started, peak_memory()
        started = time.perf_counter()
        conversations = plain_way(raw, Path(folder), data.system)
        plain = time.perf_counter() - started
    counts = report.messages
    assert dataset.train_examples + dataset.validation_examples == conversations
    assert counts.read == messages == counts.kept + counts.merged + sum(counts.dropped.values())
    print(f"lfb prepare  {messages / ours:>10,.0f} messages/s  {ours:.2f} s  peak memory {format_bytes(memory)}")
    print(f"row loop     {messages / plain:>10,.0f} messages/s  {plain:.2f} s  (the same result, `csv` and a loop)")
    print(f"ratio        {plain / ours:.2f}")
    print(f"ledger       {json.dumps(report.to_json()['messages'])}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
