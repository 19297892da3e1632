"""Publishing: the Modelfile, the version, and what happens to `latest` when something goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ollama import FakeOllama, fake_ollama
from servers import Server
from tiny import write_tiny_gguf

from lf_bridge.errors import LfbError
from lf_bridge.handover import GgufFile, Message, Release
from lf_bridge.publish import publish as publishing
from lf_bridge.publish.modelfile import DEFAULT, Modelfile, fill_modelfile
from lf_bridge.publish.publish import Publication, pick_runtime, publish, version_of, write_gguf_folder
from lf_bridge.publish.records import read_releases
from lf_bridge.runtime.ollama import OllamaRuntime
from lf_bridge.runtime.templates import chat_template, go_template
from lf_bridge.talk import Silence
from lf_bridge.workspace import file_digest

QWEN = chat_template("qwen", bos="", eos="<|im_end|>")
SYSTEM = 'You help.\nSay "please", never <<STOP>>.'
QUESTION = [Message("user", "Where is my order?")]


def fill(path: Path) -> Modelfile:
    return fill_modelfile(path, template=QWEN, system=SYSTEM, num_ctx=512, temperature=0.2, repeat_penalty=1.0)


def publication(gguf: GgufFile, name: str) -> Publication:
    return Publication(gguf, name, QWEN, SYSTEM, 512, 0.2, 1.0, DEFAULT, "run-1")


# The Modelfile


def test_the_file_in_the_package_is_the_one_at_the_top() -> None:
    assert (Path(__file__).parents[1] / "Modelfile.template").read_text() == DEFAULT.read_text()


def test_the_default_file_is_filled() -> None:
    assert fill(DEFAULT) == Modelfile(
        template=go_template(QWEN),
        system=SYSTEM,
        parameters={"stop": ["<|im_end|>"], "num_ctx": 512, "temperature": 0.2, "repeat_penalty": 1.0},
    )


def test_a_users_own_lines_count(tmp_path: Path) -> None:
    path = tmp_path / "Modelfile.template"
    path.write_text(
        DEFAULT.read_text().replace("<<NUM_CTX>>", "2048")
        + 'parameter stop "\n\n"\nPARAMETER top_k 1\nPARAMETER use_mmap false\nLICENSE """MIT\n# not a comment\n"""\n'
        'MESSAGE user """Hi\nthere"""\nMESSAGE assistant Hello!\n'
    )
    filled = fill(path)
    assert filled.parameters == {
        "stop": ["<|im_end|>", "\n\n"],
        "num_ctx": 2048,
        "temperature": 0.2,
        "repeat_penalty": 1.0,
        "top_k": 1,
        "use_mmap": False,
    }
    assert filled.license_text == "MIT\n# not a comment\n"
    assert filled.history == (Message("user", "Hi\nthere"), Message("assistant", "Hello!"))
    text = filled.text("./model.gguf")
    assert text.startswith("FROM ./model.gguf\nTEMPLATE ")
    assert text.endswith(
        'PARAMETER use_mmap false\nLICENSE """MIT\n# not a comment\n"""\n'
        'MESSAGE user """Hi\nthere"""\nMESSAGE assistant """Hello!"""\n'
    )


def test_all_faults_are_named_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "Modelfile.template"
    path.write_text(
        "# <<WRONG>> in a comment is nobody's business\nFROM ./other.gguf\nSYSTEM You are a pirate.\n"
        "PARAMETER num_ctx <<NUM_CTXX>>\nPARAMETER temprature 0.2\nPARMETER top_k 1\nMESSAGE robot Hi\nADAPTER ./lora\n"
    )
    with pytest.raises(LfbError) as caught:
        fill(path)
    assert [(fault.where, fault.problem) for fault in caught.value.faults] == [
        ("line 4", "unknown blank `<<NUM_CTXX>>`; did you mean `NUM_CTX`?"),
        ("line 4", "`num_ctx` needs a whole number"),
        ("line 5", "unknown parameter `temprature`; did you mean `temperature`?"),
        ("line 6", "unknown directive `PARMETER`; did you mean `PARAMETER`?"),
        ("line 7", "MESSAGE needs a role: system, user or assistant"),
        ("line 8", "unknown directive `ADAPTER`"),
        ("FROM", "must be `<<FROM>>`: the file that was converted from the run"),
        ("TEMPLATE", "is missing; write `TEMPLATE <<TEMPLATE>>`"),
        ("SYSTEM", "is not the system prompt that was trained; write `<<SYSTEM>>`"),
        ("PARAMETER", "stop `<|im_end|>` is missing: answers would not end; write `PARAMETER stop <<STOP>>`"),
    ]
    assert "pirate" not in str(caught.value)


