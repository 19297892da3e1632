"""Make the folder of a tiny Qwen2-shaped model without weights: tokenizer trained on the given text, and its config.

Request: {texts: JSON Lines file of [{role, content}, ...] a line, documents: one of {"text"} a line or null, output:
folder, shape: {...}, pretrain: file to write}. Response: {vocabulary_size, documents}. ``pretrain`` gets one
{"text": ...} a line: each conversation in ChatML without a system text, so that the turn tokens are not strangers when
the adapter is trained. The tokenizer is trained on both.
"""

import json
import sys
from itertools import chain
from pathlib import Path

# Qwen2's own expression: https://huggingface.co/Qwen/Qwen2.5-7B-Instruct, tokenizer.json, pre_tokenizer
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def main(asked: str, answered: str) -> None:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config

    request = json.loads(Path(asked).read_text())
    shape = request["shape"]
    conversations = [json.loads(line) for line in Path(request["texts"]).read_text(encoding="utf-8").splitlines()]
    path = request.get("documents")
    documents = [json.loads(line)["text"] for line in Path(path).read_text("ascii").splitlines()] if path else []
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        chain((turn["content"] for conversation in conversations for turn in conversation), documents),
        trainers.BpeTrainer(
            vocab_size=shape["vocabulary_size"] - len(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=shape["context_length"],
        clean_up_tokenization_spaces=False,
    )
    output = Path(request["output"])
    whole.save_pretrained(output)
    end = whole.convert_tokens_to_ids("<|endoftext|>")
    Qwen2Config(
        architectures=["Qwen2ForCausalLM"],
        vocab_size=len(whole),
        hidden_size=shape["hidden_size"],
        intermediate_size=shape["intermediate_size"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["key_value_heads"],
        max_position_embeddings=shape["context_length"],
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
        torch_dtype="float32",
    ).save_pretrained(output)
    with open(request["pretrain"], "w", encoding="ascii") as file:
        for conversation in conversations:
            text = "\n".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>" for turn in conversation)
            file.write(json.dumps({"text": text}) + "\n")
    Path(answered).write_text(json.dumps({"vocabulary_size": len(whole), "documents": len(conversations)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
