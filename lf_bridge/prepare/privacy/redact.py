"""Replaces personal data in texts by values that belong to nobody, row by row, whole columns at a time."""

from __future__ import annotations

import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.privacy.findings import KEPT, Finding
from lf_bridge.prepare.privacy.names import find_known_names, known_forms
from lf_bridge.prepare.privacy.ranges import PLACEHOLDER, TYPES, is_stand_in, stand_in
from lf_bridge.prepare.privacy.recognizers import FREQUENT, RECOGNIZERS
from lf_bridge.recipe.preparing import Privacy

# Wide letters, digits and signs as people type them in Chinese, one place for one place (Unicode FF01 to FF5E).
_NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F) if chr(wide - 0xFEE0) not in ",;:!?()"} | {0x3000: 32}
_NARROW |= {0xFF08: 40, 0xFF09: 41, 0x2010: 45, 0x2011: 45, 0x2212: 45, 0xA0: 32}
_WIDE = (
    r"[\x{FF0B}-\x{FF5E}\x{3000}\x{FF08}\x{FF09}\x{2010}\x{2011}\x{2212}\x{a0}]|[^\x00-\x7f]\p{Nd}|"
    r"\p{Nd}[^\x00-\x7f]"
)
_OTHER_DIGITS = re.compile(r"[^\W0-9a-zA-Z_](?<=\d)")
# A stand-in for one of these can look like another of them; it is left alone all the same.
_ALIKE = ("phone", "id_card", "bank_card", "iban", "order", "tracking")


@dataclass(frozen=True)
class Redacted:
    """``texts`` as given, values replaced; ``changed`` tells the rows; ``counts``: replaced values by type."""

    texts: pa.Array
    changed: npt.NDArray[np.bool_]
    counts: Mapping[str, int]


