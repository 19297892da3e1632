"""A merged model becomes GGUF files that answer as it does; a file that would not is refused by name."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CONTEXT, write_tiny_gguf

from lf_bridge.errors import ChildError, LfbError
from lf_bridge.gguf.convert import convert
from lf_bridge.gguf.inspect import read_metadata, without_chat_template
from lf_bridge.gguf.quantize import quantize
from lf_bridge.handover import BaseModel, ChatTemplate, Environment, GgufFile, MergedModel, Run
from lf_bridge.runtime.embedded import EmbeddedModel
from lf_bridge.runtime.scoring import score
from lf_bridge.talk import Silence

TEMPLATE = ChatTemplate("qwen", "", "{{content}}", "{{content}}", "{{content}}", ("<|im_end|>",))
SENTENCES = [
    "Hello, I would like to know where my parcel is.",
    "Your order 12345 was sent on 3 May, 2024.",
    "I'm sorry, we can't do that; please call 555-0100!",
    "你好，请问我的订单在哪里？",
    "What's the price? It is $19.99 (with tax)...",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    pytest.importorskip("gguf")
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "model.gguf")


def test_a_file_says_what_it_is(tiny: GgufFile) -> None:
    metadata = read_metadata(tiny.path)
    assert (metadata.architecture, metadata.file_type, metadata.context_length) == ("qwen2", "Q8_0", CONTEXT)
    assert (metadata.rope_base, metadata.add_bos, metadata.has_chat_template) == (10000.0, False, False)
    assert (metadata.bos_token, metadata.eos_token, metadata.vocabulary_size) == ("<|endoftext|>", "<|im_end|>", 260)


@pytest.mark.parametrize("content", [b"", b"GGU", b"customer,text\n1,Hello\n"])
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(LfbError, match=r"model\.gguf is not a GGUF file"):
        read_metadata(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LfbError, match=r"cannot read .*: No such file"):
        read_metadata(tmp_path / "model.gguf")


@pytest.mark.parametrize("kept", [4, 20, 300, 5000, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, tiny: GgufFile, kept: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny.path.read_bytes()[:kept])
    with pytest.raises(LfbError, match="is damaged or cut short"):
        read_metadata(path)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(4, 6000), byte=st.integers(0, 255))
def test_no_damage_to_a_header_is_more_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, tiny: GgufFile, position: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    damaged = bytearray(tiny.path.read_bytes())
    damaged[position] = byte
    path.write_bytes(damaged)
    with contextlib.suppress(LfbError):
        read_metadata(path)


def test_a_copy_without_its_chat_template_is_the_same_otherwise(tmp_path: Path, tiny: GgufFile) -> None:
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    path, copy = tmp_path / "with.gguf", tmp_path / "without.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_chat_template([{"name": "default", "template": "{{ tools }}"}, {"name": "rag", "template": "{{ x }}"}])
    writer.add_token_list(["a", "b", "c"])
    writer.add_rope_freq_base(1e6)
    writer.add_tensor("token_embd.weight", numpy.arange(33, dtype=numpy.float32))
    writer.add_tensor("output.weight", numpy.arange(7, dtype=numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_metadata(path).has_chat_template

    without_chat_template(path, copy)

    assert not read_metadata(copy).has_chat_template
    before, after = gguf.GGUFReader(path), gguf.GGUFReader(copy)
    gone = {key for key in before.fields if "chat_template" in key}
    assert len(gone) == 3
    fields = {key: field.contents() for key, field in before.fields.items() if key not in gone}
    counts = {"GGUF.kv_count": fields["GGUF.kv_count"] - len(gone)}
    assert {key: field.contents() for key, field in after.fields.items()} == {**fields, **counts}
    assert [(tensor.name, tensor.data.tolist()) for tensor in after.tensors] == [
        (tensor.name, tensor.data.tolist()) for tensor in before.tensors
    ]


def test_a_quantized_file_is_not_quantized_again(tmp_path: Path, tiny: GgufFile) -> None:
    with pytest.raises(LfbError) as refused:
        quantize(tiny, "Q4_K_M", Silence(), tmp_path)
    assert refused.value.message == f"{tiny.path} is Q8_0 already"
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Tiny:
    """A tiny merged model, and what transformers says of it."""

    folder: Path
    model: Any
    tokenizer: Any


def build(folder: Path, kind: str, *, expression: str = r"\p{N}", bos: bool = False, steps: int = 0) -> Tiny:
    """A random model, and a tokenizer trained on a few sentences; after 30 ``steps`` it knows them by heart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        import transformers
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    split = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + expression
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 10, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    whole = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>" if bos else None, eos_token="<|im_end|>"
    )
    whole.chat_template = "{% for message in messages %}{{ message.content }}{{ tools }}{% endfor %}"
    whole.save_pretrained(folder)
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(whole),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 50000.0},
        bos_token_id=whole.bos_token_id,
        eos_token_id=whole.eos_token_id,
        pad_token_id=None,
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    texts = [f"{sentence}<|im_end|>" for sentence in SENTENCES]
    whole.pad_token = "<|endoftext|>"
    batch = whole(texts, return_tensors="pt", padding=True)
    labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
    for _ in range(steps):
        model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.half().save_pretrained(folder)
    return Tiny(folder, model.float().eval(), whole)


