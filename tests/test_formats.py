"""General layouts: tables of messages, questions with answers, chats as text, lists of messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.cells import rating_scale, read_ratings, read_resolved
from lf_bridge.prepare.formats.files import Claim, Options, Peek, RowFaults
from lf_bridge.prepare.formats.peek import peek
from lf_bridge.prepare.formats.schema import KINDS, MISSING, ROLES, UNREAD
from lf_bridge.prepare.formats.sniff import claim_files, formats
from lf_bridge.prepare.formats.times import FORMS, UNITS, Times, decide
from lf_bridge.prepare.formats.transcript_lines import find_style, label_role, read_cell, read_chats
from lf_bridge.prepare.unpack import Plain
from lf_bridge.recipe.preparing import Mapping

TRANSCRIPTS = Path(__file__).parent / "fixtures" / "formats" / "transcript"
AUTO = Options()


def look(folder: Path, name: str, content: str) -> Peek:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return peek(Plain(path, name, 0))


def claim(folder: Path, name: str, content: str, options: Options = AUTO) -> Claim:
    return claim_files([look(folder, name, content)], options)[0]


def messages(claimed: Claim) -> list[dict[str, Any]]:
    rows = [row for _, batch in claimed.read(RowFaults()) for row in batch.to_pylist()]
    return [{**row, "role": ROLES[row["role"]], "kind": KINDS[row["kind"]]} for row in rows]


def column(rows: Sequence[dict[str, Any]], *names: str) -> list[Any]:
    return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]


TICKETS = """\
Ticket ID,commentId,Author Type,requester_name,created_at,body,is_public,is_bot,channel,draft,csat,status,assignee
7,1,end-user,Ann Lee,2024-05-01T10:00:00Z,<p>Hi</p>,true,false,email,false,5,closed,Bob Ray
7,2,agent,Ann Lee,2024-05-01T10:01:00Z,<p>angry one</p>,false,false,email,false,5,closed,Bob Ray
7,3,agent,Ann Lee,2024-05-01T10:02:00Z,<p>Hello</p>,true,true,web,false,5,closed,Bob Ray
7,4,agent,Ann Lee,2024-05-01T10:03:00Z,<p>Sure</p>,true,false,web,true,5,closed,Bob Ray
8,5,end-user,Cem Oz,,<p>Me too</p>,true,false,chat,false,1,reopened,Dee Fox
"""


def test_a_table_of_messages_says_all_that_its_columns_say(tmp_path: Path) -> None:
    found = messages(claim(tmp_path, "tickets.csv", TICKETS))
    assert column(found, "row", "conversation", "message_id", "role") == [
        (1, "7", "1", "customer"),
        (2, "7", "2", "agent"),
        (3, "7", "3", "bot"),
        (4, "7", "4", "agent"),
        (5, "8", "5", "customer"),
    ]
    assert column(found, "skip") == [None, "internal_note", None, "draft", None]
    assert column(found, "kind") == ["email_html", "email_html", "html", "html", "html"]
    assert column(found, "rating", "resolved") == [(1, 1)] * 4 + [(-1, -1)]
    assert column(found, "names") == ["Ann Lee\nBob Ray"] * 4 + ["Cem Oz\nDee Fox"]
    assert column(found, "time")[::4] == [1_714_557_600_000_000, MISSING]
    assert column(found, "text")[0] == "<p>Hi</p>"


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("role", ("customer", "agent", "bot", "system", "note", "martian")),
        ("sender_type", ("Visitor", "Operator", "chatbot", "event", "private note", "x")),
        ("角色", ("用户", "人工客服", "机器人", "系统", "备注", "谁")),
    ],
)
def test_roles_are_told_apart(tmp_path: Path, header: str, values: tuple[str, ...]) -> None:
    rows = "".join(f"c1,{value},words\n" for value in values)
    found = messages(claim(tmp_path, "log.csv", f"thread_id,{header},text\n{rows}"))
    assert column(found, "role") == ["customer", "agent", "bot", "system", "note", "unknown"]


def test_two_people_are_not_guessed_to_be_customer_and_agent(tmp_path: Path) -> None:
    log = "chat_id,sender,text\n" + "1,Ann Lee,Hi\n1,Bob Ray,Hello\n" * 9
    with pytest.raises(LfbError) as caught:
        claim(tmp_path, "log.csv", log)
    said = str(caught.value)
    assert said.startswith("error: log.csv has 2 different values in its role column")
    assert "agent_values: [VALUE]" in said
    assert "role: sender" in said
    assert not {"Ann", "Bob", "Hello"} & set(said.replace("`", " ").split())
    named = messages(
        claim(tmp_path, "log.csv", log, Options(mapping=Mapping(agent_values=("Bob Ray",), customer_values=("*",))))
    )
    assert column(named, "role", "names") == [("customer", "Ann Lee"), ("agent", "Bob Ray")] * 9


def test_without_a_conversation_column_reply_pointers_thread(tmp_path: Path) -> None:
    log = (
        "id,in_reply_to,role,customer_id,text\n1,,user,c1,a\n2,1,agent,,b\n3,,user,c2,c\n4,2,user,c1,d\n5,3,agent,,e\n"
    )
    claimed = claim(tmp_path, "log.csv", log)
    found = messages(claimed)
    threads = column(found, "conversation")
    assert threads[0] == threads[1] == threads[3] != threads[2] == threads[4]
    assert claimed.notes == ("log.csv: no column names the conversation; messages are threaded by reply pointers",)


def test_without_ids_a_customer_and_silence_thread_but_not_whoever_wrote(tmp_path: Path) -> None:
    rows = "c1,user,2024-05-01 10:00,a\nc1,agent,2024-05-01 10:01,b\n"
    found = messages(claim(tmp_path, "log.csv", f"customer_id,role,time,text\n{rows}"))
    assert column(found, "conversation", "cut_by_gap") == [("c1", True)] * 2
    with pytest.raises(LfbError, match="has no conversation column"):
        claim(tmp_path, "log.csv", f"author_id,role,time,text\n{rows}")


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)),  # noqa: DTZ001
    st.sampled_from([*FORMS, "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S UTC", *UNITS]),
)
def test_every_form_of_a_time_reads_back(moment: datetime, form: str) -> None:
    moment = moment.replace(tzinfo=UTC, day=max(13, moment.day) if moment.day < 29 else 13)
    if form in UNITS:
        moment = moment.replace(microsecond=0)
        cell = str(round(moment.timestamp() * 1e6 / UNITS[form]))
    else:
        cell = moment.strftime(form)
        moment = datetime.strptime(cell, form)  # noqa: DTZ007
    cells = pa.array([cell] * 3)
    assert decide(cells).read(cells).to_pylist() == [round(moment.replace(tzinfo=UTC).timestamp() * 1e6)] * 3


def test_day_and_month_that_cannot_be_told_apart_are_an_assumption() -> None:
    doubtful = decide(pa.array(["01/02/2024 10:00", "03/04/2024 11:00"]))
    assert doubtful.note == "dates read month first; mapping.time_format says otherwise"
    assert decide(pa.array(["01/02/2024 10:00", "13/04/2024 11:00"])).note is None
    assert doubtful.read(pa.array(["01/02/2024 10:00"])).to_pylist() == [1_704_189_600_000_000]


def test_a_second_form_in_a_file_is_read_where_only_one_meaning_fits() -> None:
    cells = pa.array(
        [*["2024-05-01 10:00"] * 8, "13/05/2024 10:00", "02/03/2024 10:00", "long ago", "2023-02-30", " ", "null"]
    )
    told = decide(cells)
    read = told.read(cells).to_pylist()
    assert read[8] == 1_715_594_400_000_000
    assert read[9:] == [UNREAD, UNREAD, UNREAD, MISSING, UNREAD]
    assert told.note == "5 of the first 13 times are in another form than `iso`"


def test_times_without_a_zone_are_of_the_zone_that_the_mapping_names() -> None:
    read = Times("iso", "Asia/Shanghai").read(pa.array(["2024-05-01 18:00", "2024-05-01T10:00:00Z"])).to_pylist()
    assert read == [1_714_557_600_000_000] * 2


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "5", "3", "", "0"], [-1, 1, 0, 0, 0]),
        (["10", "7", "4", "5"], [1, 1, -1, 0]),
        (["good", "bad", "offered", "非常满意"], [1, -1, 0, 1]),
        (["0", "1", ""], [-1, 1, 0]),
        (["4/5", "1 stars"], [1, -1]),
    ],
)
def test_ratings_are_read_by_their_scale(cells: list[str], expected: list[int]) -> None:
    assert read_ratings(pa.array(cells), rating_scale(cells)).to_pylist() == expected


def test_open_is_not_unsolved_and_reopened_is() -> None:
    states = ["open", "solved", "reopened", "pending", "1"]
    assert read_resolved(pa.array(states), "status").to_pylist() == [0, 1, -1, 0, 0]
    assert read_resolved(pa.array(["yes", "no", ""]), "is_resolved").to_pylist() == [1, -1, 0]
    assert read_resolved(pa.array(["yes", "no"]), "reopened").to_pylist() == [-1, 0]


def test_a_question_keeps_its_input_and_each_of_its_answers(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Track", "input": "Order 7", "output": "Soon", "draft_answer": "Maybe", "context": "FAQ"},
        {"instruction": "Track", "input": "Order 7", "output": "Today", "draft_answer": "", "context": ""},
        {"instruction": "Pay", "input": "", "output": "Here", "draft_answer": "", "context": ""},
    ]
    claimed = claim(tmp_path, "faq.jsonl", "\n".join(map(json.dumps, rows)))
    found = messages(claimed)
    assert claimed.format == "question_answer"
    assert column(found, "text") == ["Track\nOrder 7", "Soon", "Track\nOrder 7", "Today", "Pay", "Here"]
    assert column(found, "role") == ["customer", "agent"] * 3
    assert column(found, "row") == [1, 1, 2, 2, 3, 3]
    assert len(set(column(found, "conversation"))) == 3
    assert column(found, "draft", "context")[:3] == [(None, None), ("Maybe", "FAQ"), (None, None)]


def labelled() -> list[Any]:
    return [json.loads(line) for line in (TRANSCRIPTS / "labelled.jsonl").read_text("utf-8").splitlines()]


def test_labelled_transcripts_give_speakers_and_conversations(capsys: pytest.CaptureFixture[str]) -> None:
    right: dict[str, list[bool]] = {}
    for case in labelled():
        lines = case["text"].split("\n")
        chats = read_chats(iter(enumerate(lines, 1)), find_style(lines))
        read = [[[turn.role, turn.text] for turn in chat.turns] for chat in chats]
        expected = case["conversations"]
        pairs = [turn for chat in expected for turn in chat]
        got = [turn for chat in read for turn in chat]
        right.setdefault(case["language"], []).extend(
            place < len(got) and turn == got[place] for place, turn in enumerate(pairs)
        )
        assert [len(chat) for chat in read] == [len(chat) for chat in expected], case["name"]
    with capsys.disabled():
        for language, hits in right.items():
            print(f"\ntranscripts {language}: {sum(hits)} of {len(hits)} messages right", end="")  # noqa: T201
    assert all(sum(hits) == len(hits) for hits in right.values())


TITLES = ("会话", "对话", "工单", "案例", "chat", "conversation", "ticket", "case", "session", "transcript", "dialog")
WORDS = st.text(st.characters(categories=("L", "N"), exclude_characters=":："), min_size=1, max_size=12)
# A line such as `会话 7` is a title: it begins another conversation.
WORDS = WORDS.filter(lambda word: not any(title in word.lower() for title in TITLES))


@given(
    st.lists(
        st.tuples(st.sampled_from(["Agent", "Customer", "客服", "客户"]), st.lists(WORDS, min_size=1, max_size=3)),
        min_size=1,
    )
)
def test_every_word_of_a_transcript_is_read(turns: list[tuple[str, list[str]]]) -> None:
    text = "\n".join(f"{speaker}: " + "\n".join(lines) for speaker, lines in turns)
    lines = text.split("\n")
    style = find_style(lines)
    chats = list(read_chats(iter(enumerate(lines, 1)), style))
    assert [(turn.label, turn.text) for chat in chats for turn in chat.turns] == [
        (speaker, "\n".join(words)) for speaker, words in turns
    ]


def test_a_text_file_of_names_is_read_once_the_agents_are_listed(tmp_path: Path) -> None:
    text = "Anna: Hi\nBob Miller: My code: 12\nAnna: Thanks\n"
    with pytest.raises(LfbError, match="is text in which no customer and agent speak"):
        claim(tmp_path, "chat.txt", text)
    claimed = claim(tmp_path, "chat.txt", text, Options(mapping=Mapping(agent_values=("Anna",))))
    found = messages(claimed)
    assert column(found, "row", "role", "text") == [
        (1, "agent", "Hi"),
        (2, "customer", "My code: 12"),
        (3, "agent", "Thanks"),
    ]
    assert set(column(found, "names", "conversation")) == {("Anna\nBob Miller", "chat.txt#1")}
    assert claimed.notes == ("chat.txt: the whole file is one conversation",)


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ("Anna (Agent)", "agent"),
        ("Agent Anna", "agent"),
        ("在线客服小美", "agent"),
        ("客户张三", "customer"),
        ("Customer Number", "unknown"),
        ("客户编号", "unknown"),
        ("the customer said", "unknown"),
    ],
)
def test_a_form_field_is_no_speaker(label: str, role: str) -> None:
    assert label_role(label) == role


@pytest.mark.parametrize(
    "cell",
    [
        "Agent: Hi. Customer: I need help & fast! Agent: Sure",
        "( 2s ) Agent: Hi.<br>( 9s ) Customer: I need help &amp; fast!<br>( 1m 2s ) Agent: Sure",
        "Agent (10:00): Hi.\r\nCustomer (10:01): I need help & fast!\r\nAgent (10:02): Sure",
    ],
)
def test_a_chat_in_one_cell_is_a_conversation(tmp_path: Path, cell: str) -> None:
    assert column([vars(turn) for turn in read_cell(cell).turns], "role", "text") == [
        ("agent", "Hi."),
        ("customer", "I need help & fast!"),
        ("agent", "Sure"),
    ]
    rows = "".join(f'{n},Ann Lee,"{cell}"\n' for n in range(3))
    claimed = claim(tmp_path, "chats.csv", f"case_id,visitor_name,Body\n{rows}")
    assert claimed.format == "transcript"
    found = messages(claimed)
    assert column(found, "row", "conversation") == [(n + 1, str(n)) for n in range(3) for _ in range(3)]
    assert set(column(found, "names")) == {"Ann Lee"}


OPENAI = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Where?"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "shelf 3", "tool_call_id": "1"},
        {"role": "assistant", "content": "On shelf 3."},
    ]
}


def test_lists_of_messages_are_conversations(tmp_path: Path) -> None:
    share = {"id": "s1", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
    claimed = claim(tmp_path, "openai.jsonl", json.dumps(OPENAI) + "\n" + json.dumps(OPENAI | {"id": 5}))
    found = messages(claimed)
    assert claimed.format == "chat_messages"
    assert column(found, "role", "text", "skip")[:5] == [
        ("system", "Be kind.", None),
        ("customer", "Where?", None),
        ("agent", "", "tool_action"),
        ("system", "shelf 3", "tool_action"),
        ("agent", "On shelf 3.", None),
    ]
    assert column(found, "single")[::5] == [True, False]
    found = messages(claim(tmp_path, "share.json", json.dumps([share, share | {"id": "s2"}])))
    assert column(found, "conversation", "role", "text")[:2] == [("s1", "customer", "Hi"), ("s1", "agent", "Hello")]
    assert column(found, "row") == [1, 1, 2, 2]


def test_a_mapping_reads_what_no_name_tells(tmp_path: Path) -> None:
    log = "k1,k2,k3,k4\nA,x,Hello there,31.12.2024\nA,y,Good day,01.01.2025\n"
    mapping = Mapping(
        text="k3", conversation="k1", role="k2", time="k4", time_format="%d.%m.%Y", names=(), customer_values=("x",),
        agent_values=("y",), kind="email_text",
    )  # fmt: skip
    found = messages(claim(tmp_path, "log.csv", log, Options(mapping=mapping)))
    assert column(found, "role", "conversation", "kind") == [
        ("customer", "A", "email_text"),
        ("agent", "A", "email_text"),
    ]
    assert found[0]["time"] == 1_735_603_200_000_000
    pairs = Mapping(layout="question_answer", question="k1", answer="k3")
    assert column(messages(claim(tmp_path, "log.csv", log, Options(mapping=pairs))), "text")[:2] == ["A", "Hello there"]


def test_a_mapping_of_columns_that_are_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LfbError) as caught:
        claim(
            tmp_path, "log.csv", "thread_id,role,body\n1,user,Hi\n", Options(mapping=Mapping(text="bodi", role="who"))
        )
    assert [fault.problem for fault in caught.value.faults] == [
        "has no column `bodi`; did you mean `body`?",
        "has no column `who`",
    ]


def test_files_that_nobody_reads_are_named_together_without_their_words(tmp_path: Path) -> None:
    peeks = [
        look(tmp_path, "a.csv", "thread_id,role,Hello I am Ann\n1,user,Hi\n"),
        look(tmp_path, "b.jsonl", '{"subject_line": "a b c d e f g", "thread_id": 1}\n'),
        look(tmp_path, "c.txt", "Dear diary\n\nToday Ann came\n"),
    ]
    with pytest.raises(LfbError) as caught:
        claim_files(peeks, AUTO)
    said = str(caught.value)
    assert said.startswith("error: 3 files are in no format that is known")
    assert "`thread_id`, `role`, 1 with names that are not shown" in said
    assert "has no text column" in said
    assert "text: COLUMN" in said
    assert "conversation: thread_id" in said
    assert "Ann" not in said
    assert "diary" not in said


def test_a_table_without_words_beside_the_log_is_left_out(tmp_path: Path) -> None:
    peeks = [
        look(tmp_path, "log.csv", "thread_id,role,text\n1,user,Hi\n1,agent,Yo\n"),
        look(tmp_path, "people.csv", "person,team\n1,red\n"),
    ]
    claims = claim_files(peeks, AUTO)
    assert [one.format for one in claims] == ["messages", "none"]
    assert claims[1].notes == ("people.csv holds no messages and is left out",)
    assert list(claims[1].read(RowFaults())) == []


def test_an_unknown_format_is_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(LfbError, match="there is no format `zendsk`; did you mean `zendesk`"):
        claim(tmp_path, "log.csv", TICKETS, Options(format="zendsk"))


def test_a_row_that_cannot_be_read_is_a_message_all_the_same(tmp_path: Path) -> None:
    rows = [{"thread_id": 1, "role": role, "text": "Hi"} for role in ("user", "agent")]
    log = "\n".join([json.dumps(rows[0]), '{"thread_id": 1, "ro', json.dumps(rows[1])])
    found = messages(claim(tmp_path, "log.jsonl", log))
    assert column(found, "row", "role", "skip") == [
        (1, "customer", None),
        (2, "unknown", "unreadable"),
        (3, "agent", None),
    ]


def test_every_format_says_what_it_needs() -> None:
    assert len({one.name for one in formats()}) == len(formats())
    assert all(one.title and one.needs for one in formats())
