"""The frozen records that one room hands the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn as a server takes it."""

    role: Role
    content: str


@dataclass(frozen=True)
class ChatTemplate:
    """How a conversation becomes a prompt: pieces of text with ``{{content}}`` where the turn's words go.

    ``prefix`` opens every prompt (a BOS text, or empty); ``user`` ends where the answer begins; ``assistant`` ends the
    turn; ``stop`` are the texts that end an answer.
    """

    name: str
    prefix: str
    system: str
    user: str
    assistant: str
    stop: tuple[str, ...]

    def render(self, messages: tuple[Message, ...] | list[Message]) -> str:
        """The prompt for the next answer, as LLaMA-Factory's template of this name trains it (data/template.py)."""
        pieces = {"system": self.system, "user": self.user, "assistant": self.assistant}
        return self.prefix + "".join(
            pieces[message.role].replace("{{content}}", message.content) for message in messages
        )


@dataclass(frozen=True)
class Environment:
    """The training environment: its Python and what is installed there.

    ``versions`` are (package, version) pairs; ``precision`` is the best of bf16, fp16, fp32 that its device can train.
    """

    python: Path
    versions: tuple[tuple[str, str], ...]
    device: Literal["cuda", "mps", "npu", "cpu"] = "cpu"
    device_count: int = 0
    precision: Literal["bf16", "fp16", "fp32"] = "fp32"


@dataclass(frozen=True)
class Dataset:
    """A LLaMA-Factory dataset folder as committed by ``prepare``.

    ``train`` and ``validation`` are names in its ``dataset_info.json``; the counts are examples, not messages.
    ``fit`` is the key of the fitting to a template and tokenizer, empty where the dataset has not been fitted yet.
    ``digest`` names the whole folder's content. ``people`` is the file that says, under hashes, who is on which side.
    """

    folder: Path
    digest: str
    system: str
    fit: str
    train_examples: int
    validation_examples: int
    public_sample: bool
    people: Path
    train: str = "support_train"
    validation: str = "support_validation"


@dataclass(frozen=True)
class BaseModel:
    """What is trained on: ``location`` is a folder or a Hub id, ``identity`` what enters a step's key."""

    location: str
    identity: str


@dataclass(frozen=True)
class Run:
    """A finished training: an adapter, or a whole model where the method trains all weights.

    ``result`` is the folder that LLaMA-Factory wrote; ``adapter`` says which of the two it is.
    """

    name: str
    folder: Path
    key: str
    recipe: Path
    stage: Literal["pt", "sft"]
    base: BaseModel
    result: Path
    adapter: bool
    template: str
    system: str
    dataset: Path
    public_sample: bool
    seconds: float


@dataclass(frozen=True)
class MergedModel:
    """A merged Hugging Face model, proven to be the tuned one.

    ``cases`` is a private JSON Lines file of held-out cases (prompt ids, answer ids, losses of base and tuned).
    """

    run: Run
    folder: Path
    cases: Path
    key: str
    bytes: int
    seconds: float
    mended: tuple[str, ...]


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file. ``digest`` is the SHA-256 of its bytes; ``quantization`` as llama.cpp names it (``F16``)."""

    path: Path
    digest: str
    quantization: str
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Release:
    """A published version, as recorded in ``releases/NAME/VERSION.json``."""

    name: str
    version: str
    tag: str
    backend: Literal["ollama", "local", "gguf"]
    address: str
    server_version: str
    gguf_digest: str
    quantization: str
    bytes: int
    run: str
    question: str
    answer: str
    seconds: float
    parameters: Mapping[str, Any]
