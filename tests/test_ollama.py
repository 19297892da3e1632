"""The door to Ollama: what it says when the server refuses, breaks off or is not there."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_ollama import FakeOllama, fake_ollama

from lf_bridge.errors import LfbError
from lf_bridge.handover import Message
from lf_bridge.runtime.ollama import OllamaRuntime
from lf_bridge.runtime.templates import chat_template
from lf_bridge.talk import Silence

QWEN = chat_template("qwen", bos="", eos="<|im_end|>")


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with fake_ollama() as server:
        yield server


def create(server: FakeOllama) -> None:
    OllamaRuntime(server.address, Silence()).create(
        "bot:1", digest="0" * 64, template=QWEN, system="Be kind.", parameters={"num_ctx": 128}, talk=Silence()
    )


def test_nobody_there_is_one_error_with_the_address_and_the_next_step() -> None:
    with fake_ollama() as gone:
        address = gone.address
    with pytest.raises(LfbError) as caught:
        OllamaRuntime(address, Silence()).capabilities()
    assert str(caught.value) == (
        f"error: no Ollama server answers at http://{address}\n\n"
        "hint: start it with `ollama serve`, or name another with `--host`"
    )


def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LfbError, match="`host:port` is not an address"):
        OllamaRuntime("host:port", Silence())
    monkeypatch.setenv("OLLAMA_HOST", "http://[")
    for name in [
        name for name in sys.modules if name.partition(".")[0] == "ollama" or name == OllamaRuntime.__module__
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(LfbError, match=r"OLLAMA_HOST `http://\[` is not an address"):
        importlib.import_module(OllamaRuntime.__module__)


def test_an_error_inside_a_stream_that_began_well_is_raised(fake: FakeOllama) -> None:
    fake.create_lines = [{"status": "parsing GGUF"}, {"error": "no space left on device"}]
    with pytest.raises(LfbError, match="refused: no space left on device"):
        create(fake)


def test_a_stream_that_ends_without_success_is_a_failure(fake: FakeOllama) -> None:
    fake.create_lines = [{"status": "parsing GGUF"}]
    with pytest.raises(LfbError, match="broke off while it created bot:1"):
        create(fake)


def test_a_file_is_sent_once(fake: FakeOllama, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" * 1_000_000)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    runtime = OllamaRuntime(fake.address, Silence())
    assert runtime.put_blob(path, digest, Silence())
    assert not runtime.put_blob(path, digest, Silence())
    with pytest.raises(LfbError, match="refused: digest mismatch"):
        runtime.put_blob(path, "0" * 64, Silence())


def test_a_connection_that_is_lost_in_an_upload_is_one_error(fake: FakeOllama, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" * 10_000_000)
    fake.hang_up = True
    with pytest.raises(LfbError, match=f"the connection to the Ollama server at http://{fake.address} was lost"):
        OllamaRuntime(fake.address, Silence()).put_blob(path, "0" * 64, Silence())


def test_an_answer_that_is_never_finished_says_so(fake: FakeOllama) -> None:
    heard: list[str] = []
    runtime, question = OllamaRuntime(fake.address, Silence()), [Message("user", "Hi")]
    fake.words = "a b"
    answer = runtime.chat("bot", question, on_text=heard.append)
    assert (answer.text, answer.finished, heard) == ("ab", "stop", ["a", "b"])
    fake.done = False
    assert runtime.chat("bot", question).finished == ""


def test_another_machine_and_a_key_in_clear_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "secret")
    talk = Silence()
    OllamaRuntime("192.0.2.1", talk)
    assert len(talk.warned) == 2
    assert "192.0.2.1:11434 is another machine" in talk.warned[0]
    assert "OLLAMA_API_KEY" in talk.warned[1]
    assert "secret" not in "".join(talk.warned)
    for host in ("127.0.0.1", "localhost:1", "[::1]:1", "0.0.0.0"):
        OllamaRuntime(host, talk)
    OllamaRuntime("https://192.0.2.1", talk)
    assert len(talk.warned) == 3
