"""Exports of help desks: who said what in which conversation, and that nothing in a file goes uncounted."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_bridge.prepare.formats import (
    chatwoot,
    crisp,
    freshdesk,
    gorgias,
    help_scout,
    intercom,
    livechat,
    zendesk,
)
from lf_bridge.prepare.formats.files import Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.help_desk import instant, people
from lf_bridge.prepare.formats.peek import peek
from lf_bridge.prepare.formats.schema import MISSING, ROLES, UNREAD
from lf_bridge.prepare.formats.sniff import claim_files

FIXTURES = Path(__file__).parent / "fixtures" / "formats"
FORMATS = {
    module.FORMAT.name: module.FORMAT
    for module in (zendesk, intercom, freshdesk, chatwoot, help_scout, crisp, gorgias, livechat)
}
CASES = [
    (name, case.name) for name in FORMATS for case in sorted((FIXTURES / name).iterdir()) if case.is_dir()
]  # fmt: skip


def peek_at(path: Path) -> Peek:
    return peek(cast(Any, SimpleNamespace(path=path, label=path.name)))


def peeks_of(folder: Path) -> list[Peek]:
    return [peek_at(path) for path in sorted(folder.iterdir()) if path.name != "expected.json"]


def read(form: Format, peeks: Sequence[Peek], faults: RowFaults | None = None) -> list[dict[str, Any]]:
    """All messages that the format makes of these files; a claim is forced, so that garbage is read too."""
    messages = []
    for claim in form.claim(peeks, Options(form.name)):
        for index, batch in claim.read(faults or RowFaults()):
            messages += [{**message, "file": claim.files[index].label} for message in batch.to_pylist()]
    return messages


def labels(messages: Sequence[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """What each conversation holds, in order of time: why a message is no training text, or who wrote it; its text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for message in sorted(messages, key=lambda message: message["time"]):
        said = (message["skip"] or ROLES[message["role"]], message["text"])
        found.setdefault(str(message["conversation"]), []).append(said)
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects in a value, however deep."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


IS_MESSAGE: dict[str, Callable[[dict[str, Any]], bool]] = {
    "zendesk": lambda one: "audit_id" in one,
    "intercom": lambda one: "body" in one and "author" in one,
    "freshdesk": lambda one: "incoming" in one or "description_text" in one,
    "chatwoot": lambda one: "message_type" in one,
    "help_scout": lambda one: "savedReplyId" in one,
    "crisp": lambda one: "fingerprint" in one,
    "gorgias": lambda one: "from_agent" in one,
    "livechat": lambda one: ("created_at" in one and "type" in one) or ("user_type" in one and "type" in one),
}


def count(name: str, folder: Path) -> int:
    """Messages in a folder's files, counted without our reader."""
    found = 0
    commented: set[Any] = set()
    tickets: list[dict[str, Any]] = []
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == "expected.json":
            continue
        if path.suffix == ".csv":
            found += len(list(csv.reader(text.splitlines(keepends=True)))) - 1
            continue
        whole = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
        for one in objects(whole):
            found += IS_MESSAGE[name](one)
            commented |= {one.get("ticket_id")} if "audit_id" in one else set()
            tickets += [one] if name == "zendesk" and "raw_subject" in one else []
        if name == "zendesk" and "comments" in whole and "ticket" in whole:
            commented.add(whole["ticket"]["id"])
    # A Zendesk ticket without comments has said its description.
    return found + sum(not ticket.get("comments") and ticket["id"] not in commented for ticket in tickets)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_roles_and_threads_are_as_labelled(name: str, case: str) -> None:
    expected = json.loads((FIXTURES / name / case / "expected.json").read_text(encoding="utf-8"))
    found = labels(read(FORMATS[name], peeks_of(FIXTURES / name / case)))
    assert set(found) == set(expected)
    right = total = 0
    for conversation, wanted in expected.items():
        said = found[conversation]
        assert len(said) == len(wanted), f"{name}/{case}: conversation {conversation} has other messages"
        right += sum(
            label == have and text.startswith(start) for (label, start), (have, text) in zip(wanted, said, strict=True)
        )
        total += len(wanted)
    assert right / total == 1, f"{name}/{case}: {right} of {total} messages have the right role, place and words"


