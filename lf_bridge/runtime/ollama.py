"""The one door to an Ollama server: its Python client, and plain HTTP for the calls that the client lacks.

Import this module only where a server is really to be asked: it loads ``ollama`` and ``httpx``.
"""

from __future__ import annotations

import ast
import contextlib
import ipaddress
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from lf_bridge.errors import LfbError
from lf_bridge.handover import ChatTemplate, Message
from lf_bridge.runtime.interface import Answer, Capabilities, Served, Tag
from lf_bridge.runtime.templates import go_template
from lf_bridge.talk import Talk

_HINT = "start it with `ollama serve`, or name another with `--host`"
try:
    import ollama
except ValueError as error:  # it reads the address already when it is imported
    raise LfbError(f"OLLAMA_HOST `{os.environ.get('OLLAMA_HOST')}` is not an address", hint=_HINT) from error

CHUNK = 1 << 20
# A server that is there accepts at once; loading or checking a model of many gigabytes takes it minutes of silence.
PATIENT = httpx.Timeout(600, connect=5)
BRISK = httpx.Timeout(15, connect=5)
# A connection for each request: nothing to close, and none left over from before the server was restarted.
ONE_EACH = httpx.Limits(max_keepalive_connections=0)
_FROM = re.compile(r"^FROM .*?sha256-([0-9a-f]{64})\s*$", re.MULTILINE)


