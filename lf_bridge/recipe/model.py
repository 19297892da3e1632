"""The recipe: every field, its type, its default and what it means, said once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

QuantizationName = Literal["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S"]
# Ollama writes q4_K_M, llama.cpp Q4_K_M: both are taken.
Quantization = Annotated[
    QuantizationName, BeforeValidator(lambda given: given.upper() if isinstance(given, str) else given)
]


class Section(BaseModel):
    """A part of a recipe: unknown fields are faults, and text is not taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Data(Section):
    """What is trained on."""

    raw: str = Field("data/raw", description="Folder or file with the raw logs, from the workspace's root.")
    dataset: str = Field("data/dataset", description="Folder that `lfb prepare` writes the LLaMA-Factory dataset into.")
    settings: str | None = Field(
        None, description="A `prepare.yaml`: which rules clean, redact, judge and split; without one, the defaults."
    )
    format: str | None = Field(None, description="Name of the logs' format (`lfb formats`); without one it is told.")
    mapping: str | None = Field(None, description="A `mapping.yaml`: which column means what.")
    documents: str | None = Field(
        None, description="Folder or file with documents (Markdown, HTML, text, PDF) that stage `pt` learns from."
    )
    system: Annotated[str, Field(min_length=1)] = Field(
        "You are a friendly and precise customer support agent.",
        description="The system prompt: written into every training example and served as the tag's SYSTEM.",
    )
    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.1, description="Share of conversations held out for validation, chosen by a keyed hash of the customer."
    )
    split_seed: int = Field(0, description="Another seed gives another split.")
    cutoff_length: Annotated[int, Field(ge=32)] = Field(
        2048, description="Longest example in tokens; longer conversations are split between turns, never cut."
    )


class Scratch(Section):
    """A tiny Qwen2-shaped model with random weights, for proving the chain without a download."""

    vocabulary_size: Annotated[int, Field(ge=512)] = Field(
        4096, description="Most tokens that the BPE tokenizer, trained on the training split, may have."
    )
    hidden_size: Annotated[int, Field(multiple_of=256)] = Field(
        256, description="Width of the model; a multiple of 256, so that K-quants are real."
    )
    intermediate_size: Annotated[int, Field(multiple_of=256)] = Field(
        512, description="Width of each feed-forward layer; a multiple of 256."
    )
    layers: Annotated[int, Field(ge=1)] = Field(6, description="Number of layers.")
    heads: Annotated[int, Field(ge=1)] = Field(4, description="Number of attention heads.")
    key_value_heads: Annotated[int, Field(ge=1)] = Field(2, description="Number of key-value heads.")
    context_length: Annotated[int, Field(ge=128)] = Field(1024, description="Longest sequence in tokens.")