@pytest.mark.parametrize(("name", "case"), CASES)
def test_as_many_messages_are_read_as_another_count_finds(name: str, case: str) -> None:
    folder = FIXTURES / name / case
    assert len(read(FORMATS[name], peeks_of(folder))) == count(name, folder) > 0


def test_each_export_is_told_from_those_of_all_other_formats() -> None:
    for name, case in CASES:
        peeks = peeks_of(FIXTURES / name / case)
        claimed = {claim.format for claim in claim_files(peeks, Options())}
        assert claimed == {name}, f"{name}/{case} is claimed by {claimed}"


def test_a_folder_of_all_exports_is_shared_out_without_a_file_read_twice() -> None:
    peeks = [one for name, case in CASES for one in peeks_of(FIXTURES / name / case)]
    taken: list[str] = []
    for form in FORMATS.values():
        for claim in form.claim(peeks, Options()):
            taken += [str(one.path) for one in (*claim.files, *claim.sides)]
    assert sorted(taken) == sorted(str(one.path) for one in peeks)


def test_what_customers_did_not_see_is_never_training_text() -> None:
    hidden = (
        "aisle 4",
        "third complaint",
        "long-time",
        "vip",
        "customs list",
        "jeweller</div>",
        "depot first",
        "every week",
    )
    found = 0
    for name, case in CASES:
        for message in read(FORMATS[name], peeks_of(FIXTURES / name / case)):
            if ROLES[message["role"]] in ("note", "system"):
                assert message["skip"] is not None
            if any(words in message["text"] for words in hidden):
                assert message["skip"] in ("internal_note", "whisper")
                found += 1
    assert found >= 2 * len(hidden) - 3


def test_quotes_are_cut_on_mail_only_so_the_channel_is_told() -> None:
    kinds = {
        message["text"]: message["kind"]
        for name, case in (("zendesk", "apart"), ("intercom", "list"), ("freshdesk", "apart"), ("gorgias", "messages"))
        for message in read(FORMATS[name], peeks_of(FIXTURES / name / case))
    }
    told = {text.replace('<div class="zd-comment" dir="auto">', ""): kind for text, kind in kinds.items()}
    assert told["<p>My parcel has not come.</p></div>"] == 3  # e-mail, HTML
    assert told["<p>It left the depot today.</p></div>"] == 1  # answered on the web
    assert told["请在订单页申请退货。"] == 0
    assert (told["<p>Invoice please</p>"], told["<p>Can I change my plan?</p>"]) == (3, 1)
    assert (told["<div>怎么开发票？</div>"], told["<div>A ticket that is not in the list</div>"]) == (1, 3)
    assert (told["可以刻字吗？"], told["<div>Where is my ring?</div>"]) == (0, 3)


def test_people_ratings_and_outcomes_come_from_the_records_own_fields() -> None:
    def of(name: str, case: str, start: str) -> dict[str, Any]:
        return next(one for one in read(FORMATS[name], peeks_of(FIXTURES / name / case)) if start in one["text"])

    said = of("zendesk", "apart", "It left the depot")
    assert (said["names"], said["customer"]) == ("Anna Lee\nBob Miller", "101")
    assert (said["rating"], said["resolved"], said["time"]) == (1, 1, 1714559400_000_000)
    assert of("zendesk", "apart", "Only a description")["rating"] == -1
    assert of("zendesk", "lines", "Where is my refund")["resolved"] == -1
    said = of("intercom", "list", "Shall I change")
    assert (said["names"], said["customer"], said["rating"], said["resolved"]) == ("Ann Bell\nCarl Diaz", "u1", 1, 1)
    assert of("intercom", "list", "Invoice")["resolved"] == -1
    assert of("intercom", "list", "What does it cost")["resolved"] == 0
    said = of("freshdesk", "apart", "在订单详情")
    assert (said["names"], said["customer"], said["rating"], said["resolved"]) == ("张伟", "73", 1, 1)
    assert of("chatwoot", "list", "Please rate")["rating"] == 1
    assert of("chatwoot", "conversations", "可以改地址")["names"] == "Fay Hill\nGus Iyer"
    assert of("help_scout", "conversations", "Sorry, try")["reward"] == 1
    assert of("gorgias", "tickets", "At the jeweller")["rating"] == -1
    assert (of("livechat", "archives", "We do")["rating"], of("livechat", "version-2", "Sure")["rating"]) == (1, -1)
    assert of("crisp", "data", "Is the shop")["names"] == "Jill King"


