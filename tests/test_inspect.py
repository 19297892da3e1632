"""`lfb inspect` and `lfb formats`: what a file is taken for, said without anybody's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lf_bridge.cli.formats import formats
from lf_bridge.cli.inspect import inspect
from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.sniff import formats as known_formats
from lf_bridge.recipe.load import load_settings
from lf_bridge.recipe.preparing import Mapping

LOG = """\
thread_id,role,customer_name,created_at,text
1,note,,01/02/2024 10:00,call her back
1,customer,Quenby Ashdown,01/02/2024 10:01,Hi this is Quenby Ashdown. Write to q.ashdown@firm-mail.de
1,agent,,01/02/2024 10:02,Sure Quenby
1,agent,,01/02/2024 10:03,Done <b>now</b>
2,customer,,01/02/2024 11:00,Second
2,agent,,01/02/2024 11:01,Answer
"""


def run(*arguments: str | Path) -> str:
    return CliRunner().invoke(inspect, [str(one) for one in arguments], catch_exceptions=False).stdout


def seen(*arguments: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json"))["files"]
    return found


def test_a_log_is_shown_as_it_would_be_read_and_redacted(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    (file,) = seen(tmp_path / "log.csv")
    assert file["format"] == "messages"
    assert file["columns"] == {
        "text": "text", "conversation": "thread_id", "role": "role", "time": "created_at", "names": "customer_name",
    }  # fmt: skip
    assert file["notes"] == ["log.csv: dates read month first; mapping.time_format says otherwise"]
    speakers, texts = zip(*file["conversation"], strict=True)
    assert speakers == ("customer", "agent")
    assert texts[0].startswith("Hi this is ")
    said = run(tmp_path / "log.csv")
    for told in (said, json.dumps(file)):
        assert not [word for word in ("Quenby", "Ashdown", "firm-mail", "call her") if word in told]
    assert "log.csv  csv, UTF-8, 6 rows seen" in said
    assert "assumed       dates read month first" in said


def test_a_written_mapping_is_whole_and_reads_the_file(tmp_path: Path) -> None:
    raw, written = tmp_path / "log.csv", tmp_path / "mapping.yaml"
    raw.write_text("Fall,wer,was,客户\n1,Kunde Eins,Guten Tag liebes Team,9\n1,Team,Hallo,9\n")
    with pytest.raises(LfbError, match="has no text column and no conversation column and no role column"):
        run(raw)
    run(raw, "--write-mapping", written)
    lines = written.read_text("ascii").splitlines()
    assert "# Columns: Fall, wer, was, \\u5ba2\\u6237" in lines
    assert {line.partition(":")[0] for line in lines if not line.startswith("#")} == set(Mapping.model_fields)
    changes = {
        "text: null": "text: was",
        "conversation: null": "conversation: Fall",
        "role: null": "role: wer",
        "agent_values: []": "agent_values: [Team]",
        "customer_values: []": "customer_values: ['*']",
    }
    written.write_text("\n".join(changes.get(line, line) for line in lines))
    assert load_settings(written, Mapping).role == "wer"
    (file,) = seen(raw, "--mapping", written)
    assert file["columns"]["text"] == "was"
    assert file["conversation"] == [["customer", "Guten Tag liebes Team"], ["agent", "Hallo"]]
    with pytest.raises(LfbError, match=r"mapping\.yaml is there already"):
        run(raw, "--write-mapping", written)


def test_every_file_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LOG)
    (tmp_path / "b.txt").write_text("Customer: Hi\nAgent: Hello\n")
    (tmp_path / "people.csv").write_text("person,team\n1,red\n")
    files = seen(tmp_path)
    assert [(file["file"], file["format"]) for file in files] == [
        ("a.csv", "messages"),
        ("b.txt", "transcript"),
        ("people.csv", "none"),
    ]
    assert files[1]["conversation"] == [["customer", "Hi"], ["agent", "Hello"]]
    assert files[2]["notes"] == ["people.csv holds no messages and is left out"]


def test_formats_say_where_their_schema_was_verified() -> None:
    listed = CliRunner().invoke(formats, []).stdout
    told = json.loads(CliRunner().invoke(formats, ["--json"]).stdout)["formats"]
    assert [one["name"] for one in told] == [one.name for one in known_formats()]
    verified = [one for one in told if one["schema"]]
    assert listed.count("  schema    ") == len(verified)
    assert listed.count("  schema unverified") == len(told) - len(verified)
    assert "LLaMA-Factory, data/README.md" in listed