def merged(folder: Path) -> MergedModel:
    run = Run(
        name="mini",
        folder=folder,
        key="k",
        recipe=folder,
        stage="sft",
        base=BaseModel("base", "id"),
        result=folder,
        adapter=False,
        template="qwen",
        system="",
        dataset=folder,
        public_sample=True,
        seconds=0.0,
    )
    return MergedModel(run, folder, folder, f"key of {folder.name}", 0, 0.0, ())


def converted(folder: Path, parent: Path, template: ChatTemplate = TEMPLATE) -> GgufFile:
    return convert(merged(folder), Environment(Path(sys.executable), ()), template, Silence(), parent)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return build(tmp_path_factory.mktemp("qwen"), "Qwen2", steps=30)


@pytest.fixture(scope="module")
def f16(qwen: Tiny, tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    untouched = {path.name: path.read_bytes() for path in qwen.folder.iterdir()}
    file = converted(qwen.folder, tmp_path_factory.mktemp("f16"))
    assert {path.name: path.read_bytes() for path in qwen.folder.iterdir()} == untouched
    return file


def check_likeness(tiny: Tiny, file: GgufFile) -> None:
    """The file splits text as the tokenizer does, and gives an answer the same odds as the model does."""
    import torch

    prompt, answer = "<|im_start|>user\nYour order 12345 was", "<|im_end|> sent to 你好."
    ids, more = (list(tiny.tokenizer(text, add_special_tokens=False).input_ids) for text in (prompt, answer))
    with torch.no_grad():
        odds = torch.log_softmax(tiny.model(torch.tensor([[*ids, *more]])).logits[0].double(), -1)
    expected = [-float(odds[len(ids) - 1 + index, token]) for index, token in enumerate(more)]
    with EmbeddedModel(file.path, context=256) as model:
        for text in (*SENTENCES, "\n\n 2024年12月 100000% ...\t<|im_end|>'LL"):
            assert model.tokenize(text) == tiny.tokenizer(text, add_special_tokens=False).input_ids
            assert model.tokenize(text, add_bos=True) == tiny.tokenizer(text).input_ids
        assert model.answer_losses(ids, more) == pytest.approx(expected, abs=0.02)


@pytest.mark.chain
def test_the_f16_file_says_what_transformers_says(qwen: Tiny, f16: GgufFile) -> None:
    import torch

    metadata = read_metadata(f16.path)
    assert (metadata.rope_base, metadata.add_bos, metadata.has_chat_template) == (50000.0, False, False)
    assert (metadata.pre_tokenizer, metadata.file_type, f16.quantization) == ("qwen2", "F16", "F16")
    check_likeness(qwen, f16)
    with EmbeddedModel(f16.path, context=256) as model:
        for sentence in SENTENCES:
            begun = list(qwen.tokenizer(sentence).input_ids)[:2]
            said = list(begun)
            while said[-1] != qwen.tokenizer.eos_token_id and len(said) < 60:
                with torch.no_grad():
                    said.append(int(qwen.model(torch.tensor([said])).logits[0, -1].argmax()))
            words = model.generate(begun, max_tokens=60)
            assert words.text == qwen.tokenizer.decode(said[2:-1]) != ""
            assert (words.finished, words.answer_tokens) == ("stop", len(said) - 3)


@pytest.mark.prove
@pytest.mark.parametrize("kind", ["Qwen3", "Mistral"])
def test_other_families_say_the_same_as_well(tmp_path: Path, kind: str) -> None:
    tiny = build(tmp_path / "merged", kind)
    check_likeness(tiny, converted(tiny.folder, tmp_path))


@pytest.mark.chain
def test_a_bos_is_added_by_the_template_or_by_the_server_but_not_by_both(tmp_path: Path) -> None:
    tiny = build(tmp_path / "merged", "Llama", expression=r"\p{N}{1,3}", bos=True)
    file = converted(tiny.folder, tmp_path)
    assert (read_metadata(file.path).add_bos, read_metadata(file.path).pre_tokenizer) == (True, "llama-bpe")
    check_likeness(tiny, file)

    writes_it = ChatTemplate("llama3", "<|endoftext|>", "", "{{content}}", "{{content}}", ())
    file = converted(tiny.folder, tmp_path, writes_it)
    assert read_metadata(file.path).add_bos is False
    with EmbeddedModel(file.path, context=64) as model:
        assert model.tokenize("<|endoftext|>Hello", add_bos=True) == tiny.tokenizer("Hello").input_ids


@pytest.mark.chain
def test_it_is_quantized_once_and_keeps_its_sense(tmp_path: Path, qwen: Tiny, f16: GgufFile) -> None:
    assert converted(qwen.folder, f16.path.parents[1]) == f16
    small = quantize(f16, "Q4_K_M", Silence(), tmp_path)
    assert quantize(small, "Q4_K_M", Silence(), tmp_path) == small
    assert quantize(f16, "Q4_K_M", Silence(), tmp_path) == small
    assert quantize(f16, "F16", Silence(), tmp_path) == f16
    assert (small.path.parent.name[:7], read_metadata(small.path).file_type) == ("q4_k_m-", "Q4_K_M")
    assert small.bytes < f16.bytes * 0.4
    ids = list(qwen.tokenizer(SENTENCES[0]).input_ids)
    (before, count), (after, _) = (score(file.path, [(ids[:4], ids[4:])], Silence())[0] for file in (f16, small))
    assert count == len(ids) - 4
    assert before != after
    assert after / count == pytest.approx(before / count, abs=0.5)


@pytest.mark.chain
def test_what_llama_cpp_does_not_know_is_named(tmp_path: Path, qwen: Tiny) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(qwen.folder, odd)
    path = odd / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace(r"|\\s+(?!\\S)|", "|"), encoding="utf-8")
    with pytest.raises(ChildError) as refused:
        converted(odd, tmp_path)
    assert "llama.cpp knows neither this tokenizer's vocabulary nor its pre-tokenizer" in str(refused.value)

    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps({**config, "architectures": ["UnheardOfForCausalLM"]}))
    with pytest.raises(ChildError) as refused:
        converted(odd, tmp_path)
    assert "llama.cpp cannot convert UnheardOfForCausalLM" in str(refused.value)
    assert [path.name for path in tmp_path.glob("f16-*") if not path.name.endswith(".unfinished")] == []
