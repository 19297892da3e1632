"""A Qwen2-shaped GGUF with seeded random weights: it answers nonsense, but it loads and answers everywhere."""

from __future__ import annotations

from pathlib import Path

from lf_bridge.handover import GgufFile
from lf_bridge.workspace import file_digest

WIDTH, FEED_FORWARD, LAYERS, HEADS, KEY_VALUE_HEADS, CONTEXT = 64, 128, 2, 2, 1, 4096
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def write_tiny_gguf(path: Path, quantization: str = "Q8_0", *, seed: int = 0, chat_template: str = "") -> GgufFile:
    """Write the file as ``Q8_0`` in the form that llama.cpp's quantizer gives it, or as ``F16`` as its converter does.

    The form matters: Ollama since 0.30 writes anew what is not in the quantizer's (keys and tensors in its order).
    """
    import gguf
    import numpy as np

    kind = gguf.GGMLQuantizationType[quantization]
    bytes_as_text = _byte_letters()
    tokens = [*bytes_as_text, bytes_as_text[ord("h")] + bytes_as_text[ord("e")], *SPECIAL]
    random = np.random.default_rng(seed)

    writer = gguf.GGUFWriter(path, "qwen2")
    if quantization == "F16":
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([normal] * (len(tokens) - len(SPECIAL)) + [control] * len(SPECIAL))
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    if chat_template:
        writer.add_chat_template(chat_template)
    if quantization != "F16":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{quantization}"])

    def add(name: str, *shape: int, plain: bool = False) -> None:
        data = random.normal(0, 0.3, shape).astype(np.float32)
        if plain:
            writer.add_tensor(name, np.ones(shape, np.float32) if "norm" in name else data)
        else:
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)

    narrow = WIDTH // HEADS * KEY_VALUE_HEADS
    add("output.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH, plain=True)
    add("token_embd.weight", len(tokens), WIDTH)
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        add(f"{at}.attn_k.bias", narrow, plain=True)
        add(f"{at}.attn_k.weight", narrow, WIDTH)
        add(f"{at}.attn_norm.weight", WIDTH, plain=True)
        add(f"{at}.attn_output.weight", WIDTH, WIDTH)
        add(f"{at}.attn_q.bias", WIDTH, plain=True)
        add(f"{at}.attn_q.weight", WIDTH, WIDTH)
        add(f"{at}.attn_v.bias", narrow, plain=True)
        add(f"{at}.attn_v.weight", narrow, WIDTH)
        add(f"{at}.ffn_down.weight", WIDTH, FEED_FORWARD)
        add(f"{at}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        add(f"{at}.ffn_norm.weight", WIDTH, plain=True)
        add(f"{at}.ffn_up.weight", FEED_FORWARD, WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufFile(path, file_digest(path), quantization, path.stat().st_size, 0.0)


def _byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
