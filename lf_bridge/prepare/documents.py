"""Documents for the `pt` stage: text without personal data, each paragraph once, in pieces that LLaMA-Factory packs."""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from lf_bridge import workspace
from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.cleaning.characters import mend_characters
from lf_bridge.prepare.document_files import MARKDOWN, DocumentFile, find_documents, read_texts
from lf_bridge.prepare.folder import enter_documents, keep, private_file, work_in
from lf_bridge.prepare.paragraphs import cut, gather, paragraphs
from lf_bridge.prepare.privacy.redact import Redactor
from lf_bridge.prepare.privacy.second_scan import Finding, scan
from lf_bridge.recipe.preparing import PrepareSettings
from lf_bridge.talk import Talk

FORMAT = 1  # raise it where the same documents would now give other pieces
# LLaMA-Factory ends each row with the end-of-text token and packs rows into blocks of `cutoff_len` tokens
# (data/processor/pretrain.py). Short pieces would teach that a text ends after a paragraph; a whole manual in one row
# cannot be spread over the processes that tokenize. This is some 8,000 tokens of English, four blocks of the default.
MOST_CHARACTERS = 32_000
# Shorter paragraphs (here 13 Chinese characters) are headings and labels, which every page has anew. That paragraphs
# are compared by a hash of their text is CCNet's rule (Wenzek et al. 2020, arXiv:1911.00359, 3.2).
_LEAST_BYTES = 40
# Texts that tokenizers in use read as one token with a meaning of its own: ChatML, Llama 2 and 3, DeepSeek, Gemma.
_SPECIAL = re.compile(r"<[|｜][^\s<>|｜]{1,40}[|｜]>|</?s>|\[/?INST\]|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>")
_SHOWN = 20
# Characters that the recognizers' gates look at as one: in a longer text there is always something to look into.
_GROUP = 2_000
_TOGETHER = 1_000_000
Outcome = Literal["read", "duplicate", "empty", "set_aside", "unreadable"]


@dataclass(frozen=True)
class DocumentRecord:
    """What became of one document; ``reason`` says why nothing of it is trained on, or is empty."""

    label: str
    outcome: Outcome
    pieces: int = 0
    characters: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Documents:
    """All documents together. ``path`` is a JSON Lines file of {"text"}, ``digest`` the SHA-256 (hex) of its bytes.

    ``paragraphs_dropped`` are those that stood somewhere before; ``redacted``: replaced values of all documents, by
    type; ``notes`` what was assumed.
    """

    path: Path
    digest: str
    pieces: int
    characters: int
    files: tuple[DocumentRecord, ...]
    paragraphs_dropped: int
    redacted: Mapping[str, int]
    notes: tuple[str, ...]

    def count(self, outcome: Outcome) -> int:
        """How many documents came out so."""
        return sum(file.outcome == outcome for file in self.files)


def prepare_documents(
    paths: Sequence[Path], settings: PrepareSettings, key: bytes, dataset_folder: Path, talk: Talk
) -> Documents:
    """Read documents into the dataset folder, as `support_documents` in its ``dataset_info.json``.

    The same files, settings and key are not read again. Raises ``LfbError`` as ``read_documents`` does; what was there
    before stays.
    """
    files, left_out = find_documents(paths)
    request = {
        "format": FORMAT,
        "files": [[file.label, file.digest] for file in files],
        "settings": settings.model_dump(mode="json", include={"cleaning", "privacy", "quarantine"}),
        "project": hmac.digest(key, b"project", "sha256").hex(),
    }
    name = f"documents-{workspace.digest_of(request)[:12]}.json"
    with work_in(dataset_folder) as work:
        found = _recorded(dataset_folder, name)
        if found:
            talk.say(f"{len(found.files)} documents: unchanged, {found.pieces} pieces reused")
        else:
            made = _read(files, settings, key, work)
            found = replace(made, path=dataset_folder / keep(made.path, dataset_folder))
            record = json.dumps(asdict(found) | {"path": found.path.name}, indent=2) + "\n"
            workspace.write_atomic(dataset_folder / name, record.encode("ascii"), mode=0o600)
            _say(found, left_out, dataset_folder / name, talk)
        enter_documents(dataset_folder, found.path.name, name)
    return found