def test_zendesk_comments_alone_say_what_was_assumed(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "zendesk" / "apart" / "comments.json", tmp_path)
    (claim,) = FORMATS["zendesk"].claim(peeks_of(tmp_path), Options())
    assert "first one" in claim.notes[0]
    found = labels(read(FORMATS["zendesk"], peeks_of(tmp_path)))
    assert [label for label, _ in found["2"]] == ["customer", "agent", "system_event"]


def test_zendesk_without_its_users_tells_the_requester_from_the_others(tmp_path: Path) -> None:
    for name in ("tickets.json", "comments.json"):
        shutil.copy(FIXTURES / "zendesk" / "apart" / name, tmp_path)
    found = labels(read(FORMATS["zendesk"], peeks_of(tmp_path)))
    assert [label for label, _ in found["1"]] == [
        "customer", "automatic_reply", "internal_note", "agent", "agent", "agent",
    ]  # fmt: skip


def test_a_ticket_list_of_zendesk_counts_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    """The description stands for the comments where those were not exported."""
    shutil.copy(FIXTURES / "zendesk" / "apart" / "tickets.json", tmp_path)
    shutil.copy(FIXTURES / "zendesk" / "apart" / "users.json", tmp_path)
    (tmp_path / "organizations.json").write_text('{"organizations": [{"id": 1, "name": "Acme"}], "count": 1}')
    found = read(FORMATS["zendesk"], peeks_of(tmp_path))
    assert [(one["conversation"], one["skip"] or ROLES[one["role"]]) for one in found] == [
        ("1", "customer"), ("2", "customer"), ("3", "customer"), ("4", "agent"),
    ]  # fmt: skip
    (claim,) = FORMATS["zendesk"].claim(peeks_of(tmp_path), Options())
    assert len(claim.sides) == 2


def test_a_zendesk_answer_for_one_ticket_needs_no_ticket_id_in_its_comments(tmp_path: Path) -> None:
    whole = json.loads((FIXTURES / "zendesk" / "answer" / "ticket-7.json").read_text(encoding="utf-8"))
    (tmp_path / "7.json").write_text(json.dumps({"comments": whole["comments"], "users": whole["users"]}))
    assert [label for label, _ in labels(read(FORMATS["zendesk"], peeks_of(tmp_path)))["7.json"]] == [
        "customer",
        "agent",
    ]


# Where messages stand; a record without them has none to lose.
PLACES = {
    "comments", "users", "ticket", "tickets", "conversations", "conversation_parts", "source", "_embedded", "messages",
    "events", "threads", "thread", "payload", "data", "chats", "visitor", "body", "description",
}  # fmt: skip