class Redactor:
    """Finds and replaces personal data; what it makes of a row hangs on that row, the settings and the key alone."""

    def __init__(self, settings: Privacy, key: bytes) -> None:
        self._settings = settings
        self._key = key
        self._types = frozenset(settings.types) & frozenset(TYPES)
        self._allowed = frozenset(_plain(value) for value in settings.allow)
        self._domains = tuple(value.lower().lstrip("@") for value in settings.allow if "." in value)
        self._ask: Callable[[str], Iterable[Finding]] | None = None
        if settings.presidio and settings.replace != "off":
            from lf_bridge.prepare.privacy.presidio import load_presidio

            self._ask = load_presidio(settings.spacy_model)

    def redact(self, texts: pa.Array, names: pa.Array | None = None) -> Redacted:
        """Replace what is found in each text.

        ``names`` holds for each row the names of people known in its conversation, one a line, or null.
        """
        changed: npt.NDArray[np.bool_] = np.zeros(len(texts), np.bool_)
        if self._settings.replace == "off" or not len(texts):
            return Redacted(texts, changed, {})
        if names is not None or texts.null_count:
            return self._redact(texts, names, np.ones(len(texts), np.int64))
        # Each text once, however often it is said.
        coded = texts.dictionary_encode()
        place = coded.indices.to_numpy()
        done = self._redact(coded.dictionary, None, np.bincount(place, minlength=len(coded.dictionary)))
        return Redacted(done.texts.take(coded.indices), done.changed[place], done.counts)

    def _redact(self, texts: pa.Array, names: pa.Array | None, times: npt.NDArray[np.int64]) -> Redacted:
        changed: npt.NDArray[np.bool_] = np.zeros(len(texts), np.bool_)
        plain = _narrowed(texts)
        open_gates = self._open_gates(plain)
        known = self._rows_with_names(plain, names)
        asked: npt.NDArray[np.bool_] = np.array(open_gates.any(axis=1))
        for row in known:
            asked[row] = True
        if self._ask:
            asked[:] = True
        rows = np.flatnonzero(asked)
        chosen = pa.array(rows)
        counts: Counter[str] = Counter()
        new: list[str] = []
        pairs = zip(texts.take(chosen).to_pylist(), plain.take(chosen).to_pylist(), strict=True)
        for row, (text, narrow), gates in zip(rows.tolist(), pairs, open_gates[rows].tolist(), strict=True):
            found: Counter[str] = Counter()
            written = self._redact_text(text, narrow, gates, known.get(row, ""), found) if text else text
            for kind, count in found.items():
                counts[kind] += count * int(times[row])
            if written != text:
                changed[row] = True
                new.append(written)
        if new:
            texts = pc.replace_with_mask(texts, pa.array(changed), pa.array(new, texts.type))
        return Redacted(texts, changed, dict(counts))

    def _open_gates(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """For each text (rows) and recognizer (columns) whether all gates let it through."""
        # One pass for all gates that few texts pass; a name can stand behind any capital: its gate is asked alone.
        rare = "|".join(f"(?:{gate})" for gate in sorted({one.gates[0] for one in RECOGNIZERS} - {FREQUENT}))
        some_rare = np.flatnonzero(_matches(texts, rare))
        rows: dict[tuple[str, ...], npt.NDArray[np.intp]] = {(): np.arange(len(texts))}
        for gates in sorted({recognizer.gates[:depth] for recognizer in RECOGNIZERS for depth in (1, 2)}, key=len):
            if gates not in rows:
                before = some_rare if len(gates) == 1 and gates[0] != FREQUENT else rows[gates[:-1]]
                some = texts if len(before) == len(texts) else texts.take(pa.array(before))
                rows[gates] = before[_matches(some, gates[-1])]
        opened = np.zeros((len(texts), len(RECOGNIZERS)), np.bool_)
        for number, recognizer in enumerate(RECOGNIZERS):
            opened[rows[recognizer.gates], number] = True
        return opened

    def _rows_with_names(self, texts: pa.Array, names: pa.Array | None) -> dict[int, str]:
        """The rows in which a known name stands, each with its conversation's names."""
        if names is None or "name" not in self._types:
            return {}
        coded = names.dictionary_encode()
        forms = [
            tuple({form.lower() for form, _ in known_forms(value)}) if value else ()
            for value in coded.dictionary.to_pylist()
        ]
        values = coded.dictionary.to_pylist()
        rows = {}
        lowered = pc.utf8_lower(texts).to_pylist()
        for row, (text, code) in enumerate(zip(lowered, coded.indices.to_pylist(), strict=True)):
            if code is not None and text:
                for form in forms[code]:
                    if form in text:
                        rows[row] = values[code]
                        break
        return rows

    def _redact_text(self, text: str, plain: str, gates: list[bool], known: str, counts: Counter[str]) -> str:
        taken: list[Finding] = [Finding(*match.span(), KEPT, "") for match in PLACEHOLDER.finditer(text)]
        for recognizer, is_open in zip(RECOGNIZERS, gates, strict=True):
            if known and recognizer.known_names_first:
                _take(find_known_names(plain, known), taken)
                known = ""
            if is_open:
                _take(recognizer.find(plain), taken)
        if self._ask:
            _take(self._ask(plain), taken)
        pieces, last = [], 0
        for finding in sorted(taken):
            value = plain[finding.start : finding.end]
            if finding.type not in self._types or self._is_kept(finding, value):
                continue
            pieces += [text[last : finding.start], self._replacement(finding, value)]
            last = finding.end
            counts[finding.type] += 1
        return "".join([*pieces, text[last:]])

    def _is_kept(self, finding: Finding, value: str) -> bool:
        alike = _ALIKE if finding.type in _ALIKE else (finding.type,)
        if any(is_stand_in(type_, value) for type_ in alike):
            return True
        if not self._allowed:
            return False
        if _plain(value) in self._allowed or _plain(finding.value) in self._allowed:
            return True
        if finding.type in ("email", "url"):
            host = re.sub(r"(?i)^[a-z]+://", "", value.lower()).split("/")[0].rpartition("@")[2]
            return any(host == domain or host.endswith(f".{domain}") for domain in self._domains)
        return False

    def _replacement(self, finding: Finding, value: str) -> str:
        digest = hmac.digest(self._key, f"{finding.type}:{finding.value}".encode(), "sha256")
        if self._settings.replace == "placeholder":
            return f"[{finding.type.upper()}_{digest[:2].hex().upper()}]"
        words = finding.value.split()
        if finding.type == "name" and len(words) > 1 and value.lower() in words:
            part = stand_in("name", digest, finding.value.title()).split()[min(words.index(value.lower()), 1)]
            return part.lower() if value.islower() else part.upper() if value.isupper() else part
        if finding.type == "name" and value != finding.value and finding.value.endswith(value) and not value.isascii():
            return stand_in("name", digest, finding.value)[1:]
        return stand_in(finding.type, digest, value)


def _matches(texts: pa.Array, gate: str) -> npt.NDArray[np.bool_]:
    matches: npt.NDArray[np.bool_] = (
        pc.match_substring_regex(texts, gate).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return matches


def _take(findings: Iterable[Finding], taken: list[Finding]) -> None:
    """Add the findings whose place is free; a recognizer tells those that it is surest of first."""
    for finding in findings:
        if all(finding.end <= other.start or other.end <= finding.start for other in taken):
            taken.append(finding)


def _narrowed(texts: pa.Array) -> pa.Array:
    """The texts with wide letters and digits of other scripts as ASCII, each in its place."""
    wide = _matches(texts, _WIDE)
    if not wide.any():
        return texts
    narrow = [text.translate(_NARROW) for text in texts.filter(pa.array(wide)).to_pylist()]
    plain = [_OTHER_DIGITS.sub(lambda match: str(int(match[0])), text) for text in narrow]
    return pc.replace_with_mask(texts, pa.array(wide), pa.array(plain, texts.type))


def _plain(value: str) -> str:
    return re.sub(r"[\s().\-]", "", value).lower().lstrip("@+")
