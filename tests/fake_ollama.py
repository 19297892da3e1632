"""A real HTTP server on loopback that speaks as much of Ollama as publishing needs, and misbehaves as told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from lf_bridge.handover import Message
from lf_bridge.runtime.templates import chat_template


class FakeOllama(ThreadingHTTPServer):
    """``tags`` are its models. ``words`` is what it answers, and ``done`` whether it says that it has finished.

    ``create_lines`` replaces the stream of a create; ``hang_up`` closes the connection in the middle of an upload.
    ``template`` is what it renders with, whatever it was sent.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs: set[str] = set()
        self.tags: dict[str, dict[str, Any]] = {}
        self.words = "Hello."
        self.done = True
        self.create_lines: list[dict[str, Any]] | None = None
        self.hang_up = False
        self.template = chat_template("qwen", bos="", eos="<|im_end|>")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def digest(self, tag: str) -> str:
        return hashlib.sha256(json.dumps(self.tags[tag], sort_keys=True).encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: FakeOllama

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path.rpartition("/")[2] in self.server.blobs else 404)
        self.end_headers()

    def do_GET(self) -> None:
        if self.path == "/api/version":
            self.answer({"version": "0.33.0"})
        else:
            models = [{"model": tag, "digest": self.server.digest(tag), "size": 1} for tag in self.server.tags]
            self.answer({"models": models})

    def do_DELETE(self) -> None:
        del self.server.tags[self.read()["model"]]
        self.answer()

    def do_POST(self) -> None:
        tags = self.server.tags
        if self.path.startswith("/api/blobs/"):
            if self.server.hang_up:
                self.rfile.read(1)
                return self.connection.close()
            digest = f"sha256:{hashlib.sha256(self.rfile.read(int(self.headers['Content-Length']))).hexdigest()}"
            if digest != self.path.rpartition("/")[2]:
                return self.answer({"error": "digest mismatch"}, status=400)
            self.server.blobs.add(digest)
            return self.answer()
        asked = self.read()
        if self.path == "/api/create":
            tags[asked["model"]] = {key: asked.get(key) for key in ("files", "template", "system", "parameters")}
            lines = self.server.create_lines or [{"status": "parsing GGUF"}, {"status": "success"}]
            return self.answer(*lines)
        if self.path == "/api/copy":
            tags[asked["destination"]] = tags[asked["source"]]
            return self.answer()
        if self.path == "/api/show":
            tag = tags[asked["model"]]
            blob = tag["files"]["model.gguf"].replace(":", "-")
            lines = [
                f"{name:<30} {json.dumps(one)}"
                for name, value in tag["parameters"].items()
                for one in (value if isinstance(value, list) else [value])
            ]
            shown = {"modelfile": f"FROM /models/blobs/{blob}\n", "parameters": "\n".join(lines)}
            return self.answer({**shown, "template": tag["template"], "system": tag["system"]})
        if asked.get("_debug_render_only"):
            turns = [Message("system", tags[asked["model"]]["system"])]
            turns += [Message(turn["role"], turn["content"]) for turn in asked["messages"]]
            return self.answer({"_debug_info": {"rendered_template": self.server.template.render(turns)}})
        words = [
            {"message": {"role": "assistant", "content": word}, "done": False} for word in self.server.words.split(" ")
        ]
        end = {"message": {"role": "assistant", "content": ""}, "done": self.server.done, "done_reason": "stop"}
        return self.answer(*words, end)

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def answer(self, *lines: dict[str, Any], status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write("".join(json.dumps(line) + "\n" for line in lines).encode())


@contextmanager
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
