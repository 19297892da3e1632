"""The only door to the llama.cpp that is embedded in this process: quantizer, scorer and a small model store."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.metadata
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lf_bridge.errors import LfbError
from lf_bridge.handover import ChatTemplate, Message
from lf_bridge.runtime.interface import Answer, Capabilities
from lf_bridge.runtime.stopping import Answering
from lf_bridge.runtime.store import Store, check_parameters
from lf_bridge.talk import Talk

# llama.cpp's numbers for `--outtype`, include/llama.h, enum llama_ftype
_FILE_TYPES = {"Q8_0": 7, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}
_BATCH = 512


def version() -> str:
    """The wheel that embeds llama.cpp; raises ``LfbError`` where it is not installed."""
    _library()
    return f"cyllama {importlib.metadata.version('cyllama')}"


def quantize_file(
    source: Path, target: Path, quantization: str, threads: int, watch: Callable[[], None] | None = None
) -> None:
    """Write an F16 GGUF anew as ``quantization``; ``watch`` is called meanwhile. Raises ``LfbError``."""
    if quantization not in _FILE_TYPES:
        raise LfbError(f"`{quantization}` is not one of {', '.join(_FILE_TYPES)}", hint="set `publish.quantize`")
    library = _library()
    parameters = library.LlamaModelQuantizeParams()
    parameters.ftype, parameters.nthread = _FILE_TYPES[quantization], threads
    failures: list[Exception] = []

    def work() -> None:
        try:
            library.model_quantize(str(source), str(target), parameters)
        except Exception as error:
            failures.append(error)

    # In a thread of its own, so that Ctrl-C is heard: a 7B model takes minutes in one call.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        if watch:
            watch()
    if failures:
        if shutil.disk_usage(target.parent).free < 1_000_000:  # llama.cpp says only that it failed
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent)) from failures[0]
        raise LfbError(
            f"llama.cpp could not quantize {source} to {quantization}: {failures[0]}",
            hint="`lfb doctor` checks the wheels",
        ) from failures[0]


class EmbeddedModel:
    """A GGUF file loaded into this process, for one question at a time.

    ``context`` is the longest prompt and answer together in tokens, at most what the model was made for. Use as a
    context manager.
    """

    def __init__(self, path: Path, *, context: int = 4096, threads: int | None = None) -> None:
        library = _library()
        # cyllama's get_logits_ith asks the model for n_vocab, which only its vocabulary has.
        model_class = type("Model", (library.LlamaModel,), {"n_vocab": property(lambda self: self.get_vocab().n_vocab)})
        model_parameters = library.LlamaModelParams()
        model_parameters.n_gpu_layers = 0
        parameters = library.LlamaContextParams()
        parameters.n_batch = parameters.n_ubatch = _BATCH
        parameters.n_threads = parameters.n_threads_batch = threads or available_threads()
        try:
            self._model = model_class(str(path), model_parameters)
            self.context = parameters.n_ctx = min(context, self._model.n_ctx_train)
            self._context = library.LlamaContext(self._model, parameters, verbose=False)
        except (ValueError, RuntimeError, MemoryError, OSError) as error:
            raise LfbError(
                f"llama.cpp cannot load {path}: {error}",
                hint="convert the model again; a newer architecture needs a newer `lf-bridge[local]`",
            ) from error
        self._vocabulary = self._model.get_vocab()
        self._library = library
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory."""
        self._context.close()
        self._model.close()

    def tokenize(self, text: str, *, add_bos: bool = False) -> list[int]:
        """The ids of a text, special tokens read as such; ``add_bos`` adds a BOS where the GGUF states one."""
        return list(self._vocabulary.tokenize(text, add_bos, True))

    def answer_losses(self, prompt: Sequence[int], answer: Sequence[int]) -> list[float]:
        """Negative log-likelihood in nats of each answer token, given the prompt and the answer's tokens before it.

        ``prompt`` holds at least one id.
        """
        import numpy

        tokens, first = [*prompt, *answer], len(prompt) - 1
        if first < 0 or len(tokens) > self.context:
            raise LfbError(
                f"a case of {len(prompt)} prompt and {len(answer)} answer tokens cannot be scored",
                hint=f"a case has a prompt, and at most {self.context} tokens",
            )
        losses = []
        # The last token predicts nothing that is asked for, so it is not read.
        for begin, index in self._read(tokens[:-1], wanted=first):
            logits = numpy.asarray(self._context.get_logits_ith(index), dtype=numpy.float64)
            highest = logits.max()
            total = highest + numpy.log(numpy.exp(logits - highest).sum())
            losses.append(float(total - logits[tokens[begin + index + 1]]))
        return losses

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        temperature: float = 0.0,
        repeat_penalty: float = 1.0,
        top_k: int = 40,
        top_p: float = 0.9,
        seed: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answer a prompt; at temperature 0 always with the likeliest token. ``on_text`` gets the words as they come.

        Raises ``LfbError`` where the prompt leaves no room for an answer: it is never cut.
        """
        started = time.monotonic()
        tokens = self.tokenize(prompt, add_bos=True) if isinstance(prompt, str) else list(prompt)
        room = self.context - len(tokens)
        if not tokens or room < 1:
            raise LfbError(
                f"a prompt of {len(tokens)} tokens does not fit a context of {self.context}",
                hint="raise `publish.num_ctx`, or ask with fewer turns",
            )
        sampler = self._sampler(temperature, repeat_penalty, top_k, top_p, seed)
        if repeat_penalty != 1.0:
            for token in tokens[-64:]:
                sampler.accept(token)
        stop_tokens = {ids[0] for ids in map(self.tokenize, stop) if len(ids) == 1}
        shown = Answering(stop, on_text)
        answer: list[int] = []
        finished = "length"
        for _ in self._read(tokens, wanted=len(tokens) - 1):
            pass
        while len(answer) < min(max_tokens, room):
            token = sampler.sample(self._context, -1)
            if self._vocabulary.is_eog(token) or token in stop_tokens:
                finished = "stop"
                break
            answer.append(token)
            if shown.write(self._text(answer)):
                finished = "stop"
                break
            if len(answer) < min(max_tokens, room):
                self._decode([token], len(tokens) + len(answer) - 1, 0)
        sampler.close()
        shown.close()
        return Answer(shown.text, finished, len(tokens), len(answer), time.monotonic() - started)

    def _text(self, tokens: list[int]) -> str:
        # cyllama's detokenize strips white space at the start: let another word stand there.
        anchor = self.tokenize("a")
        return str(self._vocabulary.detokenize([*anchor, *tokens]))[len(self._vocabulary.detokenize(anchor)) :]

    def _sampler(self, temperature: float, repeat_penalty: float, top_k: int, top_p: float, seed: int | None) -> Any:
        sampler = self._library.LlamaSampler(self._library.LlamaSamplerChainParams())
        if repeat_penalty != 1.0:
            sampler.add_penalties(64, repeat_penalty, 0.0, 0.0)
        if temperature <= 0:
            sampler.add_greedy()
        else:
            sampler.add_top_k(top_k)
            sampler.add_top_p(top_p, 1)
            sampler.add_temp(temperature)
            sampler.add_dist(int.from_bytes(os.urandom(4)) if seed is None else seed % (1 << 32))
        return sampler

    def _read(self, tokens: Sequence[int], *, wanted: int) -> Iterator[tuple[int, int]]:
        """Decode a new sequence in batches; yields (batch's position, index in it) of each token from ``wanted``."""
        self._context.kv_cache_clear(True)
        for begin in range(0, len(tokens), _BATCH):
            part = tokens[begin : begin + _BATCH]
            skip = max(0, wanted - begin)
            self._decode(part, begin, skip)
            for index in range(skip, len(part)):
                yield begin, index

    def _decode(self, tokens: Sequence[int], begin: int, skip: int) -> None:
        batch = self._library.LlamaBatch(n_tokens=len(tokens), embd=0, n_seq_max=1)
        for index, token in enumerate(tokens):
            batch.add(token, begin + index, [0], index >= skip)
        try:
            self._context.decode(batch)
        except (ValueError, RuntimeError) as error:
            raise LfbError(f"llama.cpp failed on {self.path}: {error}", hint="convert the model again") from error
        finally:
            batch.close()


class EmbeddedRuntime(Store):
    """A ``Runtime`` without a server: models in a folder, answered in this process.

    The model asked last stays loaded until another is asked or ``close`` is called.
    """

    def __init__(self, store: Path) -> None:
        super().__init__(store)
        self._loaded: tuple[tuple[Path, int], EmbeddedModel] | None = None

    def close(self) -> None:
        """Free the loaded model's memory."""
        if self._loaded:
            self._loaded[1].close()
        self._loaded = None

    def capabilities(self) -> Capabilities:
        """What this back end is; raises ``LfbError`` where the wheel is missing."""
        return Capabilities("local", version(), str(self.store), loopback=True, renders=True, rewrites_f16=False)

    def push(self, tag: str, talk: Talk) -> None:
        raise LfbError(
            "the embedded runtime sends models nowhere", hint="publish to an Ollama server: `publish.to: ollama`"
        )

    def embed(self, tag: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        raise LfbError("the embedded runtime makes no embeddings", hint="use an Ollama server for them")

    def render(self, tag: str, messages: Sequence[Message]) -> str:
        """The prompt for the next answer, put together as Ollama does.

        The tag's system text opens it unless the messages begin with their own; then comes the tag's history.
        """
        manifest = self.read(tag)
        pieces = {**manifest["template"], "stop": tuple(manifest["template"]["stop"])}
        turns = [*(Message(role, content) for role, content in manifest["history"]), *messages]
        if manifest["system"] and not (messages and messages[0].role == "system"):
            turns.insert(0, Message("system", manifest["system"]))
        return ChatTemplate(**pieces).render(turns)

    def chat(
        self,
        tag: str,
        messages: Sequence[Message],
        *,
        options: Mapping[str, Any] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answer a conversation; the defaults are Ollama's, but a prompt that does not fit is refused, never cut."""
        manifest = self.read(tag)
        wanted: dict[str, Any] = {
            "num_ctx": 4096, "num_predict": -1, "temperature": 0.8, "repeat_penalty": 1.0, "seed": None,
            "top_k": 40, "top_p": 0.9, "stop": manifest["template"]["stop"],
            **manifest["parameters"], **(options or {}),
        }  # fmt: skip
        check_parameters(wanted)
        model = self._load(self.blob(manifest["model"]), wanted["num_ctx"])
        return model.generate(
            self.render(tag, messages),
            stop=[wanted["stop"]] if isinstance(wanted["stop"], str) else wanted["stop"],
            max_tokens=wanted["num_predict"] if wanted["num_predict"] >= 0 else model.context,
            on_text=on_text,
            **{name: wanted[name] for name in ("temperature", "repeat_penalty", "top_k", "top_p", "seed")},
        )

    def _load(self, path: Path, context: int) -> EmbeddedModel:
        if self._loaded is None or self._loaded[0] != (path, context):
            self.close()
            self._loaded = (path, context), EmbeddedModel(path, context=context)
        return self._loaded[1]


def available_threads() -> int:
    """Processors that this process may use."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _library() -> Any:
    """cyllama, silenced: llama.cpp writes to stderr by itself."""
    try:
        library = importlib.import_module("cyllama.llama.llama_cpp")
    except ImportError as error:
        raise LfbError(
            "the embedded llama.cpp is not installed" if isinstance(error, ModuleNotFoundError) else f"{error}",
            hint="pip install 'lf-bridge[local]'",
        ) from error
    library.set_log_callback(_ignore)
    return library


def _ignore(level: int, text: str) -> None:
    return
