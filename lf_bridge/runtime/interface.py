"""What a back end must be able to do, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lf_bridge.handover import ChatTemplate, Message
from lf_bridge.talk import Talk


@dataclass(frozen=True)
class Capabilities:
    """What this back end can do; asked for instead of its name.

    ``rewrites_f16``: an uploaded F16 file is stored under another digest. ``renders``: it can show a prompt without
    answering it. ``loopback``: only this machine reaches it.
    """

    backend: Literal["ollama", "local"]
    version: str
    address: str
    loopback: bool
    renders: bool
    rewrites_f16: bool


@dataclass(frozen=True)
class Tag:
    """A registered model: its full name with tag, and the digest of its manifest."""

    name: str
    digest: str
    bytes: int


@dataclass(frozen=True)
class Served:
    """What a tag serves: the SHA-256 (hex) of its GGUF file, and what goes around it."""

    gguf_digest: str
    template: str
    system: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """One answer. ``finished`` is "stop" where the model ended its turn, "length" where it was cut.

    Token counts are 0 where the back end does not say; seconds are wall time.
    """

    text: str
    finished: str
    prompt_tokens: int
    answer_tokens: int
    seconds: float


class Runtime(Protocol):
    """A back end. Every method raises ``LfbError`` for what the back end refuses or cannot do."""

    def capabilities(self) -> Capabilities:
        """Ask the back end what it is; raises ``LfbError`` where it does not answer."""

    def put_blob(self, path: Path, digest: str, talk: Talk) -> bool:
        """Send a file under its SHA-256 (hex); returns False where it was there already and nothing was sent."""

    def create(
        self,
        tag: str,
        *,
        digest: str,
        template: ChatTemplate,
        system: str,
        parameters: Mapping[str, Any],
        talk: Talk,
        license_text: str = "",
        history: Sequence[Message] = (),
    ) -> None:
        """Register a blob under a tag with its template, system text and parameters (``stop`` included).

        ``history`` is a conversation that precedes every chat with the tag.
        """

    def copy(self, source: str, target: str) -> None:
        """Give a registered model a second tag."""

    def list(self) -> Sequence[Tag]:
        """All registered tags."""

    def show(self, tag: str) -> Served:
        """What a tag serves; raises ``LfbError`` where there is no such tag."""

    def delete(self, tag: str) -> None:
        """Remove a tag."""

    def push(self, tag: str, talk: Talk) -> None:
        """Send a tag to the registry in its name."""

    def render(self, tag: str, messages: Sequence[Message]) -> str:
        """The prompt that the tag would be given, without answering it."""

    def chat(
        self,
        tag: str,
        messages: Sequence[Message],
        *,
        options: Mapping[str, Any] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answer a conversation; ``options`` override the tag's parameters, ``on_text`` gets the words as they come."""

    def embed(self, tag: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One unit-length vector for each text."""
