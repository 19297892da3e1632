"""How fast `lfb prepare` is with every rule on, against the obvious way, in one run.

    python benchmarks/prepare.py [MESSAGES] [MAILS]

Tiles the shipped sample to MESSAGES (2,800,000) rows of flat CSV and prepares a quarter of them and all of them with
the shipped defaults, then MAILS (100,000) HTML mails. Of the copied conversations most have their words exchanged, so
that they are conversations of their own; some are left as they are or get a greeting in front, so that the duplicate
rules have their work. Prints messages/s, seconds of each stage, peak memory of all processes, the ledger's counts and
how many conversations survive the duplicate rules; and what a loop over rows with presidio, datasketch and
BeautifulSoup takes for a slice of the same (extra `benchmark`).
"""

from __future__ import annotations

import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample" / "taskmaster4.csv"
MAILS = ROOT / "tests" / "fixtures" / "mail"
# Share of copied conversations, and of their words that are exchanged; the rules call two the same from 0.8 on.
SAME, ALIKE, EXCHANGED = 0.1, 0.1, 0.6
GREETINGS = ("Hi,", "Hello,", "Hey,", "Good morning,", "Okay so", "Well,", "Hi there,", "Oh,")
SIGNATURE = "<p>Best regards,<br>Ann Example<br>Head of it</p>"
SLICE = 2_000


def tile(path: Path, messages: int) -> None:
    """Write the sample again and again, each copy under ids of its own and with other words."""
    with open(SAMPLE, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    place = header.index("text")
    vocabulary = sorted({word for row in rows for word in row[place].split() if word.isalpha()})
    texts = [row[place].split(" ") for row in rows]
    chance = random.Random(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        name, lot = "", 0.0
        for number in range(messages):
            copy, at = divmod(number, len(rows))
            row, words = list(rows[at]), texts[at]
            row[0], row[1] = f"{row[0]}-{copy}", f"{row[1]}-{copy}"
            if row[0] != name:
                name, lot = row[0], chance.random()
            if copy and lot > SAME + ALIKE:
                words = [chance.choice(vocabulary) if chance.random() < EXCHANGED else word for word in words]
            elif copy and lot > SAME:
                words = [chance.choice(GREETINGS), *words]
            row[place] = " ".join(words)
            writer.writerow(row)


def tile_mails(path: Path, count: int) -> None:
    """Write tickets in HTML: a question, signed, and an answer that quotes earlier mails as the fixtures do."""
    bodies = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(MAILS.rglob("*.html"))]
    chance = random.Random(0)
    with open(SAMPLE, newline="", encoding="utf-8") as file:
        words = sorted({word for row in csv.reader(file) for word in row[-1].split() if word.isalpha()})
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket_id", "comment_id", "author_type", "html_body"])
        for number in range(count):
            said = " ".join(chance.choices(words, k=25))
            role = ("end-user", "agent")[number % 2]
            rest = (
                bodies[number // 2 % len(bodies)] if number % 2 else "<p>Best regards,<br>Ann Example<br>Head of it</p>"
            )
            writer.writerow([number // 2, number, role, f"<div><p>Hello,</p><p>{said}.</p></div>{rest}"])


def prepare(raw: Path, folder: Path, mapping: object | None = None) -> dict[str, object]:
    """Prepare with the shipped defaults; returns the report."""
    from lf_bridge.prepare.formats.files import Options
    from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations
    from lf_bridge.prepare.workers import Workers
    from lf_bridge.recipe.model import Data
    from lf_bridge.talk import Silence

    data, talk, started = Data(), Silence(), time.perf_counter()
    with Workers() as workers:
        options = Options(mapping=mapping)
        found = prepare_conversations([raw], data, b"benchmark", folder, talk, options=options, workers=workers)
        _, report = fit_dataset(found, data, "qwen", None, None, talk, workers=workers)
    spent = time.perf_counter() - started
    counts = report.messages
    assert counts.read == counts.kept + counts.merged + sum(counts.dropped.values())
    return {**report.to_json(), "wall": spent}


def show(name: str, report: dict, what: str = "messages") -> None:
    """Print one run's figures."""
    from lf_bridge.talk import format_bytes

    read, wall = report["messages"]["read"], report["wall"]
    made, lost = report["conversations"], report["duplicates"]
    written = made["train"] + made["validation"]
    survive = written / (written + sum(lost.values()))
    print(f"{name:<12} {read / wall:>10,.0f} {what}/s  {wall:.1f} s for {read:,}")
    print(f"  peak memory of all processes  {format_bytes(report['peak_memory_bytes'])}")
    print(f"  conversations                 {written:,} written; {survive:.1%} survive the duplicate rules {lost}")
    print(f"  redacted                      {report['redacted']}, set aside {report['quarantined']}")
    print(f"  ledger                        {json.dumps(report['messages'])}")
    for stage in report["stages"]:
        print(f"  {stage['seconds']:>8.2f} s  {stage['name']}")


def row_loop(texts: Iterator[str]) -> float:
    """Seconds a message of the obvious way: BeautifulSoup, presidio and datasketch, a message at a time."""
    import spacy
    from bs4 import BeautifulSoup
    from datasketch import MinHash, MinHashLSH
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

    analyzer, index = (
        AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"]),
        MinHashLSH(threshold=0.8, num_perm=64),
    )
    started, count = time.perf_counter(), 0
    for count, html in enumerate(texts, 1):
        text = BeautifulSoup(html, "html.parser").get_text("\n").strip()
        for found in sorted(analyzer.analyze(text, language="en"), key=lambda one: -one.start):
            text = f"{text[: found.start]}[{found.entity_type}]{text[found.end :]}"
        sketch = MinHash(num_perm=64)
        for place in range(max(1, len(text) - 3)):
            sketch.update(text[place : place + 4].encode())
        if not index.query(sketch):
            index.insert(str(count), sketch)
    return (time.perf_counter() - started) / count


def column(path: Path) -> Iterator[str]:
    """The words of the first rows of a tiled file."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        name = "html_body" if "html_body" in (rows.fieldnames or ()) else "text"
        yield from (row[name] for row in islice(rows, SLICE))


def main(messages: int, mails: int) -> None:
    """Run everything and print the figures."""
    from lf_bridge.recipe.preparing import Mapping

    with tempfile.TemporaryDirectory() as folder:
        quarter, whole, html = (Path(folder, f"{name}.csv") for name in ("quarter", "whole", "mails"))
        tile(quarter, messages // 4)
        tile(whole, messages)
        tile_mails(html, mails)
        # The mails first: a process remembers its largest peak.
        mail = prepare(html, Path(folder, "three"), Mapping(
            text="html_body", conversation="ticket_id", message="comment_id", role="author_type", kind="email_html"
        ))  # fmt: skip
        small = prepare(quarter, Path(folder, "one"))
        large = prepare(whole, Path(folder, "two"))
        show("flat CSV", small)
        show("flat CSV", large)
        print(f"4 times the rows take {large['wall'] / small['wall']:.2f} times the time")
        show("HTML mails", mail, "mails")
        if not all(map(find_spec, ("presidio_analyzer", "datasketch", "bs4"))):
            print("row loop     NOT MEASURED: pip install -e '.[benchmark]'")
            return
        for name, path, report in (("flat CSV", whole, large), ("HTML mails", html, mail)):
            slow = row_loop(column(path))
            ratio = slow * report["messages"]["read"] / report["wall"]
            print(f"row loop     {1 / slow:>10,.0f} messages/s of {name}: lfb prepare is {ratio:.0f} times as fast")


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:]]
    main(*(given + [2_800_000, 100_000][len(given) :]))