def test_a_quote_that_never_closes_and_a_text_that_no_modelfile_holds(tmp_path: Path) -> None:
    path = tmp_path / "Modelfile.template"
    path.write_text('FROM <<FROM>>\nTEMPLATE """<<TEMPLATE>>\n')
    with pytest.raises(LfbError, match=r"line 2 .*never close"):
        fill(path)
    for system in ('say """\nand go on', "an invisible \u200b space"):
        with pytest.raises(LfbError, match="characters that a Modelfile cannot"):
            replace(fill(DEFAULT), system=system).text("./model.gguf")


def test_the_version_is_the_digest_of_file_template_system_and_parameters() -> None:
    filled = Modelfile("T", "S", {"stop": ["E"], "num_ctx": 512})
    versions = {
        version_of("a" * 64, filled),
        version_of("b" * 64, filled),
        version_of("a" * 64, replace(filled, template="t")),
        version_of("a" * 64, replace(filled, system="s")),
        version_of("a" * 64, replace(filled, parameters={"stop": ["E"], "num_ctx": 513})),
        version_of("a" * 64, replace(filled, license_text="MIT")),
    }
    assert len(versions) == 6
    assert version_of("a" * 64, filled) == "6c55fdd5ec25"  # a change of the rule would orphan what users published


# A server that misbehaves


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with fake_ollama() as server:
        yield server


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., Release]:
    """Publish some bytes as `bot` to the address."""

    def act(address: str, content: bytes = b"GGUF", *, name: str = "bot", yes: bool = False) -> Release:
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        gguf = GgufFile(path, file_digest(path), "Q4_K_M", len(content), 0.0)
        talk = Silence()
        return publish(
            publication(gguf, name),
            runtime=OllamaRuntime(address, talk),
            releases=tmp_path / "releases",
            question=QUESTION,
            yes=yes,
            talk=talk,
        )

    return act


@pytest.mark.parametrize(
    ("words", "done", "how"),
    [("", False, "answered nothing"), (" ", True, "answered nothing"), ("Well", False, "broke off in its answer")],
)
def test_an_answer_of_nothing_leaves_latest_where_it_was(
    fake: FakeOllama, send: Callable[..., Release], words: str, done: bool, how: str
) -> None:
    first = send(fake.address)
    before = dict(fake.tags)
    assert set(before) == {first.tag, "bot:latest"}
    fake.words, fake.done = words, done
    with pytest.raises(LfbError, match=f"{how} to a held-out question; bot:latest stays as it was") as caught:
        send(fake.address, b"GGUF, another")
    assert fake.tags == before
    assert QUESTION[0].content not in str(caught.value)


def test_a_tag_that_serves_something_else_is_removed(fake: FakeOllama, send: Callable[..., Release]) -> None:
    class Liar(dict):  # type: ignore[type-arg]
        def __setitem__(self, tag: str, content: dict[str, object]) -> None:
            super().__setitem__(tag, {**content, "system": "I am ChatGPT."})

    fake.tags = Liar()
    with pytest.raises(LfbError, match="does not serve bot:") as caught:
        send(fake.address)
    assert [fault.where for fault in caught.value.faults] == ["TEMPLATE", "SYSTEM"]
    assert fake.tags == {}


@pytest.mark.parametrize("name", ["bot:v1", "you/bot", "bot-cloud", "local", "-bot", ""])
def test_a_name_that_ollama_reads_otherwise_is_refused(
    fake: FakeOllama, send: Callable[..., Release], name: str
) -> None:
    with pytest.raises(LfbError):
        send(fake.address, name=name)
    assert fake.tags == {}