def read_documents(paths: Sequence[Path], settings: PrepareSettings, key: bytes, work_folder: Path) -> Documents:
    """Clean, compare, redact, scan and cut documents; the pieces go into ``work_folder``.

    Stand-ins replace personal data also where conversations get placeholders: there is no answer to cut before one. A
    document in which the second scan finds something is set aside whole. Raises ``LfbError`` where no document has a
    text, and where the share that is set aside is over ``quarantine.limit``.
    """
    return _read(find_documents(paths)[0], settings, key, work_folder)


def _read(files: Sequence[DocumentFile], settings: PrepareSettings, key: bytes, work: Path) -> Documents:
    path = work / "documents.jsonl"
    with private_file(path) as output:
        reading = _Reading(settings, key, output)
        for file in files:
            for label, text, notes in read_texts(file, work):
                reading.notes += notes
                if isinstance(text, LfbError):
                    reading.files.append(DocumentRecord(label, "unreadable", reason=text.message))
                else:
                    reading.take(label, text)
        reading.finish()
    records = tuple(reading.files)
    documents = Documents(
        path=path,
        digest=workspace.file_digest(path),
        pieces=sum(record.pieces for record in records),
        characters=sum(record.characters for record in records),
        files=records,
        paragraphs_dropped=reading.paragraphs_dropped,
        redacted=dict(reading.redacted),
        notes=tuple(reading.notes),
    )
    _check(documents, reading.findings, settings.quarantine.limit)
    return documents


class _Reading:
    """Takes documents one by one and works on some together; of earlier ones it keeps only hashes of paragraphs."""

    def __init__(self, settings: PrepareSettings, key: bytes, output: BinaryIO) -> None:
        self._settings, self._key, self._output = settings, key, output
        privacy = settings.privacy
        if privacy.replace == "placeholder":
            privacy = privacy.model_copy(update={"replace": "surrogate"})
        self._redactor = Redactor(privacy, key)
        self._waiting: dict[int, str] = {}
        self._seen: set[bytes] = set()
        self.files: list[DocumentRecord] = []
        self.findings: list[Fault] = []
        self.notes: list[str] = []
        self.redacted: Counter[str] = Counter()
        self.paragraphs_dropped = 0

    def take(self, label: str, text: str) -> None:
        """Take one document in; its record is whole after ``finish``."""
        self._waiting[len(self.files)] = text
        self.files.append(DocumentRecord(label, "empty"))
        if sum(map(len, self._waiting.values())) > _TOGETHER:
            self.finish()

    def finish(self) -> None:
        """Redact, scan and write the documents that wait."""
        waiting, self._waiting = self._waiting, {}
        rows, owners = [], []
        for place, text in zip(waiting, self._clean(waiting.values()), strict=True):
            groups = list(gather(paragraphs(text, fences=self._has_fences(place)), _GROUP))
            rows += groups
            owners += [place] * len(groups)
        redacted = self._redactor.redact(pa.array(rows, pa.string()))
        self.redacted.update(redacted.counts)
        texts: dict[int, list[str]] = {}
        findings: dict[int, list[Finding]] = {}
        for owner, text in zip(owners, redacted.texts.to_pylist(), strict=True):
            texts.setdefault(owner, []).append(text)
        for finding in self._scan(redacted.texts):
            findings.setdefault(owners[finding.row], []).append(finding)
        for place, groups in texts.items():
            label = self.files[place].label
            if place in findings:
                self.files[place] = self._set_aside(label, findings[place])
            else:
                whole = "\n\n".join(groups)
                self.files[place] = self._write(label, list(paragraphs(whole, fences=self._has_fences(place))))

    def _clean(self, texts: Iterable[str]) -> list[str]:
        column = pa.array([text.replace("\r\n", "\n") for text in texts], pa.string())
        cleaned: list[str] = (mend_characters(column) if self._settings.cleaning.unicode else column).to_pylist()
        return cleaned

    def _has_fences(self, place: int) -> bool:
        return self.files[place].label.lower().removesuffix(".gz").endswith(MARKDOWN)

    def _scan(self, texts: pa.Array) -> list[Finding]:
        privacy = self._settings.privacy
        if privacy.replace == "off":
            return []
        return scan(texts, frozenset(), self._key, privacy.allow, privacy.public_hotlines)

    def _set_aside(self, label: str, found: Sequence[Finding]) -> DocumentRecord:
        self.findings += [Fault(label, f"{finding.reason}, finding {finding.hash}") for finding in found[:_SHOWN]]
        reasons = sorted(Counter(finding.reason for finding in found).items())
        told = ", ".join(f"{count} {reason}" for reason, count in reasons)
        return DocumentRecord(label, "set_aside", reason=f"is set aside: personal data is left ({told})")

    def _write(self, label: str, found: Sequence[str]) -> DocumentRecord:
        new, is_new = [], False
        for paragraph in found:
            if len(paragraph.encode()) >= _LEAST_BYTES:
                digest = blake2b(" ".join(paragraph.split()).encode(), digest_size=16).digest()
                if digest in self._seen:
                    continue
                self._seen.add(digest)
                is_new = True
            new.append(paragraph)
        if len(new) < len(found) and not is_new:
            new = []  # headings alone
        self.paragraphs_dropped += len(found) - len(new)
        parts = (part for paragraph in new for part in cut(_SPECIAL.sub(_defuse, paragraph), MOST_CHARACTERS))
        pieces = list(gather(parts, MOST_CHARACTERS))
        self._output.writelines(json.dumps({"text": piece}).encode("ascii") + b"\n" for piece in pieces)
        return DocumentRecord(label, "read" if pieces else "duplicate", len(pieces), sum(map(len, pieces)))


