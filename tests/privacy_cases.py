"""The labelled privacy cases and how a redactor is measured on them; run it to see the table.

A value counts as found where no recognisable piece of it is left: a piece is 60 % of its letters and digits in a row,
for an e-mail address those before the `@`, for a link those after the host, for a person any word of the name. What
stands between the values must come out as it went in; each stretch that does not is a false replacement. Lower bounds
are the lower end of the two-sided 95 % Wilson score interval; cases of one sentence with other values are not
independent, so it is a bound for these sentences, not for all language.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STRUCTURED = ("phone", "email", "id_card", "bank_card", "iban", "url")
OTHERS = ("name", "order", "tracking", "address", "plate", "ip", "handle", "wechat", "qq")
FILE = Path(__file__).parent / "fixtures" / "privacy" / "cases.jsonl"


@dataclass(frozen=True)
class Case:
    """One text with its labelled values: start, end and type."""

    id: str
    part: str
    subset: str
    language: str
    role: str
    text: str
    spans: tuple[tuple[int, int, str], ...]

    def values(self, kind: str) -> list[str]:
        return [self.text[start:end] for start, end, labelled in self.spans if labelled == kind]

    def between(self) -> list[str]:
        edges = [0, *itertools.chain.from_iterable((start, end) for start, end, _ in self.spans), len(self.text)]
        return [self.text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


@dataclass
class Score:
    """Counts for one group of texts: labelled values, values found, stretches replaced without need."""

    labelled: int = 0
    found: int = 0
    false: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.labelled

    @property
    def lower(self) -> float:
        return wilson_lower(self.found, self.labelled)

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.false) if self.found else 0.0


def load_cases() -> list[Case]:
    rows: Iterator[dict[str, Any]] = map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
    return [
        Case(**{name: value for name, value in row.items() if name not in ("spans", "origin")},
             spans=tuple((start, end, kind) for start, end, kind in row["spans"]))
        for row in rows
    ]  # fmt: skip


def wilson_lower(found: int, labelled: int, z: float = 1.959964) -> float:
    if not labelled:
        return 0.0
    share, square = found / labelled, z * z / labelled
    root = z * math.sqrt(share * (1 - share) / labelled + square / (4 * labelled))
    return (share + square / 2 - root) / (1 + square)


def plain(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text).lower() if one.isalnum())


def is_left(kind: str, value: str, output: str) -> bool:
    """Whether a recognisable piece of ``value`` is still in ``output``."""
    value = unicodedata.normalize("NFKC", value)
    if kind == "name" and value.isascii():
        words = re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", output.lower())
        return any(word in words for word in value.lower().split())
    if kind == "email":
        value = re.split(r"\s*(?:@|#|\(at\)|\[at\]|艾特|\bat\b)", value)[0]
    elif kind == "url":
        value = re.sub(r"^(https?://)?[^/]+", "", value)
    core, rest = plain(value), plain(output)
    if kind in ("phone", "bank_card"):
        core, rest = re.sub(r"\D", "", core), re.sub(r"\D", "", rest)
    size = math.ceil(0.6 * len(core))
    return any(core[start : start + size] in rest for start in range(len(core) - size + 1))


def count_false(case: Case, output: str) -> int:
    """Stretches between values that are not in the output as they were, in their order."""
    place, false = 0, 0
    for stretch in case.between():
        kept = stretch.strip(" ,.，。：:()（）+<>")
        found = output.find(kept, place)
        false += found < 0
        place = max(place, found + len(kept))
    return false


def score(cases: Iterable[Case], outputs: Sequence[str], kind: str) -> Score:
    """Recall and false replacements over the texts that hold a value of ``kind``."""
    total = Score()
    for case, output in zip(cases, outputs, strict=True):
        values = case.values(kind)
        if values:
            total.labelled += len(values)
            total.found += sum(not is_left(kind, value, output) for value in values)
            total.false += count_false(case, output)
    return total


def share_unchanged(cases: Sequence[Case], outputs: Sequence[str]) -> float:
    """Of the texts without personal data: those that came out as they went in."""
    pairs = [(case, output) for case, output in zip(cases, outputs, strict=True) if not case.spans]
    return sum(case.text == output for case, output in pairs) / len(pairs)


def share_with_residue(cases: Iterable[Case], outputs: Sequence[str], kinds: Sequence[str]) -> float:
    """Of the texts with a value of these types: those with anything left of one."""
    left = [
        any(is_left(kind, value, output) for kind in kinds for value in case.values(kind))
        for case, output in zip(cases, outputs, strict=True)
        if any(case.values(kind) for kind in kinds)
    ]
    return sum(left) / len(left)


def table(cases: Sequence[Case], outputs: Sequence[str]) -> Iterator[str]:
    """One line for each type, in all, held out, and by language and role."""
    pairs = list(zip(cases, outputs, strict=True))
    gated = [pair for pair in pairs if pair[0].subset != "obfuscated"]
    yield f"{'type':<11}{'of':<15}{'values':>7}{'recall':>9}{'lower':>9}{'precision':>11}"
    for kind in (*STRUCTURED, *OTHERS):
        for group in ("all", "held_out", "dev", "zh customer", "zh agent", "en customer", "en agent"):
            chosen = [one for one in gated if group in ("all", one[0].part, f"{one[0].language} {one[0].role}")]
            yield _line(kind, group, chosen)
    yield _line("email", "obfuscated", [one for one in pairs if one[0].subset == "obfuscated"])
    for name, kinds in (("structured types", STRUCTURED), ("all types", STRUCTURED + OTHERS)):
        share = share_with_residue([case for case, _ in gated], [output for _, output in gated], kinds)
        yield f"texts with any residue, {name}: {share:.4f}"
    yield f"texts without personal data that came out unchanged: {share_unchanged(cases, outputs):.4f}"


def _line(kind: str, group: str, pairs: Sequence[tuple[Case, str]]) -> str:
    total = score([case for case, _ in pairs], [output for _, output in pairs], kind)
    figures = f"{total.recall:>9.4f}{total.lower:>9.4f}{total.precision:>11.4f}" if total.labelled else ""
    return f"{kind:<11}{group:<15}{total.labelled:>7}{figures}"


def redact(cases: Sequence[Case], without: str = "") -> list[str]:
    """What the redactor makes of the texts with its default settings, one type switched off where named."""
    import pyarrow as pa

    from lf_bridge.prepare.privacy.redact import Redactor
    from lf_bridge.recipe.preparing import Privacy

    types = tuple(kind for kind in Privacy().types if kind != without)
    redacted = Redactor(Privacy(types=types), b"key").redact(pa.array([case.text for case in cases]), None)
    texts: list[str] = redacted.texts.to_pylist()
    return texts


if __name__ == "__main__":
    every = load_cases()
    sys.stdout.write("\n".join(table(every, redact(every))) + "\n")