def test_only_auto_takes_another_back_end(tmp_path: Path) -> None:
    with fake_ollama() as gone:
        address = gone.address
    with pytest.raises(LfbError, match="no Ollama server answers"):
        pick_runtime("ollama", address, tmp_path, Silence())
    talk = Silence()
    assert pick_runtime("auto", address, tmp_path, talk).__class__.__name__ == "EmbeddedRuntime"
    assert talk.said == [f"no Ollama server answers at http://{address}: taking the embedded runtime"]
    with fake_ollama() as there:
        assert pick_runtime("auto", there.address, tmp_path, talk).capabilities().address == f"http://{there.address}"
        assert talk.said[-1] == f"taking the Ollama server at http://{there.address} (version 0.33.0)"


# Real servers


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "ANSWER_TOKENS", 8)


@pytest.fixture
def tiny(tmp_path: Path) -> GgufFile:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


def chain_publication(gguf: GgufFile, name: str, more: str = "") -> Publication:
    # Two threads wait for each other in a busy loop: on a loaded machine one is many times faster.
    path = gguf.path.with_name("Modelfile.template")
    path.write_text(f"{DEFAULT.read_text()}PARAMETER num_thread 1\n{more}")
    return replace(publication(gguf, name), modelfile=path)


def put(server: Server, what: Publication, releases: Path, *, yes: bool = False) -> tuple[Release, Silence]:
    talk = Silence()
    runtime = OllamaRuntime(server.address, talk)
    return publish(what, runtime=runtime, releases=releases, question=QUESTION, yes=yes, talk=talk), talk


def digests(server: Server) -> dict[str, str]:
    return {tag.name: tag.digest for tag in OllamaRuntime(server.address, Silence()).list()}


