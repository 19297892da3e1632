"""Publish a GGUF: create ``NAME:VERSION``, see that it is what was sent, let it answer, then move ``latest``."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lf_bridge import points
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import ChatTemplate, GgufFile, Message, Release
from lf_bridge.publish.modelfile import Modelfile, fill_modelfile
from lf_bridge.publish.records import Recorded, read_releases, record_path, write_release
from lf_bridge.runtime.interface import Answer, Capabilities, Runtime
from lf_bridge.talk import Talk, now
from lf_bridge.workspace import digest_of, lock, write_atomic

ANSWER_TOKENS = 128
_PROBE = (Message("user", "One?"), Message("assistant", "Two."), Message("user", "Three?"))


@dataclass(frozen=True)
class Publication:
    """What is to be published: a GGUF and what goes around it. ``run`` names the training it came from, or is empty.

    ``modelfile`` is the user's ``Modelfile.template``; the three numbers fill its blanks.
    """

    gguf: GgufFile
    name: str
    template: ChatTemplate
    system: str
    num_ctx: int
    temperature: float
    repeat_penalty: float
    modelfile: Path
    run: str

    def fill(self) -> Modelfile:
        """The Modelfile as filled from this publication; raises ``LfbError`` with all its faults."""
        return fill_modelfile(
            self.modelfile,
            template=self.template,
            system=self.system,
            num_ctx=self.num_ctx,
            temperature=self.temperature,
            repeat_penalty=self.repeat_penalty,
        )


def pick_runtime(to: Literal["ollama", "local", "auto"], host: str | None, store: Path, talk: Talk) -> Runtime:
    """The back end that ``publish.to`` names. Only ``auto`` may take another than Ollama, and says which it took."""
    if to != "local":
        from lf_bridge.runtime.ollama import OllamaRuntime

        server = OllamaRuntime(host, talk)
        try:
            able = server.capabilities()
        except LfbError as error:
            if to == "ollama":
                raise
            talk.say(f"{error.message}: taking the embedded runtime")
        else:
            if to == "auto":
                talk.say(f"taking the Ollama server at {able.address} (version {able.version})")
            return server
    from lf_bridge.runtime.embedded import EmbeddedRuntime

    return EmbeddedRuntime(store)


def publish(
    publication: Publication,
    *,
    runtime: Runtime,
    releases: Path,
    question: Sequence[Message],
    yes: bool,
    talk: Talk,
) -> Release:
    """Publish to a server and return the release; what is there already and right is not sent or created again.

    ``question`` is a held-out conversation that ends with the user's words. ``latest`` moves only after the version
    has answered. Raises ``LfbError`` where the server does not answer, serves something other than was sent, answers
    nothing, or where ``NAME:latest`` is not lfb's own and ``yes`` is not given.
    """
    started = time.monotonic()
    name, gguf = publication.name, publication.gguf
    _check_name(name)
    modelfile = publication.fill()
    version = version_of(gguf.digest, modelfile)
    tag, latest = f"{name}:{version}", f"{name}:latest"
    with lock(releases / name / ".lock", f"another lfb publishes {name}"):
        able = runtime.capabilities()
        digests = _digests(runtime)
        own = [one.manifest_digest for one in read_releases(releases, name)]
        _check_latest(digests, name, able, yes, own, talk)
        fresh = tag not in digests or bool(_differences(runtime, tag, publication, modelfile, able))
        points.reach("publish: before upload")
        if fresh and not runtime.put_blob(gguf.path, gguf.digest, talk):
            talk.say("the file is on the server already: nothing was sent")
        points.reach("publish: after upload")
        try:
            if fresh:
                runtime.create(
                    tag,
                    digest=gguf.digest,
                    template=publication.template,
                    system=modelfile.system,
                    parameters=modelfile.parameters,
                    talk=talk,
                    license_text=modelfile.license_text,
                    history=modelfile.history,
                )
                if differences := _differences(runtime, tag, publication, modelfile, able):
                    raise LfbError(
                        f"{able.address} does not serve {tag} as it was sent",
                        faults=differences,
                        hint="the tag was removed and `latest` stays. Of a GGUF from elsewhere, remove the chat "
                        "template and write it anew with `llama-quantize IN OUT COPY`, as servers from 0.30 on do",
                    )
            if runtime.show(tag).gguf_digest != gguf.digest:
                talk.warn(f"{able.address} rewrote the F16 file: what it serves cannot be bound to the file by digest")
            points.reach("publish: after create")
            answer = _ask(runtime, tag, question, latest)
        except LfbError:
            if fresh:
                with contextlib.suppress(LfbError):  # the first failure is the one to tell
                    runtime.delete(tag)
            raise
        points.reach("publish: after answer")
        digests = _digests(runtime)  # anew: others may have worked on the server meanwhile
        digest = digests.get(tag)
        if digest is None:
            raise LfbError(f"{tag} was removed meanwhile; {latest} stays", hint="run the same command again")
        if digests.get(latest) != digest:
            _check_latest(
                digests, name, able, yes, [one.manifest_digest for one in read_releases(releases, name)], talk
            )
            runtime.copy(tag, latest)
            if _digests(runtime).get(latest) != digest:
                raise LfbError(f"{latest} is not {tag} after the copy", hint="run the same command again")
        points.reach("publish: after latest")
        recorded = _describe(publication, modelfile, able.backend, able.address, started, able.version, digest)
        write_release(releases, recorded)
        points.reach("publish: after record")
    return replace(recorded.release, question=question[-1].content, answer=answer.text.strip())


def write_gguf_folder(publication: Publication, *, releases: Path) -> Release:
    """The GGUF and a Modelfile that ``ollama create NAME -f Modelfile`` takes, in ``releases/NAME/VERSION/``.

    That folder is the release's address. The file is linked where the disk allows it, else copied. A version that is
    registered with a server stays recorded as that. Raises ``LfbError`` for faults in the Modelfile.
    """
    started = time.monotonic()
    _check_name(publication.name)
    modelfile = publication.fill()
    text = modelfile.text("./model.gguf").encode()
    folder = releases / publication.name / version_of(publication.gguf.digest, modelfile)
    target = folder / "model.gguf"
    folder.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            os.link(publication.gguf.path, half)
        except OSError:
            shutil.copyfile(publication.gguf.path, half)
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
    write_atomic(folder / "Modelfile", text)
    recorded = _describe(publication, modelfile, "gguf", str(folder), started)
    if not record_path(releases, publication.name, recorded.release.version).exists():
        write_release(releases, recorded)
    return recorded.release


def version_of(gguf_digest: str, modelfile: Modelfile) -> str:
    """The version: 12 hex digits of the digest of file, template, system and parameters."""
    content: dict[str, Any] = {
        "gguf": gguf_digest,
        "template": modelfile.template,
        "system": modelfile.system,
        "parameters": dict(modelfile.parameters),
    }
    if modelfile.license_text or modelfile.history:
        content["license"] = modelfile.license_text
        content["history"] = [[message.role, message.content] for message in modelfile.history]
    return digest_of(content)[:12]


def _describe(
    publication: Publication,
    modelfile: Modelfile,
    backend: Literal["ollama", "local", "gguf"],
    address: str,
    started: float,
    server_version: str = "",
    manifest_digest: str = "",
) -> Recorded:
    version = version_of(publication.gguf.digest, modelfile)
    release = Release(
        name=publication.name,
        version=version,
        tag=f"{publication.name}:{version}",
        backend=backend,
        address=address,
        server_version=server_version,
        gguf_digest=publication.gguf.digest,
        quantization=publication.gguf.quantization,
        bytes=publication.gguf.bytes,
        run=publication.run,
        question="",
        answer="",
        seconds=time.monotonic() - started,
        parameters=modelfile.parameters,
    )
    return Recorded(
        release, publication.template.name, modelfile.template, modelfile.system, manifest_digest, published=now()
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]{0,79}", name):  # Ollama does not tell `Bot` from `bot`
        raise LfbError(
            f"`{name}` is not a model name", hint="use small letters, digits, `.`, `_` and `-`; lfb adds the tag"
        )
    if re.search(r"(^|-)(cloud|local)$", name):
        raise LfbError(f"`{name}` means something else to Ollama", hint="choose a name that does not end so")


def _check_latest(
    digests: dict[str, str], name: str, able: Capabilities, yes: bool, recorded: Sequence[str], talk: Talk
) -> None:
    """Refuse to move a ``latest`` that lfb did not make.

    It is lfb's own where a release records it or a version beside it is the same: so a crash before the record counts.
    """
    latest = digests.get(f"{name}:latest")
    version = re.compile(re.escape(name) + ":[0-9a-f]{12}")
    own = {*recorded, *(digest for tag, digest in digests.items() if version.fullmatch(tag))}
    if latest is None or latest in own:
        return
    if not yes:
        raise LfbError(
            f"{name}:latest at {able.address} was not made by lfb",
            hint=f"`--yes` replaces it; or choose another name with `--as`, or keep it: `ollama cp {name} {name}-old`",
        )
    talk.warn(f"{name}:latest at {able.address} was not made by lfb and is replaced")


def _digests(runtime: Runtime) -> dict[str, str]:
    """The manifest digest of each tag there; Ollama does not tell names apart by case."""
    return {tag.name.lower(): tag.digest for tag in runtime.list()}


def _differences(
    runtime: Runtime, tag: str, publication: Publication, modelfile: Modelfile, able: Capabilities
) -> list[Fault]:
    """What the tag serves other than it should.

    The template is judged by the prompt that it makes: a server may prefer one that it finds in the GGUF.
    """
    served = runtime.show(tag)
    expected = [Message("system", modelfile.system), *modelfile.history, *_PROBE]
    excused = able.rewrites_f16 and publication.gguf.quantization == "F16"
    faults = []
    if served.gguf_digest != publication.gguf.digest and not excused:
        faults.append(Fault("file", f"is {served.gguf_digest[:12]}, sent was {publication.gguf.digest[:12]}"))
    if runtime.render(tag, _PROBE) != publication.template.render(expected):
        faults.append(Fault("TEMPLATE", "the prompt that it makes is not the one that was trained"))
    if served.system != modelfile.system:
        faults.append(Fault("SYSTEM", "is not the one sent"))
    for parameter in sorted({*served.parameters, *modelfile.parameters}):
        there, sent = served.parameters.get(parameter), modelfile.parameters.get(parameter)
        if there != sent:
            faults.append(Fault(f"PARAMETER {parameter}", f"is {there}, sent was {sent}"))
    return faults


def _ask(runtime: Runtime, tag: str, question: Sequence[Message], latest: str) -> Answer:
    """The tag's answer to the held-out question, always the likeliest words, so that it says the same again."""
    answer = runtime.chat(tag, question, options={"temperature": 0, "num_predict": ANSWER_TOKENS})
    seen = re.search(r"[^\W_]", answer.text)  # a word, in any script
    if not seen or not answer.finished:
        how = "broke off in its answer" if seen else "answered nothing"
        raise LfbError(
            f"{tag} {how} to a held-out question; {latest} stays as it was",
            hint="the server's log says whether the model failed to run; a GGUF without a rope base answers so",
        )
    return answer
