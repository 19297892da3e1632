"""Chat logs and public corpora: every message read, with its role, in its conversation."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats import abcd, contact_center, jddc, slack, support_tweets, taskmaster, whatsapp
from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.peek import peek
from lf_bridge.prepare.formats.reply_pointers import resolve
from lf_bridge.prepare.formats.schema import MISSING, ROLES, UNREAD
from lf_bridge.prepare.formats.sniff import claim_files
from lf_bridge.recipe.preparing import Mapping

FIXTURES = Path(__file__).parent / "fixtures" / "formats"
FORMATS = [slack, whatsapp, support_tweets, jddc, abcd, taskmaster, contact_center]
Message = dict[str, Any]


def peek_at(path: Path, folder: Path) -> Peek:
    """What the sniffer sees of a file, under its name as seen from the folder."""
    return peek(cast("Any", SimpleNamespace(path=path, label=path.relative_to(folder).as_posix())))


def claims_of(form: Format, folder: Path, agents: Sequence[str] = (), **mapping: Any) -> list[Claim]:
    peeks = [peek_at(path, folder) for path in sorted(folder.rglob("*.*")) if path.name != "labels.tsv"]
    return form.claim(peeks, Options(mapping=Mapping(agent_values=tuple(agents), **mapping)))


def read(claims: Sequence[Claim], faults: RowFaults | None = None) -> dict[str, list[Message]]:
    """The messages of each file, in the order in which they come."""
    found: dict[str, list[Message]] = {peek.label: [] for claim in claims for peek in claim.files}
    for claim in claims:
        for index, batch in claim.read(faults if faults is not None else RowFaults()):
            found[claim.files[index].label] += batch.to_pylist()
    for messages in found.values():
        assert [message["row"] for message in messages] == sorted(message["row"] for message in messages)
        for message in messages:
            message["role"] = ROLES[message["role"]]
    return found


def read_one(form: Format, path: Path) -> list[Message]:
    return read(form.claim([peek_at(path, path.parent)], Options(format=form.name)))[path.name]


@pytest.mark.parametrize(
    ("form", "folder"),
    [
        (support_tweets.FORMAT, "support_tweets"),
        (jddc.FORMAT, "jddc"),
        (contact_center.FORMAT, "contact_center"),
        (whatsapp.FORMAT, "whatsapp"),
        (slack.FORMAT, "slack/guests"),
    ],
)
def test_labelled_messages_have_their_role_and_their_conversation(form: Format, folder: str) -> None:
    with open(FIXTURES / folder / "labels.tsv", encoding="utf-8") as file:
        labels = list(csv.DictReader(file, delimiter="\t"))
    found = read(claims_of(form, FIXTURES / folder))
    messages = [(label, found[label["file"]][int(label["message"]) - 1]) for label in labels]
    roles = sum(label["role"] == message["role"] for label, message in messages)
    wanted, threads = defaultdict(set), defaultdict(set)
    for label, message in messages:
        place = (label["file"], label["message"])
        wanted[label["file"], label["conversation"]].add(place)
        threads[label["file"], message["conversation"]].add(place)
    whole = sum(members in threads.values() for members in wanted.values())
    sys.stdout.write(f"{form.name}: roles {roles}/{len(labels)}, conversations {whole}/{len(wanted)}\n")
    assert (roles, whole) == (len(labels), len(wanted))
    labelled = {label["file"] for label in labels}
    assert {file: len(found[file]) for file in labelled} == {
        file: sum(label["file"] == file for label in labels) for file in labelled
    }


@pytest.mark.parametrize("name", [module.FORMAT.name for module in FORMATS])
def test_files_are_sniffed_by_their_own_format_before_all_others(name: str) -> None:
    folders = [FIXTURES / name] if name != "slack" else [FIXTURES / name / "guests", FIXTURES / name / "public"]
    options = Options(mapping=Mapping(agent_values=("Ines", "hamza"))) if name == "slack" else Options()
    for folder in folders:
        paths = [path for path in sorted(folder.rglob("*.*")) if path.name != "labels.tsv"]
        claims = claim_files([peek_at(path, folder) for path in paths], options)
        assert {claim.format for claim in claims} == {name}
        taken = [peek.label for claim in claims for peek in (*claim.files, *claim.sides)]
        assert sorted(taken) == sorted(path.relative_to(folder).as_posix() for path in paths)


def test_a_spreadsheets_copy_of_the_tweets_reads_like_the_original() -> None:
    found = read(claims_of(support_tweets.FORMAT, FIXTURES / "support_tweets"))
    original, copy = found["twcs.csv"], found["resaved.csv"]
    assert copy == original
    first = original[-1]
    assert first["text"] == "@acme my order never came & nobody answers"
    assert datetime.fromtimestamp(first["time"] / 1e6, UTC) == datetime(2017, 10, 31, 22, 10, 47, tzinfo=UTC)
    assert {message["customer"] for message in original if message["role"] == "customer"} == {
        "200", "201", "202", "203", "204"
    }  # fmt: skip


def test_tweets_with_a_cut_last_row_lose_that_row_alone(tmp_path: Path) -> None:
    whole = (FIXTURES / "support_tweets" / "twcs.csv").read_text(encoding="utf-8")
    (tmp_path / "twcs.csv").write_text(whole[: whole.index("@acme my order")], encoding="utf-8")
    faults = RowFaults()
    messages = read(claims_of(support_tweets.FORMAT, tmp_path), faults)["twcs.csv"]
    original = read(claims_of(support_tweets.FORMAT, FIXTURES / "support_tweets"))["twcs.csv"]
    assert len(messages) == len(original)
    assert [m["text"] for m in messages[:-1]] == [m["text"] for m in original[:-1]]
    assert (messages[-1]["skip"], faults.counts) == ("unreadable", {"twcs.csv": 1})


def test_times_of_tweets_in_any_form_or_none() -> None:
    cells = ["Sat Feb 29 23:59:59 +0000 2020", "Tue Oct 31 22:10:47 -0530 2017", "2017-10-31 22:10:47+00:00",
             "Tue Oct 31 99:10:47 +0000 2017", "", "ÜÜÜÜÜÜÜÜÜÜÜÜÜÜÜ"]  # fmt: skip
    read_times = support_tweets.parse_times(pa.array(cells)).to_pylist()
    expected = [
        datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC),
        datetime(2017, 11, 1, 3, 40, 47, tzinfo=UTC),
        datetime(2017, 10, 31, 22, 10, 47, tzinfo=UTC),
    ]
    assert read_times[:3] == [int(moment.timestamp()) * 1_000_000 for moment in expected]
    assert read_times[3:] == [UNREAD, MISSING, UNREAD]
    assert support_tweets.parse_times(pa.array(cells).slice(1, 1)).to_pylist() == read_times[1:2]


def test_jddc_words_keep_their_tabs_and_lose_their_marks() -> None:
    found = read(claims_of(jddc.FORMAT, FIXTURES / "jddc"))
    texts = [message["text"] for message in found["chat2019.txt"]]
    assert texts == [message["text"] for message in found["chat2018.txt"]]
    assert (texts[2], texts[3], texts[6], texts[8]) == (
        "今天会发出的",
        "好的\t谢谢",
        "您在订单页点退款\n一般[数字x]天到账",
        "",
    )
    assert [message["customer"] for message in found["chat2018.txt"]] == ["USERID_1"] * 5 + ["USERID_2"] * 4


def test_a_jddc_line_without_its_cells_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = (FIXTURES / "jddc" / "chat2019.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "chat.txt").write_text("\n".join([*lines, "s9\tUSERID_9\t1"]), encoding="utf-8")
    faults = RowFaults()
    messages = read(claims_of(jddc.FORMAT, tmp_path), faults)["chat.txt"]
    assert len(messages) == len(lines) + 1
    assert (messages[-1]["skip"], faults.counts, faults.first[0].where) == (
        "unreadable",
        {"chat.txt": 1},
        "chat.txt row 10",
    )


def test_abcd_in_both_shapes_gives_each_turn_and_the_customers_name() -> None:
    found = read(claims_of(abcd.FORMAT, FIXTURES / "abcd"))
    raw = json.loads((FIXTURES / "abcd" / "splits.json").read_text())
    conversations = [one for split in raw.values() for one in split]
    turns = [(str(one["convo_id"]), *turn) for one in conversations for turn in one["original"]]
    messages = found["splits.json"]
    speakers = {"system": "action"}
    assert [(m["conversation"], speakers.get(m["role"], m["role"]), m["text"]) for m in messages] == turns
    assert all((m["skip"] == "tool_action") == (m["role"] == "system") for m in messages)
    assert {m["row"]: m["names"] for m in messages} == {1: "Crystal Minh", 2: "Alessandro Phoenix", 3: "Joyce Wu"}
    assert len(found["sample.json"]) == sum(len(one["original"]) for one in conversations[:2])


def test_taskmaster_dialogues_are_their_utterances_alone() -> None:
    messages = read(claims_of(taskmaster.FORMAT, FIXTURES / "taskmaster"))["dialogues.json"]
    raw = json.loads((FIXTURES / "taskmaster" / "dialogues.json").read_text())
    roles = {"user": "customer", "assistant": "agent"}
    assert [(m["conversation"], m["role"], m["text"]) for m in messages] == [
        (one["conversation_id"], roles[turn["speaker"]], turn["text"]) for one in raw for turn in one["utterances"]
    ]
    assert any("menu_items" in (m["context"] or "") for m in messages if m["role"] == "agent")
    assert not any(m["context"] for m in messages if m["role"] == "customer")


def test_a_persons_reward_goes_to_the_answer_and_to_nothing_else() -> None:
    messages = read(claims_of(taskmaster.FORMAT, FIXTURES / "taskmaster"))["reward.json"]
    raw = json.loads((FIXTURES / "taskmaster" / "reward.json").read_text())
    assert len(messages) == sum(len(json.loads(one["context"])) + 1 for one in raw)
    rewarded = [(m["conversation"], m["text"], m["reward"]) for m in messages if m["reward"]]
    assert rewarded == [
        (one["conversation_id"], json.loads(one["generation"])["text"], 1 if one["reward"] else -1)
        for one in raw
        if "text" in json.loads(one["generation"])
    ]
    assert {reward for *_, reward in rewarded} == {1, -1}
    assert all(m["skip"] == "tool_action" and not m["text"] for m in messages if m["role"] == "system")


def test_contact_center_customers_are_told_apart_only_where_their_ids_are() -> None:
    messages = read(claims_of(contact_center.FORMAT, FIXTURES / "contact_center"))
    assert {m["customer"] for m in messages["first.json"] if m["role"] == "customer"} == {"101"}
    assert messages["second.json"][1]["time"] == 1675816158000000
    alone = read_one(contact_center.FORMAT, FIXTURES / "contact_center" / "many.jsonl")
    assert {m["customer"] for m in alone} == {None}


def test_whatsapp_words_without_what_the_phone_added() -> None:
    found = read(claims_of(whatsapp.FORMAT, FIXTURES / "whatsapp"))
    rosa, ko = found["WhatsApp Chat with Rosa Blum.txt"], found["_chat.txt"]
    assert [m["text"] for m in rosa[2:]] == [
        "Good morning Rosa! Yes, we have\ntwo of them:\n- brass\n- steel", "", "The one on the left, please", "",
        "That is the brass one, I put it aside.", "Thanks: I will come at 19:00", "See you then.",
    ]  # fmt: skip
    assert [m["skip"] for m in rosa] == ["system_event", *[None] * 4, "deleted", None, None, None]
    assert [m["skip"] for m in ko] == ["system_event", *[None] * 6]
    assert ko[3]["text"] == ""
    assert rosa[0]["names"] == "Lumen Shop\nRosa Blum"
    assert len({m["message_id"] for m in rosa}) == len(rosa)


def test_whatsapp_dates_are_read_in_the_order_that_the_whole_file_tells() -> None:
    found = read(claims_of(whatsapp.FORMAT, FIXTURES / "whatsapp"))
    moments = {
        label: [datetime.fromtimestamp(m["time"] / 1e6, UTC).replace(tzinfo=None) for m in messages]
        for label, messages in found.items()
    }
    assert moments["WhatsApp Chat with Rosa Blum.txt"][0] == datetime(2024, 3, 13, 10, 1)  # noqa: DTZ001
    assert moments["_chat.txt"][1] == datetime(2024, 2, 4, 9, 15, 2)  # noqa: DTZ001
    assert moments["_chat.txt"][3] == datetime(2024, 2, 4, 12, 5, 9)  # noqa: DTZ001
    assert moments["与李雷的聊天.txt"][1] == datetime(2024, 3, 12, 14, 30)  # noqa: DTZ001
    assert all(times == sorted(times) for times in moments.values())


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("12.03.24, 18:05 - ", datetime(2024, 3, 12, 18, 5, tzinfo=UTC)),
        ("12.3.2024 klo 14.08 - ", datetime(2024, 3, 12, 14, 8, tzinfo=UTC)),
        ("[2024-03-12, 23:59:59] ", datetime(2024, 3, 12, 23, 59, 59, tzinfo=UTC)),
        ("\u200e[12/03/2024, 12:00:01\u202fa.\u202fm.] ", datetime(2024, 3, 12, 0, 0, 1, tzinfo=UTC)),
        ("12/03/2024 à 09:10 - ", datetime(2024, 3, 12, 9, 10, tzinfo=UTC)),
        ("١٢/٠٣/٢٠٢٤, ١٨:٠٥ - ", datetime(2024, 3, 12, 18, 5, tzinfo=UTC)),
    ],
)
def test_whatsapp_headers_of_many_phones(stamp: str, moment: datetime, tmp_path: Path) -> None:
    later = stamp.replace("12", "13", 1).replace("-12", "-13").replace("١٢", "١٣", 1)
    (tmp_path / "chat.txt").write_text(f"{stamp}Ana: hi\n{stamp}Shop: hello\n{later}Ana: bye\n", encoding="utf-8")
    messages = read(
        claims_of(whatsapp.FORMAT, tmp_path, ["Shop"], time_format="%Y-%m-%d" if "-03-" in stamp else "%d/%m/%y")
    )
    assert [m["role"] for m in messages["chat.txt"]] == ["customer", "agent", "customer"]
    assert messages["chat.txt"][0]["time"] == int(moment.timestamp()) * 1_000_000


def test_whatsapp_says_when_day_and_month_cannot_be_told(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text("03/04/24, 10:00 - Ana: hi\n03/04/24, 10:01 - Shop: hello\n", encoding="utf-8")
    assert "chat.txt" in claims_of(whatsapp.FORMAT, tmp_path, ["Shop"])[0].notes[0]
    assert not claims_of(whatsapp.FORMAT, tmp_path, ["Shop"], time_format="%m/%d/%y")[0].notes


def test_one_whatsapp_chat_alone_asks_who_the_company_is_and_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text(
        "13/03/24, 10:00 - Ana Diaz: hi\n13/03/24, 10:01 - Shop: hello\n", encoding="utf-8"
    )
    with pytest.raises(LfbError, match="2 speakers") as error:
        claims_of(whatsapp.FORMAT, tmp_path)
    assert "agent_values" in str(error.value)
    assert "Ana" not in str(error.value)


def test_a_transcript_of_roles_is_no_whatsapp_chat(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text(
        "2024-03-13 10:00 - Customer: hi\n2024-03-13 10:01 - Agent: hello\n", encoding="utf-8"
    )
    assert claims_of(whatsapp.FORMAT, tmp_path) == []


def test_slack_text_is_what_people_saw() -> None:
    found = read(claims_of(slack.FORMAT, FIXTURES / "slack" / "guests"))
    messages = found["help-acme/2024-03-12.json"]
    texts = [m["text"] for m in messages]
    assert texts[1] == "The export fails with error 500 since this morning, @Ines can you look?"
    assert texts[2] == "Can I raise the seat limit to 30 & keep the price?"
    assert texts[4] == "Yes: see the page on seats (https://docs.example.com/seats)."
    assert texts[5] == "Project #billing. Mail me at rhea@example.org"
    assert messages[1]["names"].split("\n") == ["Rhea", "Rhea Okafor", "rhea", "Ines", "Ines Varga", "ines"]
    assert [m["skip"] for m in messages] == ["system_event", *[None] * 9, "deleted"]
    assert messages[1]["time"] == 1710230460_000200
    assert [m["cut_by_gap"] for m in messages[:4]] == [True, False, False, False]


def test_a_slack_export_of_members_alone_asks_who_the_agents_are() -> None:
    folder = FIXTURES / "slack" / "public"
    with pytest.raises(LfbError, match="4 of them members") as error:
        claims_of(slack.FORMAT, folder)
    assert "Hamza" not in str(error.value)
    found = read(claims_of(slack.FORMAT, folder, ["Hamza Faran"]))
    raw = {path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in folder.glob("*/*.json")}
    assert {label: len(messages) for label, messages in found.items()} == {
        label: len(records) for label, records in raw.items()
    }
    spoken = [r["user"] for records in raw.values() for r in records if "subtype" not in r and "bot_id" not in r]
    roles = [m["role"] for messages in found.values() for m in messages if m["role"] in ("agent", "customer")]
    assert roles.count("agent") == spoken.count("U0BMQB6JE") > 0
    assert roles.count("customer") == len(spoken) - spoken.count("U0BMQB6JE") > 0


GARBAGE: list[Any] = [
    None, 7, "words", [], {}, {"original": 3}, {"convo_id": 1, "scenario": [], "original": [["agent"], 4]},
    {"utterances": [None]}, {"utterances": "x"}, {"context": "[", "generation": "{}", "reward": 1},
    {"context": "[1]", "generation": "{}", "reward": "x"}, {"entries": [None, {"role": 3}]},
    {"type": "message", "ts": 5, "user": None, "text": ["x"]},
]  # fmt: skip


@pytest.mark.parametrize("form", [abcd.FORMAT, taskmaster.FORMAT, contact_center.FORMAT, slack.FORMAT])
def test_records_that_make_no_sense_are_counted_and_do_not_stop_the_rest(form: Format, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps(GARBAGE), encoding="utf-8")
    messages = read_one(form, tmp_path / "log.json")
    assert {message["row"] for message in messages} == set(range(1, len(GARBAGE) + 1))
    assert all(message["skip"] or message["role"] in ("unknown", "system") for message in messages)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30) | st.sampled_from(["13/03/24, 10:00 - A: b", "[99.99.99, 25:61] C: d"])))
def test_any_text_can_stand_in_a_whatsapp_file(lines: list[str]) -> None:
    messages = [whatsapp._HEADER.match(line) for line in lines]
    orders = [whatsapp._time(match, order) for match in messages if match for order in ("dmy", "mdy", "ymd")]
    assert all(moment == UNREAD or moment > MISSING for moment in orders)


NUMBER = st.integers(0, 12)
ROW = st.tuples(st.none() | NUMBER, st.none() | NUMBER, st.none() | st.sampled_from("xyz"))


@settings(deadline=None)
@given(st.lists(ROW, max_size=30))
def test_any_pointers_end_and_every_message_has_a_conversation(
    rows: list[tuple[int | None, int | None, str | None]],
) -> None:
    ids, parents, customers = (
        pa.array([None if row[place] is None else str(row[place]) for row in rows], pa.string()) for place in range(3)
    )
    for found in (resolve(ids, parents), resolve(ids, parents, customers)):
        assert len(found.names) == len(rows)
        assert found.names.null_count == 0
        assert found.orphans == sum(row[1] is not None and row[1] not in {other[0] for other in rows} for row in rows)
    names = resolve(ids, parents).names.to_pylist()
    first: dict[int, int] = {}
    for place, (own, _, _) in enumerate(rows):
        if own is not None:
            first.setdefault(own, place)
    for own, place in first.items():
        parent = rows[place][1]
        if parent is not None and parent in first:
            assert names[place] == names[first[parent]]
        assert all(names[place] == names[other] for other, row in enumerate(rows) if row[0] == own)


@settings(deadline=None)
@given(st.permutations(range(1, 9)), st.integers(0, 7))
def test_a_chain_is_one_conversation_in_any_order_of_rows(order: list[int], start: int) -> None:
    parents = [None if number == 1 else str(number - 1) for number in order]
    customers = ["c" if number % 2 else None for number in order]
    found = resolve(pa.array([f"{number}.0" for number in order]), pa.array(parents), pa.array(customers, pa.string()))
    assert set(found.names.to_pylist()) == {"1"}
    ring = [str((number - 1 + start) % 8 + 1) for number in order]
    closed = resolve(pa.array([str(number) for number in order]), pa.array(ring))
    lengths = {0: 8, 1: 1, 2: 2, 3: 1, 4: 4, 5: 1, 6: 2, 7: 1}
    assert len(set(closed.names.to_pylist())) == closed.cycles == lengths[start]


def test_a_ring_of_answers_is_opened_at_its_earliest_row() -> None:
    found = resolve(pa.array(["5", "1,234", "7", "9"]), pa.array(["7.0", "5", "1234", "5"]))
    assert (found.names.to_pylist(), found.cycles, found.orphans) == (["5"] * 4, 1, 0)


def test_a_reply_pointer_costs_microseconds() -> None:
    count = 400_000
    ids = pa.array([str(number) for number in range(count, 0, -1)])
    parents = pa.array([str(number - 1) if number % 5 else None for number in range(count, 0, -1)])
    customers = pa.array([str(number // 5) if number % 5 in (0, 2, 4) else None for number in range(count, 0, -1)])
    started = time.process_time()
    found = resolve(ids, parents, customers)
    assert time.process_time() - started < 5e-6 * count
    assert len(found.names.unique()) == count // 5 + 1