class OllamaRuntime:
    """An Ollama server as a ``Runtime``.

    ``host`` is an address as Ollama writes it (``127.0.0.1:11434``); None takes ``OLLAMA_HOST``, else that default.
    Warns where the server is not on this machine, and where a key would cross the network unencrypted.
    """

    def __init__(self, host: str | None, talk: Talk) -> None:
        try:
            self._client = ollama.Client(host, timeout=PATIENT, limits=ONE_EACH)
            if self._loopback:
                # A proxy in the environment is not for this machine; httpx would ask it all the same.
                self._client = ollama.Client(host, timeout=PATIENT, limits=ONE_EACH, trust_env=False)
        except ValueError as error:
            raise LfbError(f"`{host or os.environ.get('OLLAMA_HOST')}` is not an address", hint=_HINT) from error
        if not self._loopback:
            talk.warn(f"{self.address} is another machine: whoever reaches that port can use, replace or delete models")
            if os.environ.get("OLLAMA_API_KEY") and self._http.base_url.scheme == "http":
                talk.warn("OLLAMA_API_KEY is sent to it unencrypted; give an https:// address or unset the key")

    @property
    def address(self) -> str:
        return str(self._http.base_url).rstrip("/")

    def capabilities(self) -> Capabilities:
        with self._door():
            version = str(_json(self._http.get("/api/version", timeout=BRISK))["version"])
        numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
        return Capabilities(
            backend="ollama",
            version=version,
            address=self.address,
            loopback=self._loopback,
            renders=True,
            rewrites_f16=numbers >= [0, 30],  # since 0.30 `llama-quantize COPY` checks every file, and writes F16 anew
        )

    def put_blob(self, path: Path, digest: str, talk: Talk) -> bool:
        url, size = f"/api/blobs/sha256:{digest}", path.stat().st_size
        with self._door():
            if self._http.head(url, timeout=BRISK).status_code == 200:
                return False
            with talk.meter("upload", "B") as meter, open(path, "rb") as file:

                def chunks() -> Iterator[bytes]:
                    sent = 0
                    while chunk := file.read(CHUNK):
                        yield chunk
                        sent += len(chunk)
                        meter.update(sent, size)

                answer = self._http.post(url, content=chunks(), headers={"Content-Length": str(size)})
                _json(answer)
        return True

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
        with self._door(), talk.meter(f"create {tag}", "") as meter:
            last = None
            for part in self._client.create(
                tag,
                files={"model.gguf": f"sha256:{digest}"},
                template=go_template(template),
                system=system,
                parameters=dict(parameters),
                license=license_text or None,
                messages=_plain(history) or None,
                stream=True,
            ):
                last = part.status
                meter.update(part.completed or 0, part.total, last or "")
            if last != "success":
                raise LfbError(f"{self.address} broke off while it created {tag}", hint="run the same command again")

    def copy(self, source: str, target: str) -> None:
        with self._door():
            self._client.copy(source, target)

    def list(self) -> Sequence[Tag]:
        with self._door():
            found = self._client.list().models
        return [Tag(str(one.model), str(one.digest), int(one.size or 0)) for one in found]

    def show(self, tag: str) -> Served:
        with self._door():
            # The client drops `system`.
            shown = _json(self._http.post("/api/show", json={"model": tag}))
        blob = _FROM.search(shown.get("modelfile", ""))
        return Served(
            gguf_digest=blob[1] if blob else "",
            template=shown.get("template", ""),
            system=shown.get("system", ""),
            parameters=_read_parameters(shown.get("parameters", "")),
        )

    def delete(self, tag: str) -> None:
        with self._door():
            self._client.delete(tag)

    def push(self, tag: str, talk: Talk) -> None:
        with self._door(), talk.meter(f"push {tag}", "B") as meter:
            last = None
            for part in self._client.push(tag, stream=True):
                last = part.status
                meter.update(part.completed or 0, part.total, last or "")
            if last != "success":
                raise LfbError(f"{self.address} broke off while it pushed {tag}", hint="run the same command again")

    def render(self, tag: str, messages: Sequence[Message]) -> str:
        with self._door():
            # `num_predict` matters only to a server that does not know the flag and would answer.
            answer = _json(
                self._http.post(
                    "/api/chat",
                    json={
                        "model": tag,
                        "messages": _plain(messages),
                        "stream": False,
                        "options": {"num_predict": 1},
                        "_debug_render_only": True,
                    },
                )
            )
        try:
            return str(answer["_debug_info"]["rendered_template"])
        except KeyError as error:
            raise LfbError(f"{self.address} does not show prompts", hint="install a newer Ollama") from error

    def chat(
        self,
        tag: str,
        messages: Sequence[Message],
        *,
        options: Mapping[str, Any] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        words, last, started = [], None, time.monotonic()
        with self._door():
            for last in self._client.chat(tag, _plain(messages), options=options, stream=True):
                text = last.message.content or ""
                words.append(text)
                if text and on_text:
                    on_text(text)
        done = last if last is not None and last.done else None
        return Answer(
            text="".join(words),
            finished=(done.done_reason or "stop") if done else "",
            prompt_tokens=(done.prompt_eval_count or 0) if done else 0,
            answer_tokens=(done.eval_count or 0) if done else 0,
            seconds=time.monotonic() - started,
        )

    def embed(self, tag: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        with self._door():
            return self._client.embed(tag, list(texts)).embeddings

    @property
    def _http(self) -> httpx.Client:
        http: httpx.Client = self._client._client
        return http

    @property
    def _loopback(self) -> bool:
        host = self._http.base_url.host
        if host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or address.is_unspecified

    @contextlib.contextmanager
    def _door(self) -> Iterator[None]:
        """Turn every way in which a request fails into an ``LfbError`` with the address and the next step."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise LfbError(f"no Ollama server answers at {self.address}", hint=_HINT) from error
        except httpx.TimeoutException as error:
            raise LfbError(
                f"the Ollama server at {self.address} fell silent",
                hint="look at its log, then run the same command again",
            ) from error
        except httpx.HTTPError as error:
            raise LfbError(
                f"the connection to the Ollama server at {self.address} was lost",
                hint="start it again (`ollama serve`), then run the same command again",
            ) from error
        except ollama.ResponseError as error:
            raise LfbError(
                f"the Ollama server at {self.address} refused: {error.error}",
                hint="its log says more; `lfb doctor` checks the server",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise LfbError(f"what answers at {self.address} is not an Ollama server", hint=_HINT) from error


def _json(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise ollama.ResponseError(response.text, response.status_code)
    found = response.json() if response.content else {}
    if not isinstance(found, dict):
        raise TypeError(type(found))
    return found


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _read_parameters(text: str) -> dict[str, Any]:
    """The parameters that ``/api/show`` prints one a line, values as Go writes them; ``stop`` is a list."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        value = value.strip()
        try:
            read: Any = value == "true" if value in ("true", "false") else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            read = value
        if name == "stop":
            found.setdefault(name, []).append(str(read))
        else:
            found[name] = read
    return found