@pytest.mark.parametrize(("name", "case"), CASES)
@pytest.mark.parametrize("damage", [None, 7, "?", ["x"], {"y": None}], ids=repr)
def test_fields_of_another_type_lose_no_message(name: str, case: str, damage: Any, tmp_path: Path) -> None:
    folder = FIXTURES / name / case
    path = max((one for one in folder.iterdir() if one.name != "expected.json"), key=lambda one: one.stat().st_size)
    if path.suffix == ".csv":
        return  # the cells of a table are text
    text = path.read_text(encoding="utf-8")
    whole = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    for one in list(objects(whole)):
        one |= {field: damage for field in one if field not in PLACES}
    (tmp_path / "damaged.json").write_text(json.dumps(whole))
    found = read(FORMATS[name], [peek_at(tmp_path / "damaged.json")])
    assert len(found) >= len(read(FORMATS[name], [peek_at(path)])) > 0


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_record_alone_in_a_file_reads_as_it_does_among_others(name: str, case: str, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    for path in (FIXTURES / name / case).iterdir():
        if path.suffix == ".jsonl":
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
                (tmp_path / "alone" / f"{path.stem}-{number}.json").write_text(line, encoding="utf-8")
    if peeks := peeks_of(tmp_path / "alone"):
        expected = labels(read(FORMATS[name], peeks_of(FIXTURES / name / case)))
        assert labels(read(FORMATS[name], peeks)) == expected
        assert {form.name for form in FORMATS.values() for _ in form.claim(peeks, Options())} == {name}


@pytest.mark.parametrize(("name", "case"), CASES)
@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_an_answer_of_the_api_on_one_line_reads_as_it_does_on_many(
    name: str, case: str, ending: str, tmp_path: Path
) -> None:
    for path in (FIXTURES / name / case).iterdir():
        if path.suffix == ".json" and path.name != "expected.json":
            whole = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(whole, dict):
                (tmp_path / f"{path.stem}{ending}").write_text(json.dumps(whole) + "\n")
                continue
        shutil.copy(path, tmp_path)
    peeks = peeks_of(tmp_path)
    assert labels(read(FORMATS[name], peeks)) == labels(read(FORMATS[name], peeks_of(FIXTURES / name / case)))
    assert {form.name for form in FORMATS.values() for _ in form.claim(peeks, Options())} == {name}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_object_counts_as_unreadable(name: str, tmp_path: Path) -> None:
    (tmp_path / "garbage.json").write_text('[null, 3, "text", [], {}]')
    faults = RowFaults()
    found = read(FORMATS[name], peeks_of(tmp_path), faults)
    assert [message["row"] for message in found if message["skip"] == "unreadable"] == [1, 2, 3, 4]
    assert sum(faults.counts.values()) == 4


FIELDS = (
    "id comments author author_id source conversation_parts threads events users messages satisfaction_rating via "
    "_embedded type created_at body content_attributes ratings contacts visitor requester metric_set"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", FORMATS)
def test_any_json_is_read_or_counted(name: str, tmp_path: Path) -> None:
    path = tmp_path / "any.json"

    @settings(max_examples=60, deadline=None)
    @given(st.lists(JSON, min_size=1, max_size=4))
    def check(whole: list[Any]) -> None:
        path.write_text(json.dumps(whole).replace("NaN", "null").replace("-Infinity", "0").replace("Infinity", "0"))
        known = tuple(one for one in whole if isinstance(one, dict))
        found = read(FORMATS[name], [Peek(path, path.name, "json_array", path.stat().st_size, records=known)])
        assert sum(message["skip"] == "unreadable" for message in found) >= len(whole) - len(known)

    check()


def test_times_of_all_platforms_are_microseconds() -> None:
    assert instant("2024-05-01T10:00:00Z") == instant(1714557600) == instant(1714557600000) == 1714557600_000_000
    assert instant("2024-05-01T12:00:00.5+02:00") == instant("2024-05-01 10:00:00.5 UTC") == 1714557600_500_000
    assert (instant(None), instant(""), instant("yesterday"), instant(1e40)) == (MISSING, MISSING, UNREAD, UNREAD)
    assert instant(float("nan")) == instant("nan") == UNREAD


def test_an_address_is_no_name() -> None:
    assert people("Anna Lee", "anna@example.com", None, "Anna Lee", " Bob\nCarl ") == "Anna Lee\nBob\nCarl"
