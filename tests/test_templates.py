"""LLaMA-Factory's chat templates as the servers are given them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from servers import Server
from tiny import write_tiny_gguf

from lf_bridge.errors import LfbError
from lf_bridge.handover import ChatTemplate, Message
from lf_bridge.process import INSIDE, run
from lf_bridge.runtime.templates import TABLE, chat_template, go_template, template_names
from lf_bridge.talk import Silence

TALKS = (
    [("user", "Where is it?")],
    [("system", "Be kind."), ("user", " Where\nis it? "), ("assistant", "Which number?"), ("user", "12 {{ .System }}")],
    [("system", "{{content}}"), *[("user", "Hi"), ("assistant", "Hello!")] * 3, ("user", '你好 🙂 "it\'s"')],
)


def test_qwen_as_ollama_takes_it() -> None:
    assert go_template(chat_template("qwen", bos="", eos="<|im_end|>")) == (
        '{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n<|im_start|>assistant\n'
        '{{ else if eq .Role "assistant" }}{{ .Content }}<|im_end|>\n{{ end }}{{ end }}'
    )


def test_llama3_opens_with_the_tokenizers_bos_and_stops_at_each_of_its_ends() -> None:
    template = chat_template("llama3", bos="<|begin_of_text|>", eos="<|eot_id|>")
    assert template.stop == ("<|eot_id|>", "<|eom_id|>")
    assert template.render([Message("system", "Be kind."), Message("user", "Hi")]) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert go_template(template).startswith('<|begin_of_text|>{{ range .Messages }}{{ if eq .Role "system" }}<|start_h')


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("qwem", "did you mean `qwen`"),
        ("qwen3", "hint: train with `qwen3_nothink`"),
        ("gemma3", "puts the system prompt inside the first question"),
    ],
)
def test_a_template_that_cannot_be_served_is_refused_with_the_next_step(name: str, words: str) -> None:
    with pytest.raises(LfbError) as caught:
        chat_template(name, bos="", eos="</s>")
    assert words in str(caught.value)


@pytest.mark.chain
def test_the_table_is_what_llamafactory_has(tmp_path: Path) -> None:
    made = tmp_path / "table.json"
    (tmp_path / "request.json").write_text("{}")
    run([sys.executable, str(INSIDE / "templates.py"), str(tmp_path / "request.json"), str(made)], log=tmp_path / "log")
    assert made.read_text() == TABLE.read_text(), "copy the one made here over lf_bridge/runtime/templates.json"


@pytest.mark.chain
def test_every_template_is_rendered_by_the_server_as_it_was_trained(server: Server, tmp_path: Path) -> None:
    from lf_bridge.runtime.ollama import OllamaRuntime

    runtime = OllamaRuntime(server.address, Silence())
    gguf = write_tiny_gguf(tmp_path / "tiny.gguf")
    runtime.put_blob(gguf.path, gguf.digest, Silence())
    templates = [chat_template(name, bos="<s>", eos="</s>") for name in template_names()]
    templates.append(ChatTemplate("braces", "{{", "a{{ {{content}} }}", "{{/*{{content}}", "-}}{{content}}{{-", ()))
    tag, wrong = "templates:now", []
    for template in templates:
        runtime.create(
            tag, digest=gguf.digest, template=template, system="Served.", parameters={"num_ctx": 4096}, talk=Silence()
        )
        for turns in TALKS:
            messages = [Message(role, content) for role, content in turns]  # type: ignore[arg-type]
            own = messages if messages[0].role == "system" else [Message("system", "Served."), *messages]
            if runtime.render(tag, messages) != template.render(own):
                wrong.append((template.name, len(turns), runtime.render(tag, messages), template.render(own)))
    assert not wrong
    assert len(templates) > 80
