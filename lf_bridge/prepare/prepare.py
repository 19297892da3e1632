"""The entry points: two keyed steps, conversations and split first, then fitting to a template and tokenizer."""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lf_bridge import handover, points, workspace
from lf_bridge.errors import LfbError
from lf_bridge.handover import Environment
from lf_bridge.prepare.folder import (
    PREFERENCES,
    commit,
    conversations_of,
    conversations_with,
    keep,
    move,
    read_dataset,
    read_record,
    tidy,
    training_texts_name,
    work_in,
    write_conversations,
)
from lf_bridge.prepare.formats.files import Options
from lf_bridge.prepare.records import Conversations, Report, Stage
from lf_bridge.prepare.sources import find_sources
from lf_bridge.prepare.workers import Workers
from lf_bridge.recipe.preparing import PrepareSettings
from lf_bridge.talk import Talk

if TYPE_CHECKING:
    from lf_bridge.recipe.model import Data

__all__ = [
    "Conversations",
    "Report",
    "conversations_of",
    "fit_dataset",
    "prepare_conversations",
    "read_dataset",
    "training_texts",
]

FORMAT = 2  # raise it where the same raw files would now give other output
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
)


def prepare_conversations(
    raw: Sequence[Path],
    data: Data,
    key: bytes,
    dataset_folder: Path,
    talk: Talk,
    *,
    settings: PrepareSettings | None = None,
    options: Options | None = None,
    append_to: Path | None = None,
    allowed: Collection[str] = (),
    strict: bool = False,
    workers: Workers | None = None,
) -> Conversations:
    """Step one: read, clean, redact, thread, judge and split the raw logs; needs neither tokenizer nor torch.

    ``key`` is the project's key for hashes of personal data. ``append_to`` is the dataset that the logs are
    added to. The same files, settings and key are not read again. Raises ``LfbError`` for raw data that cannot be
    used and for personal data that is left; the dataset stays as it was.
    """
    settings, options = settings or PrepareSettings(), options or Options()
    sources, warnings = find_sources(raw)
    before = conversations_of(append_to) if append_to else None
    request = {
        "format": FORMAT,
        "files": [[source.label, source.digest, source.public] for source in sources],
        "warnings": warnings,
        "before": before.key if before else None,
        "settings": settings.model_dump(mode="json"),
        "layout": [options.format, options.mapping.model_dump(mode="json") if options.mapping else None],
        "allowed": sorted(allowed),
        "strict": strict,
        "validation_fraction": data.validation_fraction,
        "split_seed": data.split_seed,
        "project": hmac.digest(key, b"project", "sha256").hex(),
    }
    identity = workspace.digest_of(request)
    found = conversations_with(dataset_folder, identity)
    if found:
        talk.say(f"{found.report.messages.read} messages of {len(sources)} files: unchanged, conversations reused")
        return found
    from lf_bridge.prepare.conversing import build_conversations
    from lf_bridge.prepare.settling import Plan

    plan = Plan(data, settings, options, identity, key, before, frozenset(allowed), strict)
    with work_in(dataset_folder) as work, nullcontext(workers) if workers else Workers() as run:
        points.reach("prepare: before conversations")
        found = build_conversations(sources, warnings, plan, dataset_folder, work, run, talk)
        write_conversations(found)
        points.reach("prepare: after conversations")
    return found