def _defuse(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"


def _check(documents: Documents, findings: Sequence[Fault], limit: float) -> None:
    set_aside = documents.count("set_aside")
    judged = set_aside + documents.count("read")
    if set_aside > limit * judged:
        raise LfbError(
            f"{set_aside} of {judged} documents still hold personal data, and {limit:.1%} are the limit",
            faults=findings[:_SHOWN],
            hint="take it out of them; the company's own goes under `privacy.allow` in prepare.yaml",
        )
    if not documents.pieces:
        faults = [Fault(file.label, file.reason or "is empty") for file in documents.files[:_SHOWN]]
        raise LfbError(f"none of {len(documents.files)} documents has a text to learn from", faults=faults)


def _say(documents: Documents, left_out: int, record: Path, talk: Talk) -> None:
    talk.say(
        f"{documents.count('read')} of {len(documents.files)} documents: {documents.pieces} pieces, "
        f"{documents.characters:,} characters, {sum(documents.redacted.values())} values replaced, "
        f"{documents.paragraphs_dropped} paragraphs said before"
    )
    lines = [*documents.notes, *(f"{file.label} {file.reason}" for file in documents.files if file.reason)]
    for line in lines[:_SHOWN]:
        talk.warn(line)
    if len(lines) > _SHOWN:
        talk.warn(f"{len(lines) - _SHOWN} more lines like these are in {record}")
    if left_out:
        talk.warn(f"{left_out} files were left out: they are no documents by their endings")


def _recorded(folder: Path, name: str) -> Documents | None:
    """What was recorded under this name, or None where it is not there whole."""
    try:
        value: dict[str, Any] = json.loads((folder / name).read_bytes())
        path = folder / value.pop("path")
        files = tuple(DocumentRecord(**file) for file in value.pop("files"))
        found = Documents(path=path, files=files, notes=tuple(value.pop("notes")), **value)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if path.is_file() and workspace.file_digest(path) == found.digest else None
