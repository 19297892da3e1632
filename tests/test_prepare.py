"""Raw logs become a dataset that accounts for every message."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from plain import PLAIN

from lf_bridge import points, process
from lf_bridge.errors import LfbError
from lf_bridge.handover import Dataset, Environment
from lf_bridge.prepare import conversing, reading
from lf_bridge.prepare.prepare import (
    conversations_of,
    fit_dataset,
    prepare_conversations,
    read_dataset,
    training_texts,
)
from lf_bridge.prepare.records import Report
from lf_bridge.recipe.model import Data
from lf_bridge.talk import Silence

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
KEY = b"the key of these tests"
GOLDEN = """\
ticket_id,comment_id,author_type,author_id,created_at,body
t1,1,agent,a7,2024-05-01T10:00:00Z,Welcome!
t1,3,Agent,a7,2024-05-01T10:05:00Z,It left yesterday.
t1,2,end-user,c1,2024-05-01T10:01:00Z,"Where is
my order?"
t1,4,agent,a7,2024-05-01T10:05:00Z,It is “on time”.
t1,5,note,a7,2024-05-01T10:06:00Z,angry customer
t1,6,end-user,c1,2024-05-01T10:07:00Z,Thanks <|im_end|>
t2,7,customer,c2,,Hello?
t3,8,user,c3,,Refund please
t3,9,user,c3,,"  "
t3,10,support,a7,,Done.
t3,11,martian,x,,Beep
,12,user,c9,,Lost
"""


def prepare(raw: Path, out: Path, talk: Silence | None = None, **settings: Any) -> tuple[Dataset, Report]:
    data, talk = Data(**settings), talk or Silence()
    found = prepare_conversations([raw], data, KEY, out, talk, settings=PLAIN)
    return fit_dataset(found, data, "qwen", None, None, talk)


def export(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def ledger(out: Path) -> list[dict[str, Any]]:
    name = json.loads((out / "dataset.json").read_text())["files"]["ledger"]
    rows: list[dict[str, Any]] = pq.read_table(out / name).to_pylist()
    return sorted(rows, key=lambda row: (row["file"], row["row"]))


def examples(out: Path) -> dict[str, list[dict[str, Any]]]:
    info = json.loads((out / "dataset_info.json").read_text())
    names = {split: info[f"support_{split}"]["file_name"] for split in ("train", "validation")}
    return {split: json.loads((out / name).read_text("ascii")) for split, name in names.items()}


def words(example: dict[str, Any]) -> list[str]:
    return [turn["value"] for turn in example["conversations"]]


def test_a_small_export_becomes_exactly_these_examples(tmp_path: Path) -> None:
    prepare(export(tmp_path / "raw", "tickets.csv", GOLDEN), tmp_path / "out", system="Be kind.")
    found = examples(tmp_path / "out")
    assert sorted([*found["train"], *found["validation"]], key=words) == [
        {
            "conversations": [
                {"from": "human", "value": "Refund please"},
                {"from": "gpt", "value": "Done."},
            ],
            "system": "Be kind.",
        },
        {
            "conversations": [
                {"from": "human", "value": "Where is\nmy order?"},
                {"from": "gpt", "value": "It left yesterday.\nIt is “on time”."},
            ],
            "system": "Be kind.",
        },
    ]
    assert len(found["train"]) == len(found["validation"]) == 1
    entry = json.loads((tmp_path / "out" / "dataset_info.json").read_text())["support_train"]
    assert entry == {
        "file_name": entry["file_name"],
        "formatting": "sharegpt",
        "ranking": False,
        "columns": {
            **dict.fromkeys(("prompt", "query", "response", "history", "tools"), None),
            **dict.fromkeys(("images", "videos", "audios", "chosen", "rejected", "kto_tag"), None),
            "messages": "conversations",
            "system": "system",
        },
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "human",
            "assistant_tag": "gpt",
            "observation_tag": "observation",
            "function_tag": "function_call",
            "system_tag": "system",
        },
    }


def test_the_ledger_has_one_state_for_every_message_and_no_text(tmp_path: Path) -> None:
    _, report = prepare(export(tmp_path / "raw", "tickets.csv", GOLDEN), tmp_path / "out")
    rows = ledger(tmp_path / "out")
    assert [(row["message_id"], row["state"], row["reason"], row["changes"]) for row in rows] == [
        ("1", "dropped", "before_customer", None),
        ("3", "kept", None, None),
        ("2", "kept", None, None),
        ("4", "merged", None, None),
        ("5", "dropped", "internal_note", None),
        ("6", "dropped", "unanswered", "defused"),
        ("7", "dropped", "one_sided", None),
        ("8", "kept", None, None),
        ("9", "dropped", "empty_text", None),
        ("10", "kept", None, None),
        ("11", "dropped", "unknown_role", None),
        ("12", "dropped", "no_conversation_id", None),
    ]
    assert [row["row"] for row in rows] == list(range(1, 13))
    customers = {row["message_id"]: row["customer"] for row in rows}
    assert customers["1"] == customers["2"] == customers["4"] != customers["8"]
    assert len(customers["1"]) == 16
    assert set(rows[0]) == {"file", "row", "message_id", "customer", "state", "reason", "conversation", "changes"}
    assert "order" not in str(rows)
    assert report.to_json()["messages"] == {
        "read": 12,
        "kept": 4,
        "merged": 1,
        "dropped": {
            "before_customer": 1,
            "empty_text": 1,
            "internal_note": 1,
            "no_conversation_id": 1,
            "one_sided": 1,
            "unanswered": 1,
            "unknown_role": 1,
        },
    }
    assert report.to_json()["conversations"] == {"train": 1, "validation": 1, "dropped": {"one_sided": 1}}
    assert report.warnings == (
        "tickets.csv: 1 messages are from neither customer nor agent",
        "not fitted to a tokenizer yet: `lfb train` will do it",
    )


def test_the_sample_adds_up_and_read_is_what_another_parser_counts(tmp_path: Path) -> None:
    dataset, report = prepare(SAMPLE, tmp_path / "out")
    with open(SAMPLE / "taskmaster4.csv", newline="", encoding="utf-8") as file:
        count = sum(1 for _ in csv.reader(file)) - 1
    messages = report.messages
    assert messages.read == count == messages.kept + messages.merged + sum(messages.dropped.values())
    assert len(ledger(tmp_path / "out")) == count
    assert dataset.public_sample
    assert (dataset.train_examples, dataset.validation_examples, dataset.fit) == (1312, 188, "")
    assert {split: len(found) for split, found in examples(tmp_path / "out").items()} == {
        "train": 1312,
        "validation": 188,
    }
    assert set(report.to_json()) == {
        "messages",
        "conversations",
        "files",
        "warnings",
        "seconds",
        "messages_per_second",
        "peak_memory_bytes",
        "duplicates",
        "redacted",
        "quarantined",
        "preferences",
        "tokens",
        "stages",
        "languages",
        "turns",
        "lengths",
    }


@pytest.mark.parametrize(
    ("role", "says"),
    [("role", ("customer", "agent")), ("Author Type", ("end-user", "admin")), ("inbound", ("True", "False"))],
)
@pytest.mark.parametrize("form", ["csv", "bom", "semicolon", "jsonl"])
def test_each_format_gives_the_same_conversations(tmp_path: Path, form: str, role: str, says: tuple[str, str]) -> None:
    rows = [
        {"Thread ID": f"t{number}", role: says[turn % 2], "Text": f"号 {number}, turn {turn}", "sender": "Ann"}
        for number in range(20)
        for turn in range(4)
    ]
    if form == "jsonl":
        text = "\n".join(json.dumps(row) for row in rows)
    else:
        mark = ";" if form == "semicolon" else ","
        lines = [mark.join(f'"{cell}"' for cell in row.values()) for row in [{name: name for name in rows[0]}, *rows]]
        text = ("\ufeff" if form == "bom" else "") + "\r\n".join(lines)
    raw = export(tmp_path / "raw", f"log.{'jsonl' if form == 'jsonl' else 'csv'}", text)
    _, report = prepare(raw, tmp_path / "out")
    found = examples(tmp_path / "out")
    assert sorted(map(words, [*found["train"], *found["validation"]])) == sorted(
        [f"号 {number}, turn {turn}" for turn in range(4)] for number in range(20)
    )
    assert report.files[0].format == "messages"
    assert report.messages.read == 80


def test_each_question_with_its_answer_is_a_conversation_and_twins_stay_together(tmp_path: Path) -> None:
    rows = "".join(f"How {n}?,So {n}.\n" for n in range(30))
    raw = export(tmp_path / "raw", "faq.csv", "instruction,response\n" + rows + rows + "Why?,\n")
    _, report = prepare(raw, tmp_path / "out")
    found = {split: list(map(words, made)) for split, made in examples(tmp_path / "out").items()}
    assert sorted(found["train"] + found["validation"]) == sorted(2 * [[f"How {n}?", f"So {n}."] for n in range(30)])
    assert not [pair for pair in found["train"] if pair in found["validation"]]
    assert report.files[0].format == "question_answer"
    assert report.messages.read == 122
    assert report.messages.dropped == {"empty_text": 1, "one_sided": 1}


def test_times_order_a_conversation_in_any_form(tmp_path: Path) -> None:
    forms = {
        "iso": ("2024-05-01 10:00:00", "2024-05-01 11:00:00"),
        "zone": ("2024-05-01T10:00:00+02:00", "2024-05-01T09:00:00Z"),
        "seconds": ("999999999", "1714557600"),
        "tweet": ("Tue Oct 31 22:10:47 +0000 2017", "Wed Nov 01 02:10:47 +0000 2017"),
        "american": ("01/31/2024 10:00 PM", "02/01/2024 09:00 AM"),
        "european": ("31/01/2024 22:00", "01/02/2024 09:00"),
    }
    for name, (earlier, later) in forms.items():
        rows = "".join(f"{t},agent,Yes {t}.,{later}\n{t},user,Is it?,{earlier}\n" for t in range(9))
        raw = export(tmp_path / name, "log.csv", "thread_id,role,text,created_at\n" + rows)
        _, report = prepare(raw, tmp_path / f"{name}-out")
        assert report.messages.kept == 18, name


def test_a_later_export_leaves_everyone_on_their_side(tmp_path: Path) -> None:
    def rows(numbers: range) -> str:
        return "".join(f"{n},c{n % 40},user,Q{n}\n{n},,agent,A{n}\n" for n in numbers)

    header = "conversation_id,customer_id,role,text\n"
    prepare(export(tmp_path / "raw", "a.csv", header + rows(range(100))), tmp_path / "one")
    export(tmp_path / "raw", "a.csv", header + rows(range(150)))
    export(tmp_path / "raw", "b.csv", header + rows(range(150, 300)))
    prepare(tmp_path / "raw", tmp_path / "two")
    one, two = examples(tmp_path / "one"), examples(tmp_path / "two")
    for split in ("train", "validation"):
        assert {str(words(made)) for made in one[split]} <= {str(words(made)) for made in two[split]}
    people = {split: {int(words(made)[0][1:]) % 40 for made in two[split]} for split in two}
    assert not people["train"] & people["validation"]


def test_no_held_out_conversation_is_in_the_training_texts(tmp_path: Path) -> None:
    prepare(SAMPLE, tmp_path / "out")
    lines = training_texts(tmp_path / "out").read_text("ascii").splitlines()
    texts = sorted([turn["content"] for turn in json.loads(line)] for line in lines)
    assert texts == sorted(map(words, examples(tmp_path / "out")["train"]))
    assert json.loads(lines[0])[0]["role"] == "user"
    assert json.loads(lines[0])[1]["role"] == "assistant"


def test_what_is_prepared_already_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, talk = tmp_path / "out", Silence()
    first, report = prepare(SAMPLE, out)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in out.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(conversing, "build_conversations", None)
        assert prepare(SAMPLE, out, talk) == (first, report)
    assert talk.said == [
        "5649 messages of 1 files: unchanged, conversations reused",
        f"{out} is up to date: 1312 training and 188 validation examples",
    ]
    assert sorted((path.name, path.stat().st_mtime_ns) for path in out.iterdir()) == before
    second, _ = prepare(SAMPLE, out, system="Be kind.")
    assert second.digest != first.digest
    assert conversations_of(out).report.messages.read == 5649
    assert len(list(out.glob("train-*"))) == 1


def test_many_parts_give_the_same_dataset_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = prepare(SAMPLE, tmp_path / "one")
    monkeypatch.setattr(reading, "count_parts", lambda total: 3)
    prepare(SAMPLE, tmp_path / "two")
    assert examples(tmp_path / "one") == examples(tmp_path / "two")
    assert ledger(tmp_path / "one") == ledger(tmp_path / "two")
    assert one.folder == tmp_path / "one"


def test_only_the_owner_can_read_a_dataset(tmp_path: Path) -> None:
    prepare(SAMPLE, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    open_to_others = [p.name for p in (tmp_path / "out").iterdir() if p.stat().st_mode & 0o077 and p.name != ".lock"]
    assert open_to_others == []


@pytest.mark.parametrize("point", [point for point in points.POINTS if point.startswith("prepare: ")])
def test_a_crash_anywhere_leaves_the_old_dataset_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    out = tmp_path / "out"
    raw = export(tmp_path / "raw", "tickets.csv", GOLDEN)
    old, _ = prepare(raw, out)
    export(raw, "more.csv", "thread_id,role,text\n" + "".join(f"{n},user,Q{n}\n{n},agent,A{n}\n" for n in range(20)))

    def crash(reached: str) -> None:
        if reached == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(points, "reach", crash)
        with pytest.raises(KeyboardInterrupt):
            prepare(raw, out)
    after = read_dataset(out)
    assert (after == old) == (point != "prepare: after commit")
    assert after.train_examples == len(examples(out)["train"])
    new, _ = prepare(raw, out)
    assert new.train_examples + new.validation_examples == 22
    assert json.loads((out / "dataset.json").read_text())["digest"] == new.digest
    assert not (out / ".work").exists()
    assert len(list(out.glob("dataset-*.json"))) == 1
    assert len(list(out.glob("ledger-*"))) == 1


def test_a_changed_training_file_is_noticed_and_made_again(tmp_path: Path) -> None:
    made, _ = prepare(SAMPLE, tmp_path / "out")
    train = next((tmp_path / "out").glob("train-*"))
    train.write_text("[]")
    with pytest.raises(LfbError) as caught:
        read_dataset(tmp_path / "out")
    assert str(caught.value) == f"error: {train} is missing or was changed\n\nhint: run `lfb prepare` again"
    assert prepare(SAMPLE, tmp_path / "out")[0] == made == read_dataset(tmp_path / "out")


def test_a_fitted_dataset_accounts_for_what_did_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count_words(python: Path, program: str, request: dict[str, Any], *, log: Path) -> dict[str, Any]:
        """Stands in for LLaMA-Factory: a token a word, two for the system prompt, `<s>` is special."""
        assert program == "fit"
        for name, answers in zip(request["conversations"], request["answers"], strict=True):
            with open(name) as asked, open(answers, "w") as answered:
                for line in asked:
                    texts = json.loads(line)
                    defused = {turn: text.replace("<s>", "< s>") for turn, text in enumerate(texts) if "<s>" in text}
                    counts = [len(text.split()) for text in texts]
                    answer = {"prompts": counts[::2], "answers": counts[1::2], "tokens": sum(counts)}
                    more = {"defused": defused, "opening": [count + 2 for count in counts[::2]], "closing": 0}
                    answered.write(json.dumps({**answer, **more}) + "\n")
        return {"special_tokens": ["<s>"]}

    monkeypatch.setattr(process, "run_inside", count_words)
    monkeypatch.setattr(reading, "count_parts", lambda total: 3)
    turns = ["a <s>", "b", "c " * 9, "d", "e", "f"]
    rows = [f"{n},{('user', 'agent')[turn % 2]},{text} {n}" for n in range(40) for turn, text in enumerate(turns)]
    rows += [f"x,{role},{'x ' * 20}" for role in ("user", "agent")]
    raw = export(tmp_path / "raw", "log.csv", "\n".join(["thread_id,role,text", *rows]))
    data, here = Data(cutoff_length=32).model_copy(update={"cutoff_length": 8}), Environment(Path("python"), ())
    found = prepare_conversations([raw], data, KEY, tmp_path / "out", Silence(), settings=PLAIN)
    dataset, report = fit_dataset(found, data, "qwen", "tokenizer", here, Silence())
    made = examples(tmp_path / "out")
    assert sorted(map(words, [*made["train"], *made["validation"]])) == sorted(
        one for n in range(40) for one in ([f"a < s> {n}", f"b {n}"], [f"e {n}", f"f {n}"])
    )
    assert (len(made["train"]), len(made["validation"])) == (dataset.train_examples, dataset.validation_examples)
    assert (report.messages.read, report.messages.kept, report.messages.dropped) == (242, 160, {"over_cutoff": 82})
    conversations = report.conversations
    assert (conversations.train + conversations.validation, conversations.dropped) == (40, {"over_cutoff": 1})
    states = [(row["state"], row["changes"]) for row in ledger(tmp_path / "out")][:6]
    gone, kept = ("dropped", None), ("kept", None)
    assert states == [("kept", "defused"), kept, gone, gone, kept, kept]
    short = data.model_copy(update={"cutoff_length": 3})
    with pytest.raises(LfbError, match="^error: no training conversation fits into 3 tokens\n"):
        fit_dataset(found, short, "qwen", "tokenizer", here, Silence())
    assert read_dataset(tmp_path / "out") == dataset


def test_private_logs_are_not_called_public(tmp_path: Path) -> None:
    dataset, _ = prepare(export(tmp_path / "raw", "tickets.csv", GOLDEN), tmp_path / "out")
    assert not dataset.public_sample


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\x00\x01", "log.csv is a binary file, not text\n\nhint: export the log as CSV or JSON Lines"),
        (b"", "log.csv is empty\n\nhint: export it again, or remove it"),
        (b"thread_id,role,text\n", "log.csv has no rows\n\nhint: export it again, or remove it"),
        (b"thread_id,role,Hello I am Ann\n1,user,Hi\n", "log.csv has no text column"),
        (b"thread_id,role,text\n1,Ann,Hi\n1,Bob,Yes\n", "log.csv has 2 different values in its role column"),
        (b"thread_id,role,text\n1,user,Hi\n1,agent\n", "2 messages make 0 usable conversations, and 2 are the least"),
    ],
    ids=["binary", "empty", "header only", "no text", "no roles", "ragged"],
)
def test_bad_input_gives_one_clear_error_and_writes_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(LfbError) as caught:
        prepare(tmp_path, tmp_path / "out")
    assert str(caught.value).startswith(f"error: {message}")
    assert caught.value.hint
    assert "Ann" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").glob("*") if path.name != ".lock"] == []


def test_missing_files_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(LfbError, match=r"^error: nothing does not exist\n") as caught:
        prepare(Path("nothing"), tmp_path / "out")
    assert caught.value.hint == "`lfb prepare PATH` takes the folder or file with your logs"
    with pytest.raises(LfbError, match="raw holds no logs\n"):
        prepare(export(tmp_path / "raw", "notes.md", "x"), tmp_path / "out")
    with pytest.raises(LfbError, match="out holds no dataset\n") as caught:
        read_dataset(tmp_path / "out")
    assert caught.value.hint == "run `lfb prepare` first"


def test_all_files_without_a_known_shape_are_named_at_once(tmp_path: Path) -> None:
    export(tmp_path / "raw", "a.csv", "thread_id,role\n1,user\n")
    export(tmp_path / "raw", "b.jsonl", '{"who": "Ann", "what": "hello there, my friend"}\n')
    with pytest.raises(LfbError) as caught:
        prepare(tmp_path / "raw", tmp_path / "out")
    assert {fault.where for fault in caught.value.faults} >= {"a.csv", "b.jsonl"}
    assert "friend" not in str(caught.value)


def test_one_customer_alone_cannot_be_split(tmp_path: Path) -> None:
    rows = "".join(f"{n},c1,user,Q\n{n},c1,agent,A\n" for n in range(3))
    raw = export(tmp_path / "raw", "log.csv", "thread_id,customer_id,role,text\n" + rows)
    with pytest.raises(
        LfbError, match="^error: all 3 conversations are of one customer or say the same, so none can be held out\n"
    ):
        prepare(raw, tmp_path / "out")


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("5/1/2024 1:05 PM", "5/1/2024 2:10 PM"),
        ("31/12/2024 23:59", "1/1/2025 00:05"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:05+00:00"),
        ("1714560000", "1714560100"),
        ("Tue Oct 31 22:10:47 +0000 2017", "Tue Oct 31 22:11:47 +0000 2017"),
    ],
)
def test_the_agent_listed_first_is_still_the_one_who_answered(tmp_path: Path, early: str, late: str) -> None:
    rows = [f'{number},agent,"{late}",done {number}\n{number},customer,"{early}",help {number}' for number in range(6)]
    (tmp_path / "log.csv").write_text("ticket_id,role,created_at,text\n" + "\n".join(rows) + "\n")
    _, report = prepare(tmp_path / "log.csv", tmp_path / "out")
    assert report.messages.kept == 12
    assert not [warning for warning in report.warnings if "times" in warning]


def test_times_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    rows = [f"{number},customer,long ago,help\n{number},agent,2024-01-01,done {number}" for number in range(6)]
    (tmp_path / "log.csv").write_text("ticket_id,role,created_at,text\n" + "\n".join(rows) + "\n")
    _, report = prepare(tmp_path / "log.csv", tmp_path / "out")
    assert "log.csv: 6 times cannot be read; those conversations stay in file order" in report.warnings


def test_nobody_in_particular_is_not_one_customer(tmp_path: Path) -> None:
    rows = [f"how {number}?,so {number},{'' if number % 2 else ' '}" for number in range(40)]
    (tmp_path / "log.csv").write_text("question,answer,customer_id\n" + "\n".join(rows) + "\n")
    _, report = prepare(tmp_path / "log.csv", tmp_path / "out")
    assert report.conversations.validation < 20


def test_a_file_without_a_header_is_refused_without_its_words(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("1,customer,John_Smith,Refund please\n")
    with pytest.raises(LfbError) as caught:
        prepare(tmp_path / "log.csv", tmp_path / "out")
    assert "Smith" not in str(caught.value)
    assert "Refund" not in str(caught.value)