@pytest.mark.chain
def test_a_gguf_is_published_and_publishing_always_looks_at_the_server(
    server: Server, tiny: GgufFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, releases = chain_publication(tiny, "chain-bot"), tmp_path / "releases"
    release, talk = put(server, what, releases)
    runtime = OllamaRuntime(server.address, talk)
    assert talk.warned == []
    assert (release.answer != "", release.gguf_digest) == (True, runtime.show(release.tag).gguf_digest)
    assert digests(server)[release.tag] == digests(server)["chain-bot:latest"]

    recorded = (releases / "chain-bot" / f"{release.version}.json").read_text()
    assert json.loads(recorded)["run"] == "run-1"
    assert QUESTION[0].content not in recorded
    (kept,) = read_releases(releases, "chain-bot")
    assert kept.release == replace(release, question="", answer="")
    assert kept.manifest_digest == digests(server)[release.tag]

    before = digests(server)
    with monkeypatch.context() as patch:
        patch.setattr(OllamaRuntime, "create", forbidden)
        patch.setattr(OllamaRuntime, "copy", forbidden)
        again, _ = put(server, what, releases)
    assert (again.answer, digests(server)) == (release.answer, before)

    for gone in ("chain-bot:latest", release.tag):
        runtime.delete(gone)
        put(server, what, releases)
        assert digests(server) == before


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("what is there and right is not made again")


@pytest.mark.chain
def test_a_server_that_dies_in_the_middle_is_one_error_and_the_next_run_finishes(
    mortal_server: Server, tiny: GgufFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, releases = chain_publication(tiny, "chain-bot"), tmp_path / "releases"
    for point in ("publish: after upload", "publish: after create", "publish: after answer"):

        def die(reached: str, point: str = point) -> None:
            if reached == point:
                mortal_server.kill()

        with monkeypatch.context() as patch:
            patch.setattr(publishing.points, "reach", die)
            with pytest.raises(LfbError) as caught:
                put(mortal_server, what, releases)
        assert f"no Ollama server answers at http://{mortal_server.address}" in str(caught.value)
        assert read_releases(releases, "chain-bot") == ()
        mortal_server.start()
    release, _ = put(mortal_server, what, releases)
    assert set(digests(mortal_server)) == {release.tag, "chain-bot:latest"}


@pytest.mark.chain
def test_a_latest_that_lfb_did_not_make_is_not_overwritten(server: Server, tiny: GgufFile, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM ./tiny.gguf\n")
    server.command("create", "theirs", "-f", "Modelfile", folder=tmp_path)
    before = digests(server)
    what, releases = chain_publication(tiny, "theirs"), tmp_path / "releases"
    with pytest.raises(LfbError, match=r"theirs:latest at .* was not made by lfb"):
        put(server, what, releases)
    assert digests(server) == before
    first, talk = put(server, what, releases, yes=True)
    assert "is replaced" in talk.warned[-1]
    # Now it is lfb's own: also for whoever has lost the records.
    second, _ = put(server, replace(what, temperature=0.5), tmp_path / "elsewhere")
    assert digests(server)["theirs:latest"] == digests(server)[second.tag] != digests(server)[first.tag]


@pytest.mark.chain
def test_a_server_that_rewrites_f16_is_told_of(server: Server, tmp_path: Path) -> None:
    what = chain_publication(write_tiny_gguf(tmp_path / "f16.gguf", "F16"), "sixteen-bot")
    for _ in range(2):
        release, talk = put(server, what, tmp_path / "releases")
        runtime = OllamaRuntime(server.address, Silence())
        kept = runtime.show(release.tag).gguf_digest == what.gguf.digest
        assert kept is (not runtime.capabilities().rewrites_f16)
        assert [line for line in talk.warned if "rewrote the F16 file" in line] == talk.warned
        assert len(talk.warned) == (0 if kept else 1)


@pytest.mark.chain
def test_a_chat_template_in_the_file_that_overrides_ours_is_found(server: Server, tmp_path: Path) -> None:
    own = "{% if tools %}{{ tools }}{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    what = chain_publication(write_tiny_gguf(tmp_path / "tiny.gguf", chat_template=own), "own-bot")
    runtime = OllamaRuntime(server.address, Silence())
    if server.version.startswith("0.24"):
        assert put(server, what, tmp_path / "releases")[0].name == "own-bot"
        return
    with pytest.raises(LfbError) as caught:
        put(server, what, tmp_path / "releases")
    assert [fault.where for fault in caught.value.faults] == ["TEMPLATE"]
    assert not [tag for tag in runtime.list() if tag.name.startswith("own-bot")]


@pytest.mark.chain
def test_the_embedded_runtime_is_published_to_alike(tiny: GgufFile, tmp_path: Path) -> None:
    what, releases, talk = publication(tiny, "local-bot"), tmp_path / "releases", Silence()
    runtime = pick_runtime("local", None, tmp_path / "store", talk)
    for _ in range(2):
        release = publish(what, runtime=runtime, releases=releases, question=QUESTION, yes=False, talk=talk)
    assert {tag.name for tag in runtime.list()} == {release.tag, "local-bot:latest"}
    assert (release.backend, bool(release.answer)) == ("local", True)
    assert (talk.warned, len(read_releases(releases, "local-bot"))) == ([], 1)


@pytest.mark.chain
def test_the_folder_makes_the_same_model_by_hand(server: Server, tiny: GgufFile, tmp_path: Path) -> None:
    more = 'PARAMETER stop "###"\nPARAMETER top_k 7\nLICENSE """MIT\n"""\nMESSAGE user Hi\nMESSAGE assistant Hello!\n'
    what = chain_publication(tiny, "folder-bot", more)
    written = write_gguf_folder(what, releases=tmp_path / "releases")
    folder = Path(written.address)
    assert (folder / "model.gguf").samefile(tiny.path)
    assert [one.release for one in read_releases(tmp_path / "releases", "folder-bot")] == [written]
    release, _ = put(server, what, tmp_path / "releases")
    server.command("create", "by-hand", "-f", "Modelfile", folder=folder)
    runtime = OllamaRuntime(server.address, Silence())
    write_gguf_folder(what, releases=tmp_path / "releases")
    (recorded,) = read_releases(tmp_path / "releases", "folder-bot")
    assert (recorded.release.backend, recorded.release.version) == ("ollama", written.version)
    assert runtime.show("by-hand") == runtime.show(release.tag)
    assert runtime.render("by-hand", QUESTION) == runtime.render(release.tag, QUESTION)
    assert runtime.show("by-hand").parameters == fill(what.modelfile).parameters
    assert runtime.chat("by-hand", QUESTION, options={"temperature": 0, "num_predict": 8}).finished == "length"