class Model(Section):
    """What is tuned."""

    base: str | None = Field(
        None,
        description="The base model: a Hub id, a folder, or the path of another recipe (`.yaml`) whose result it is.",
    )
    scratch: Scratch | None = Field(
        None, description="Instead of a base: the shape of a tiny model to train from scratch."
    )
    template: str = Field(
        "qwen", description="LLaMA-Factory's name of the chat template; the same in training, export and serving."
    )
    hub: Literal["huggingface", "modelscope"] = Field("huggingface", description="Where a Hub id is fetched from.")
    revision: str = Field("main", description="Branch, tag or commit of the base model on the Hub.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the base model.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("give either `base` or `scratch`")
        return self


class Method(Section):
    """How weights are changed."""

    stage: Literal["sft", "pt"] = Field("sft", description="sft: learn to answer; pt: learn plain text.")
    finetuning: Literal["lora", "full"] = Field("lora", description="lora: a small adapter; full: all weights.")
    rank: Annotated[int, Field(ge=1, le=512)] = Field(8, description="LoRA rank; 8 to 16 suits support dialogues.")
    alpha: Annotated[int, Field(ge=1)] | None = Field(None, description="LoRA alpha; left out: twice the rank.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="LoRA dropout.")
    target: str = Field("all", description="Layers that get an adapter: `all`, or names separated by commas.")


class Train(Section):
    """The training loop."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(1e-4, description="Peak learning rate; 5e-5 to 1e-4.")
    epochs: Annotated[float, Field(gt=0)] = Field(3.0, description="Passes over the training examples.")
    max_steps: Annotated[int, Field(ge=1)] | None = Field(None, description="Stop after this many steps.")
    batch_size: Annotated[int, Field(ge=1)] = Field(4, description="Examples per device and step; 2 to 8.")
    gradient_accumulation: Annotated[int, Field(ge=1)] = Field(
        4, description="Steps whose gradients are added up before the weights change."
    )
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        "cosine", description="How the learning rate falls."
    )
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of steps in which the learning rate rises."
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="Weight decay.")
    max_gradient_norm: Annotated[float, Field(gt=0)] = Field(1.0, description="Gradients are scaled down to this norm.")
    logging_steps: Annotated[int, Field(ge=1)] = Field(5, description="Steps between two readings of the loss.")
    save_steps: Annotated[int, Field(ge=1)] = Field(
        100, description="Steps between two checkpoints; an interrupted run resumes from the last one."
    )
    evaluate_steps: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Steps between two validation losses; left out: once an epoch."
    )
    seed: int = Field(42, description="Seed of shuffling and initialization.")


class Compute(Section):
    """What it runs on."""

    device: Literal["auto", "cpu"] = Field("auto", description="auto: the accelerator where there is one.")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="auto: bf16 where the device has it, else fp16, and fp32 on the CPU."
    )
    base_quantization: Literal[4, 8] | None = Field(
        None, description="QLoRA: bits that the frozen base is loaded in; needs bitsandbytes."
    )
    attention: Literal["auto", "sdpa", "fa2", "disabled"] = Field("auto", description="Attention implementation.")
    gradient_checkpointing: bool = Field(True, description="Recompute activations to save memory.")
    workers: Annotated[int, Field(ge=1)] = Field(2, description="Processes that tokenize the data.")


class Export(Section):
    """The merge of adapter and base."""

    device: Literal["cpu", "auto"] = Field("cpu", description="Where the merge is computed.")
    shard_gigabytes: Annotated[int, Field(ge=1)] = Field(5, description="Largest weight file in gigabytes.")


class Publish(Section):
    """What is registered, where, and how it answers."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_.-]{0,79}$")] = Field(
        "support-bot", description="The model's name: `ollama run NAME`."
    )
    to: Literal["ollama", "local", "gguf", "auto"] = Field(
        "ollama",
        description="ollama: an Ollama server; local: the embedded runtime; gguf: only the file and its Modelfile; "
        "auto: Ollama where it answers, else local (for the demo).",
    )
    quantize: Quantization = Field("Q4_K_M", description="Type of the published weights.")
    num_ctx: Annotated[int, Field(ge=128)] = Field(4096, description="Context in tokens that the server keeps.")
    temperature: Annotated[float, Field(ge=0, le=2)] = Field(0.2, description="0: always the likeliest words.")
    repeat_penalty: Annotated[float, Field(gt=0)] = Field(
        1.0, description="1.0 everywhere: server generations differ in their default, and answers with it."
    )
    modelfile: str = Field("Modelfile.template", description="The file whose blanks are filled from the run.")


class Evaluate(Section):
    """What is measured on held-out conversations."""

    cases: Annotated[int, Field(ge=2)] = Field(60, description="Held-out conversations whose answer loss is measured.")
    questions: Annotated[int, Field(ge=1, le=20)] = Field(3, description="Held-out questions shown with answers.")
    answer_tokens: Annotated[int, Field(ge=1)] = Field(128, description="Longest answer in tokens.")


class Recipe(Section):
    """A whole recipe. ``name`` is the file's name without its ending."""

    data: Data = Field(default_factory=Data, description="What is trained on.")
    model: Model = Field(description="What is tuned.")
    method: Method = Field(default_factory=Method, description="How weights are changed.")
    train: Train = Field(default_factory=Train, description="The training loop.")
    compute: Compute = Field(default_factory=Compute, description="What it runs on.")
    export: Export = Field(default_factory=Export, description="The merge of adapter and base.")
    publish: Publish = Field(default_factory=Publish, description="What is registered, where, and how it answers.")
    evaluate: Evaluate = Field(default_factory=Evaluate, description="What is measured on held-out conversations.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.model.scratch is not None and (self.method.stage, self.method.finetuning) != ("pt", "full"):
            raise ValueError("`model.scratch` needs `method.stage: pt` and `method.finetuning: full`")
        if self.method.stage == "pt" and self.model.scratch is None and self.data.documents is None:
            raise ValueError("`method.stage: pt` needs `data.documents` where it goes on from a base model")
        if self.compute.base_quantization is not None and self.method.finetuning != "lora":
            raise ValueError("`compute.base_quantization` needs `method.finetuning: lora`")
        return self