def fit_dataset(
    conversations: Conversations,
    data: Data,
    template: str,
    tokenizer_location: str | None,
    environment: Environment | None,
    talk: Talk,
    *,
    trust_remote_code: bool = False,
    show_text: bool = False,
    workers: Workers | None = None,
) -> tuple[handover.Dataset, Report]:
    """Step two: fit to the template and tokenizer, write the LLaMA-Factory dataset and commit it.

    Without a tokenizer or a training environment conversations go in whole, ``Dataset.fit`` is empty, and a warning
    says so. The same inputs are not fitted again. ``show_text`` puts samples into ``report.html``. Raises ``LfbError``
    for an unknown template, a tokenizer that does not load, and a cutoff that leaves a split empty; the dataset stays
    as it was.
    """
    folder = conversations.folder
    from lf_bridge.prepare.report_page import keep_report

    fit = _fit_key(conversations, data, template, tokenizer_location, environment)
    committed = _record_with(folder, conversations.key, data.system, fit)
    if committed:
        tidy(folder)
        keep_report(folder, committed, show_text=show_text)
        talk.say(f"{folder} is up to date: {_sizes(committed)}")
        return read_dataset(folder), Report.from_json(committed["report"])
    from lf_bridge.prepare.asking import Target
    from lf_bridge.prepare.conversing import message_counts
    from lf_bridge.prepare.fitting import write_examples

    started = time.monotonic()
    with work_in(folder) as work, nullcontext(workers) if workers else Workers() as run:
        points.reach("prepare: before fitting")
        target = None
        if tokenizer_location and environment:
            target = Target(template, tokenizer_location, environment, trust_remote_code)
        written = write_examples(conversations, data.system, data.cutoff_length, target, work, run)
        points.reach("prepare: after fitting")
        made = [name for name in PREFERENCES if written.preferences.get(name)]
        files = {split: keep(work / f"{split}.json", folder) for split in ("train", "validation", *made)}
        files["ledger"] = keep(work / "ledger.parquet", folder)
        files |= {"conversations": conversations.turns, "people": conversations.people}
        before = conversations.report
        spent = time.monotonic() - started
        seconds = before.seconds + spent
        warnings = () if fit else ("not fitted to a tokenizer yet: `lfb train` will do it",)
        report = replace(
            before,
            messages=message_counts(written.states),
            conversations=written.conversations,
            files=written.files,
            preferences=written.preferences,
            tokens=written.tokens if fit else None,
            stages=(*before.stages, Stage("fit and write", round(spent, 3))),
            warnings=before.warnings + warnings,
            seconds=round(seconds, 3),
            messages_per_second=round(before.messages.read / max(seconds, 1e-3)),
            peak_memory_bytes=max(before.peak_memory_bytes, written.peak_memory),
        )
        record = {
            "format": FORMAT,
            # Of what is trained and measured: a ledger that grows is no reason to train again.
            "digest": workspace.digest_of(
                {"system": data.system, "fit": fit, "files": [files["train"], files["validation"]]}
            ),
            "conversations": conversations.key,
            "system": data.system,
            "fit": fit,
            "template": template if fit else None,
            "cutoff_length": data.cutoff_length if fit else None,
            "examples": {"train": written.train, "validation": written.validation},
            "tokens": written.tokens.total if fit else None,
            "public_sample": conversations.public_sample,
            "files": files,
            "report": report.to_json(),
        }
        points.reach("prepare: before commit")
        commit(folder, record)
        points.reach("prepare: after commit")
        tidy(folder)
        keep_report(folder, record, show_text=show_text)
    talk.say(f"{folder}: {_sizes(record)}")
    for warning in report.warnings:
        talk.warn(warning)
    return read_dataset(folder), report


def _fit_key(
    conversations: Conversations,
    data: Data,
    template: str,
    tokenizer_location: str | None,
    environment: Environment | None,
) -> str:
    """What the fitting depends on; empty where there is none."""
    if not tokenizer_location or not environment:
        return ""
    folder = Path(tokenizer_location)
    files = [name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    return workspace.digest_of(
        {
            "conversations": conversations.key,
            "system": data.system,
            "template": template,
            "cutoff_length": data.cutoff_length,
            "tokenizer": [[name, workspace.file_digest(folder / name)] for name in files] or tokenizer_location,
            "versions": [
                [name, version]
                for name, version in sorted(environment.versions)
                if name in ("llamafactory", "transformers", "tokenizers")
            ],
        }
    )


def _record_with(folder: Path, conversations: str, system: str, fit: str) -> dict[str, Any] | None:
    """The committed record if it is whole and was made of these inputs; a fitted dataset also serves where no fitting
    is asked for."""
    if not (folder / "dataset_info.json").exists():
        return None
    try:
        record = read_record(folder)
    except LfbError:
        return None
    same = (record["format"], record["conversations"], record["system"]) == (FORMAT, conversations, system)
    whole = all((folder / name).is_file() for name in record["files"].values())
    return record if same and whole and fit in ("", record["fit"]) else None


def _sizes(record: Mapping[str, Any]) -> str:
    examples = record["examples"]
    return f"{examples['train']} training and {examples['validation']} validation examples"


def training_texts(folder: Path) -> Path:
    """JSON Lines of the training split: a list of {"role", "content"} a line, no held-out conversation in it.

    It is written where a base model is made of it, which few projects do.
    """
    found = conversations_of(folder)
    path = folder / training_texts_name(found)
    if not path.is_file():
        from lf_bridge.prepare.fitting import write_training_texts

        with work_in(folder) as work:
            write_training_texts(found, work / path.name)
            move(work / path.name, path)
    return path
