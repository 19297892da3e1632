"""A dataset's report as one HTML file: where its messages went, what is in it, and what to do next.

The page needs no script and nothing from elsewhere. Beside each picture stands a table with the same numbers. Words of
conversations are in it only where samples are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lf_bridge import workspace
from lf_bridge.prepare.records import FileRead, Report
from lf_bridge.prepare.report_flow import Branch, draw_flow
from lf_bridge.prepare.report_parts import bars, bullets, section, share_of, table
from lf_bridge.prepare.report_samples import MOST_CHARACTERS, Sample, find_stand_ins, read_samples
from lf_bridge.prepare.report_style import frame
from lf_bridge.prepare.report_words import DUPLICATES, LANGUAGES, PREFERENCES, REASONS, TYPES, next_steps

NAME = "report.html"
_FORMAT = 1  # raise it where the same numbers would now give another page
_MOST_FILES = 200


def keep_report(folder: Path, record: Mapping[str, Any], *, show_text: bool = False) -> Path:
    """Make the page of a committed dataset, unless it is there already; returns where it is.

    ``record`` is the dataset's. A page with samples is replaced by one without where ``show_text`` is off.
    """
    path = folder / NAME
    seconds = record["report"]["seconds"]
    mark = f"{_FORMAT}-{record['digest']}-{seconds}-{'text' if show_text else 'counts'}"
    try:
        there = f'content="{mark}"'.encode() in path.read_bytes()[:400]
    except OSError:
        there = False
    if not there:
        samples = read_samples(folder / record["files"]["train"]) if show_text else None
        write_report(path, Report.from_json(record["report"]), samples, mark=mark)
    return path


def write_report(path: Path, report: Report, samples: Sequence[Sample] | None, *, mark: str = "") -> None:
    """Write the page, which only its owner can read, in place of the one before; None for no samples."""
    sections = (
        _head(path.parent.name, report),
        bullets("What to do next", next_steps(report)),
        bullets("Warnings", report.warnings),
        _messages(report),
        _conversations(report),
        _files(report.files),
        '<div class="pair">' + _personal(report) + _quarantine(report) + "</div>",
        '<div class="pair">' + _lengths(report) + _turns(report) + "</div>",
        '<div class="pair">' + _tokens(report) + _languages(report) + "</div>",
        _preferences(report.preferences),
        _samples(samples),
        _stages(report),
    )
    page = frame(f"Dataset {path.parent.name}", mark, "\n".join(part for part in sections if part))
    # A file's name may hold bytes that are no text.
    workspace.write_atomic(path, page.encode("utf-8", "replace"), mode=0o600)


def _head(name: str, report: Report) -> str:
    conversations, messages = report.conversations, report.messages
    tiles = {
        "conversations to train on": conversations.train,
        "conversations held out to measure": conversations.validation,
        "messages read": messages.read,
        "pieces of personal data replaced": sum(report.redacted.values()),
        "conversations set aside": conversations.dropped.get("quarantined", 0),
    }
    listed = "".join(f"<div><dt>{escape(text)}</dt><dd>{count:,}</dd></div>" for text, count in tiles.items())
    return (
        f'<h1>Dataset {escape(name)}</h1>\n<p class="lead">What <code>lfb prepare</code> read, what it kept, and why '
        f'it left the rest.</p>\n<dl class="tiles">{listed}</dl>'
    )


def _messages(report: Report) -> str:
    messages = report.messages
    dropped = _largest_first(messages.dropped)
    branches = [
        Branch("kept", "kept", messages.kept),
        Branch("merged", "merged", messages.merged),
        Branch("dropped", "dropped", sum(dropped.values()), _named(dropped)),
    ]
    kept = {
        "kept": (messages.kept, "The first or only message of a turn."),
        "merged": (messages.merged, "Joined to the message before it, of the same speaker."),
    }
    rows = [(_name(name), count, share_of(count, messages.read), text) for name, (count, text) in kept.items()]
    rows += [_reason_row(reason, count, messages.read) for reason, count in dropped.items()]
    return section(
        "Messages",
        "<p>Every message that was read was kept, merged with its neighbour, or dropped for one reason.</p>",
        draw_flow("read", "Messages from read to kept, merged and dropped; the table has the numbers", branches),
        table(
            "What became of each message",
            ("outcome", "messages", "share", "meaning"),
            rows,
            ("all read", messages.read, share_of(messages.read, messages.read), ""),
        ),
    )


def _conversations(report: Report) -> str:
    counts = report.conversations
    dropped = _largest_first(counts.dropped)
    doubles = {reason: count for reason, count in dropped.items() if reason in DUPLICATES}
    others = {reason: count for reason, count in dropped.items() if reason not in (*DUPLICATES, "quarantined")}
    branches = [
        Branch("to train on", "kept", counts.train),
        Branch("held out", "held", counts.validation),
        Branch("duplicates", "doubled", sum(doubles.values()), _named(doubles)),
        Branch("dropped", "dropped", sum(others.values()), _named(others)),
        Branch("set aside", "aside", dropped.get("quarantined", 0)),
    ]
    whole = sum(branch.count for branch in branches)
    rows: list[tuple[str, int, str, str]] = [
        ("to train on", counts.train, share_of(counts.train, whole), "The model learns from these."),
        ("held out", counts.validation, share_of(counts.validation, whole), "Kept back to measure what was learned."),
    ]
    rows += [_reason_row(reason, count, whole) for reason, count in dropped.items()]
    return section(
        "Conversations",
        draw_flow("found", "Conversations from found to trained on, held out and left; the table has them", branches),
        table(
            "What became of each conversation",
            ("outcome", "conversations", "share", "meaning"),
            rows,
            ("all found", whole, share_of(whole, whole), ""),
        ),
    )


def _files(files: Sequence[FileRead]) -> str:
    shown = sorted(files, key=lambda file: -file.read)[:_MOST_FILES]
    rows = [(file.path, file.format, file.read, file.kept, file.merged, file.dropped) for file in shown]
    rest = [file for file in files if file not in shown]
    if rest:
        sums = (sum(getattr(file, name) for file in rest) for name in ("read", "kept", "merged", "dropped"))
        rows.append((f"{len(rest):,} smaller files", "", *sums))
    total = tuple(sum(getattr(file, name) for file in files) for name in ("read", "kept", "merged", "dropped"))
    return section(
        "Files",
        table(
            "For each file: read = kept + merged + dropped",
            ("file", "format", "read", "kept", "merged", "dropped"),
            rows,
            ("all files", "", *total),
        ),
    )


def _personal(report: Report) -> str:
    if not report.redacted:
        return section("Personal data", "<p>Nothing was replaced.</p>")
    return section(
        "Personal data",
        "<p>Replaced by values that belong to nobody.</p>",
        bars("Values replaced in everything read, by type", "type", _largest_first(report.redacted), TYPES),
    )


def _quarantine(report: Report) -> str:
    if not report.quarantined:
        return section("Set aside", "<p>The second scan set nothing aside.</p>")
    return section(
        "Set aside",
        "<p>The second scan still found something in these conversations. They are in no training file, but in the "
        "private <code>quarantine-….jsonl</code> of this folder; the ledger names each. One with findings of several "
        "types counts under each.</p>",
        bars("Conversations set aside, by what was found", "finding", _largest_first(report.quarantined), TYPES),
    )


def _lengths(report: Report) -> str:
    bounds = sorted((int(most), count) for most, count in report.lengths.items())
    names = {}
    for most, _ in bounds:
        names[most] = f"up to {most:,}" if most <= 2000 else "more than 2,000"
    return section(
        "Lengths of answers", bars("Answers by characters, each in the first row it fits", "characters",
                                    dict(bounds), names),
    )  # fmt: skip


def _turns(report: Report) -> str:
    counts: dict[int, int] = {}
    for turns, count in sorted((int(turns), count) for turns, count in report.turns.items()):
        counts[min(turns, 20)] = counts.get(min(turns, 20), 0) + count
    names = {turns: f"{turns}" if turns < 20 else "20 and more" for turns in counts}
    return section("Turns", bars("Conversations by turns, of customer and agent together", "turns", counts, names))


def _tokens(report: Report) -> str:
    tokens = report.tokens
    if tokens is None:
        return section("Tokens", "<p>Not counted yet: no tokenizer was at hand. <code>lfb train</code> counts.</p>")
    rows = [
        ("in the examples", tokens.total, ""),
        ("of them answers, which the model is trained on", tokens.trained, share_of(tokens.trained, tokens.total)),
    ]
    over = (f"<p>{tokens.over_cutoff:,} conversations are longer than the cutoff: split between turns, or left out "
            "where one turn alone is too long.</p>")  # fmt: skip
    return section("Tokens", table("Tokens written", ("tokens", "count", "share"), rows), over)


def _languages(report: Report) -> str:
    counts = _largest_first(report.languages)
    caption = f"A sample of {sum(counts.values()):,} conversations read"
    return section("Languages", bars(caption, "language", counts, LANGUAGES)) if counts else ""


def _preferences(preferences: Mapping[str, int]) -> str:
    rows = [(PREFERENCES.get(name, _name(name)), count) for name, count in preferences.items() if count]
    if not rows:
        return ""
    text = "<p>From ratings, reopened cases and edited drafts; they are in files of their own.</p>"
    return section("Preferences", text, table("What people preferred", ("examples", "count"), rows))


def _stages(report: Report) -> str:
    rows = [(stage.name, round(stage.seconds, 2)) for stage in report.stages]
    summary = (
        f"<p>{report.seconds:,.1f} seconds in all, {report.messages_per_second:,} messages a second, at most "
        f"{report.peak_memory_bytes / 2**20:,.0f} MiB of memory. Where several processes share a stage, its seconds "
        "are theirs together.</p>"
    )
    return section("Time", summary, table("Seconds by stage", ("stage", "seconds"), rows))


def _samples(samples: Sequence[Sample] | None) -> str:
    if not samples:
        return ""
    said = "".join(_sample(number, sample) for number, sample in enumerate(samples, 1))
    return section(
        "Samples",
        "<p>Conversations as they are written, up to half of them chosen because something in them was replaced. "
        "Marked is what lies in the ranges that replacements come from, with its type; what stood there before is "
        "not in the dataset. Read them for personal data that is <em>not</em> marked.</p>",
        said,
    )


def _sample(number: int, sample: Sample) -> str:
    turns = [
        f'<div class="turn{" agent" if place % 2 else ""}" dir="auto"><b>{"agent" if place % 2 else "customer"}</b>'
        f"{show_turn(text)}</div>"
        for place, text in enumerate(sample.turns)
    ]
    return f'<div class="sample"><h3>Sample {number}</h3>{"".join(turns)}</div>'


def show_turn(text: str) -> str:
    """A turn as HTML, its stand-ins marked with their types."""
    shown, pieces, last = text[:MOST_CHARACTERS], [], 0
    for start, end, type_ in find_stand_ins(shown):
        pieces += [escape(shown[last:start]), f"<mark>{escape(shown[start:end])}<small>{type_}</small></mark>"]
        last = end
    rest = f' <span class="quiet">… {len(text) - len(shown):,} more characters</span>' if len(text) > len(shown) else ""
    return "".join(pieces) + escape(shown[last:]) + rest


def _largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])) if count}


def _name(word: str) -> str:
    return word.replace("_", " ")


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    return {_name(word): count for word, count in counts.items()}


def _reason_row(reason: str, count: int, whole: int) -> tuple[str, int, str, str]:
    return f"dropped: {_name(reason)}", count, share_of(count, whole), REASONS.get(reason, "")
