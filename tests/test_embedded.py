"""The embedded runtime answers, streams, keeps and refuses as a server would."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from tiny import CONTEXT, write_tiny_gguf

from lf_bridge.errors import LfbError
from lf_bridge.handover import ChatTemplate, GgufFile, Message
from lf_bridge.runtime import embedded
from lf_bridge.runtime.embedded import EmbeddedModel, EmbeddedRuntime
from lf_bridge.runtime.scoring import score
from lf_bridge.runtime.stopping import Answering
from lf_bridge.talk import Silence

pytest.importorskip("cyllama", reason="the embedded llama.cpp is not installed")
pytest.importorskip("gguf")

CHATML = ChatTemplate(
    name="qwen",
    prefix="",
    system="<|im_start|>system\n{{content}}<|im_end|>\n",
    user="<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n",
    assistant="{{content}}<|im_end|>\n",
    stop=("<|im_end|>",),
)
QUESTION = [Message("user", "Where is my parcel?")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "model.gguf")


@pytest.fixture
def runtime(tmp_path: Path, tiny: GgufFile) -> EmbeddedRuntime:
    runtime = EmbeddedRuntime(tmp_path / "store")
    assert runtime.put_blob(tiny.path, tiny.digest, Silence())
    register(runtime, "bot:v1", tiny)
    return runtime


def register(runtime: EmbeddedRuntime, tag: str, gguf: GgufFile, **parameters: object) -> None:
    parameters = {"num_ctx": 256, "temperature": 0.0, "num_predict": 24, **parameters}
    runtime.create(tag, digest=gguf.digest, template=CHATML, system="Be brief.", parameters=parameters, talk=Silence())


def test_a_model_is_registered_copied_answers_and_is_deleted(
    runtime: EmbeddedRuntime, tiny: GgufFile, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not runtime.put_blob(tiny.path, tiny.digest, Silence())
    runtime.copy("bot:v1", "bot")
    latest, version = runtime.list()
    assert (latest.name, version.name) == ("bot:latest", "bot:v1")
    assert latest.digest == version.digest
    served = runtime.show("bot")
    assert (served.gguf_digest, served.system, served.parameters["num_ctx"]) == (tiny.digest, "Be brief.", 256)
    assert json.loads(served.template)["user"] == CHATML.user

    heard: list[str] = []
    answer = runtime.chat("bot", QUESTION, on_text=heard.append)
    assert answer.text == "".join(heard) != ""
    assert answer.text == runtime.chat("bot:v1", QUESTION).text
    assert answer.text != runtime.chat("bot:v1", QUESTION, options={"temperature": 1.5, "seed": 1}).text

    runtime.delete("bot:v1")
    assert runtime.chat("bot", QUESTION).text == answer.text
    runtime.delete("bot")
    assert runtime.list() == []
    assert not runtime.blob(tiny.digest).exists()
    assert capfd.readouterr() == ("", "")


def test_the_system_text_of_the_tag_gives_way_to_the_clients(runtime: EmbeddedRuntime, tiny: GgufFile) -> None:
    user = "<|im_start|>user\nWhere is my parcel?<|im_end|>\n<|im_start|>assistant\n"
    assert runtime.render("bot:v1", QUESTION) == f"<|im_start|>system\nBe brief.<|im_end|>\n{user}"
    own = [Message("system", "Be long."), *QUESTION]
    assert runtime.render("bot:v1", own) == f"<|im_start|>system\nBe long.<|im_end|>\n{user}"


def test_a_prompt_that_does_not_fit_is_refused_and_not_cut(runtime: EmbeddedRuntime) -> None:
    with pytest.raises(LfbError, match=r"a prompt of \d{3,} tokens does not fit a context of 256"):
        runtime.chat("bot:v1", [Message("user", "parcel " * 100)])


def test_a_file_other_than_the_measured_one_is_not_kept(tmp_path: Path, tiny: GgufFile) -> None:
    runtime = EmbeddedRuntime(tmp_path)
    with pytest.raises(LfbError, match="is not the file that was measured"):
        runtime.put_blob(tiny.path, "0" * 64, Silence())
    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.parametrize("tag", ["../../etc", "bot:..", "a/b/c", "", "/bot"])
def test_a_name_cannot_leave_the_store(runtime: EmbeddedRuntime, tag: str) -> None:
    with pytest.raises(LfbError, match="is no name of a model"):
        runtime.copy("bot:v1", tag)


def test_a_parameter_that_would_be_ignored_is_refused(runtime: EmbeddedRuntime, tiny: GgufFile) -> None:
    with pytest.raises(LfbError) as refused:
        register(runtime, "bot:v2", tiny, mirostat=2)
    assert [fault.where for fault in refused.value.faults] == ["mirostat"]
    assert [tag.name for tag in runtime.list()] == ["bot:v1"]


def test_without_the_wheel_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyllama.llama.llama_cpp", None)
    with pytest.raises(LfbError) as missing:
        embedded.version()
    assert missing.value.hint == "pip install 'lf-bridge[local]'"


def test_the_odds_of_all_answers_add_up_to_one(tiny: GgufFile) -> None:
    with EmbeddedModel(tiny.path, context=64) as model:
        prompt = model.tokenize("<|im_start|>user\nHi")
        odds = [math.exp(-model.answer_losses(prompt, [token])[0]) for token in range(260)]
        assert sum(odds) == pytest.approx(1, abs=1e-3)


def test_losses_do_not_depend_on_how_a_case_is_cut_into_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_gguf(tmp_path / "model.gguf", "F16").path
    prompt, answer = [index % 250 for index in range(70)], [index % 97 for index in range(40)]
    with EmbeddedModel(path) as model:
        assert model.context == CONTEXT  # at most what the model was made for
        whole = model.answer_losses(prompt, answer)
    monkeypatch.setattr(embedded, "_BATCH", 16)
    with EmbeddedModel(path) as model:
        assert model.answer_losses(prompt, answer) == pytest.approx(whole, abs=0.05)
    assert score(path, [(prompt, answer), (prompt[:3], [5])], Silence())[0] == (pytest.approx(sum(whole), abs=0.5), 40)


def test_the_likeliest_token_is_the_one_with_the_lowest_loss(tiny: GgufFile) -> None:
    with EmbeddedModel(tiny.path, context=64) as model:
        prompt = model.tokenize("<|im_start|>user\nHi<|im_end|>\n")
        answer = model.generate(prompt, max_tokens=1)
        best = min(range(260), key=lambda token: model.answer_losses(prompt, [token])[0])
        assert (answer.text, answer.prompt_tokens, answer.answer_tokens) == (model._text([best]), len(prompt), 1)


def test_white_space_at_the_start_of_an_answer_is_kept(tiny: GgufFile) -> None:
    with EmbeddedModel(tiny.path, context=64) as model:
        assert model._text(model.tokenize("  \n你好")) == "  \n你好"


def test_no_part_of_a_stop_text_is_shown() -> None:
    heard: list[str] = []
    answering = Answering(["\nUser:", "END"], heard.append)
    words = "Yes.\nUse it\nUser: more"
    stopped = [answering.write(words[:count]) for count in range(1, len(words))]
    assert stopped.index(True) == words.index(": more")
    assert "".join(heard) == "Yes.\nUse it"


def test_half_a_character_is_held_back_until_it_is_whole() -> None:
    heard: list[str] = []
    answering = Answering([], heard.append)
    for whole in ("好", "好\ufffd", "好\ufffd", "好的"):
        answering.write(whole)
    assert heard == ["好", "的"]


def test_a_damaged_file_is_one_clear_error(tmp_path: Path, tiny: GgufFile) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny.path.read_bytes()[:-5000])
    with pytest.raises(LfbError, match=r"llama\.cpp cannot load"):
        EmbeddedModel(path)
