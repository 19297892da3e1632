"""The only file that knows the order of the steps and hands each one what the last one made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lf_bridge.chain import Asked, ChainReport, Job, PublishChanges, Row
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import (
    BaseModel,
    ChatTemplate,
    Dataset,
    GgufFile,
    MergedModel,
    Message,
    Release,
    Run,
)
from lf_bridge.talk import format_seconds
from lf_bridge.workspace import file_digest, folder_bytes

if TYPE_CHECKING:
    from lf_bridge.factory.inputs import Material
    from lf_bridge.prepare.records import Conversations, Report
    from lf_bridge.recipe.load import LoadedRecipe
    from lf_bridge.recipe.model import Recipe
    from lf_bridge.runtime.interface import Runtime


def prepare(
    job: Job, loaded: LoadedRecipe, raw: Sequence[Path] = (), out: Path | None = None
) -> tuple[Dataset, Report]:
    """Raw logs to a dataset folder; fitted to template and tokenizer where the base model is at hand."""
    from lf_bridge.prepare.prepare import fit_dataset

    conversations = _converse(job, loaded, raw, out)
    data, template = loaded.recipe.data, loaded.recipe.model.template
    base = None if loaded.recipe.model.scratch else _base_at_hand(job, loaded)
    if base is None:
        return fit_dataset(conversations, data, template, None, None, job.talk)
    trust = loaded.recipe.model.trust_remote_code
    environment = job.environment
    return fit_dataset(conversations, data, template, base.location, environment, job.talk, trust_remote_code=trust)


def train(job: Job, loaded: LoadedRecipe, *, again: bool = False) -> Run:
    """Train a recipe on the dataset in its folder; a base that is another recipe's result is trained first."""
    from lf_bridge.factory.train import train as train_step
    from lf_bridge.prepare.prepare import conversations_of, fit_dataset, read_dataset

    recipe = loaded.recipe
    folder = job.workspace.root / recipe.data.dataset
    dataset, conversations = read_dataset(folder), conversations_of(folder)
    if recipe.method.stage == "pt":
        material = _pretraining(dataset, conversations)
        return train_step(loaded, material, None, job.environment, job.workspace, job.talk, again=again)
    if dataset.system != recipe.data.system:
        raise LfbError(
            f"the dataset in {recipe.data.dataset} was prepared with another system prompt than {loaded.path} has",
            faults=[Fault("data.system", "is written into every example, so the two must be the same")],
            hint=f"run `lfb prepare --recipe {loaded.path}`, or take the dataset's own text into the recipe",
        )
    _check_template(job, recipe)
    environment = job.environment  # before the base: nobody wants to fetch 15 GB to hear that training is not installed
    base = _base(job, loaded)
    model = recipe.model
    dataset, _ = fit_dataset(
        conversations,
        recipe.data,
        model.template,
        base.location,
        environment,
        job.talk,
        trust_remote_code=model.trust_remote_code,
    )
    from lf_bridge.factory.inputs import Material

    return train_step(loaded, Material(dataset), base, environment, job.workspace, job.talk, again=again)


def export(job: Job, wanted: str | None = None, loaded: LoadedRecipe | None = None) -> MergedModel:
    """Merge a run's adapter and prove the result."""
    from lf_bridge.factory.export import export as export_step
    from lf_bridge.factory.inputs import HELD_OUT, TRAIN
    from lf_bridge.factory.runs import find_run

    run = find_run(job.workspace, wanted)
    if wanted is None:
        job.talk.say(f"run: {run.name}")
    recipe = loaded.recipe if loaded else _recipe_of(run)
    return export_step(run, recipe, run.folder / TRAIN / HELD_OUT, job.installation, job.talk)


def publish(job: Job, target: str | None, changes: PublishChanges) -> tuple[Release, bool]:
    """Publish a run, or a ready GGUF file; returns the release and whether its texts are the public sample's."""
    if target is not None and (target.endswith(".gguf") or Path(target).is_file()):
        return _publish_file(job, Path(target), changes), False
    merged = export(job, target)
    _check_system(merged.run, changes)
    recipe = _changed(_recipe_of(merged.run), changes)
    _, quantized = _make_files(job, merged, recipe)
    return _publish_model(job, merged, quantized, recipe, yes=changes.yes), merged.run.public_sample


def run(job: Job, loaded: LoadedRecipe, *, yes: bool = False) -> ChainReport:
    """The whole chain; every step that is finished already is skipped by its key."""
    from lf_bridge.evaluate.loss import held_out_questions, measure

    recipe, talk = loaded.recipe, job.talk
    if recipe.method.stage == "pt":
        raise LfbError(
            f"{loaded.path} makes a base model, which is nothing to publish",
            hint=f"`lfb train {loaded.path}` trains it; name it as `model.base` in the recipe to run",
        )
    _, report = prepare(job, loaded)
    tuned = train(job, loaded)
    merged = export(job, tuned.name, loaded)
    f16, quantized = _make_files(job, merged, recipe)
    loss = measure(merged, f16, quantized, talk)
    release = _publish_model(job, merged, quantized, recipe, yes=yes)
    questions = held_out_questions(merged)
    asked = tuple(
        Asked(each.question, each.base_answer, each.tuned_answer, answer)
        for each, answer in zip(
            questions, _ask(job, release, recipe, [each.question for each in questions]), strict=True
        )
    )
    messages = report.messages
    rows = [
        Row(
            "prepare",
            report.seconds,
            0,
            f"{messages.read:,} messages, {report.conversations.train:,} conversations to train on",
        ),
        *_base_row(job, loaded, tuned),
        Row("train", tuned.seconds, folder_bytes(tuned.result), tuned.name),
        Row("export", merged.seconds, merged.bytes, "equals base plus adapter, differs from base"),
        Row("convert", f16.seconds, f16.bytes, "F16"),
        Row("quantize", quantized.seconds, quantized.bytes, quantized.quantization),
        Row("evaluate", loss.seconds, 0, f"{loss.conversations} held-out conversations"),
        Row("publish", release.seconds, release.bytes, f"{release.tag} on {release.backend}"),
    ]
    return ChainReport(
        rows=tuple(rows),
        loss=loss,
        quantization=quantized.quantization,
        questions=asked,
        release=release,
        public_sample=tuned.public_sample,
        closing=_closing(release),
    )


def open_chat(job: Job, name: str | None, to: Literal["ollama", "local"] | None) -> tuple[str, Runtime]:
    """The tag to talk to and the back end that serves it: a release's own, else the one named."""
    from lf_bridge.publish.publish import pick_runtime
    from lf_bridge.publish.records import read_releases

    known = sorted(path.name for path in job.workspace.releases.glob("[!.]*") if path.is_dir())
    names = [name.partition(":")[0]] if name else known
    recorded = [each for each_name in names for each in read_releases(job.workspace.releases, each_name)]
    releases = [each.release for each in sorted(recorded, key=lambda each: each.published)]
    if not releases and name is None:
        raise LfbError("nothing has been published yet", hint="`lfb publish` publishes the latest run")
    if name is None:
        name = releases[-1].name
        job.talk.say(f"model: {name}")
    backend = to or (releases[-1].backend if releases else "ollama")
    if backend == "gguf":
        raise LfbError(f"{name} was written as a file, not registered", hint=f"`lfb publish --to local --as {name}`")
    runtime = pick_runtime(backend, job.host, job.workspace.embedded_store, job.talk)
    tag = name if ":" in name else f"{name}:latest"
    runtime.show(tag)
    return tag, runtime


def _converse(job: Job, loaded: LoadedRecipe, raw: Sequence[Path], out: Path | None) -> Conversations:
    from lf_bridge.prepare.prepare import prepare_conversations

    data = loaded.recipe.data
    sources = list(raw) or [job.workspace.root / data.raw]
    return prepare_conversations(sources, data, job.key, job.workspace.root / (out or data.dataset), job.talk)


def _pretraining(dataset: Dataset, conversations: Conversations) -> Material:
    from lf_bridge.factory.inputs import Material
    from lf_bridge.prepare.prepare import training_texts

    texts = training_texts(dataset.folder)
    with open(texts, "rb") as file:
        return Material(dataset, texts, sum(1 for _ in file))


def _check_template(job: Job, recipe: Recipe) -> None:
    """Say before hours of training, not after, that a template cannot be served."""
    from lf_bridge.runtime.templates import chat_template

    try:
        chat_template(recipe.model.template, bos="", eos="")
    except LfbError as error:
        job.talk.warn(
            f"this model can be trained but not published: {error.message}" + (f"; {error.hint}" if error.hint else "")
        )


def _base(job: Job, loaded: LoadedRecipe) -> BaseModel:
    from lf_bridge.factory.base import base_of_run, fetch_base
    from lf_bridge.recipe.load import load_recipe

    recipe_file = loaded.base_recipe()
    if recipe_file is None:
        return fetch_base(loaded.recipe.model, job.workspace, job.python, job.talk)
    job.talk.say(f"base: {recipe_file.name}")
    return base_of_run(train(job, load_recipe(recipe_file, [f"data.dataset={loaded.recipe.data.dataset}"])))


def _base_at_hand(job: Job, loaded: LoadedRecipe) -> BaseModel | None:
    """The base model where using it costs neither a training nor a download, else None."""
    from lf_bridge.factory.base import find_base
    from lf_bridge.process import find_beside

    if find_beside(job.python, "llamafactory-cli") is None or loaded.base_recipe() is not None:
        return None
    return find_base(loaded.recipe.model, job.workspace)


def _base_row(job: Job, loaded: LoadedRecipe, tuned: Run) -> list[Row]:
    from lf_bridge.factory.runs import read_run

    if loaded.base_recipe() is None:
        return []
    base = read_run(Path(tuned.base.location).parent.parent)
    return [] if base is None else [Row("base", base.seconds, folder_bytes(base.result), base.name)]


def _recipe_of(run: Run) -> Recipe:
    """The recipe as it was trained; how to export, measure and publish is taken from the file as it stands now."""
    from lf_bridge.recipe.load import load_recipe

    trained = load_recipe(run.folder / "train" / "recipe.yaml").recipe
    if not run.recipe.is_file():
        return trained
    now = load_recipe(run.recipe).recipe
    return trained.model_copy(update={"export": now.export, "publish": now.publish, "evaluate": now.evaluate})


def _check_system(run: Run, changes: PublishChanges) -> None:
    """The system prompt has one owner: a recipe that has another text now is not published with the trained one."""
    from lf_bridge.recipe.load import load_recipe

    asked = changes.system
    if asked is None:
        asked = load_recipe(run.recipe).recipe.data.system if run.recipe.is_file() else run.system
    if asked != run.system:
        raise LfbError(
            f"{run.name} was trained with another system prompt than {run.recipe.name} has now",
            faults=[Fault("data.system", f"the one trained is in {run.folder / 'train' / 'recipe.yaml'}")],
            hint="put the trained text back into the recipe or give it as `--system`; or prepare and train again",
        )


def _changed(recipe: Recipe, changes: PublishChanges) -> Recipe:
    """The recipe with the command line's name, type and back end, checked like the file."""
    from pydantic import ValidationError

    from lf_bridge.errors import MisuseError
    from lf_bridge.recipe.model import Publish

    given = {"name": changes.name, "quantize": changes.quantize, "to": changes.to}
    values = recipe.publish.model_dump() | {field: value for field, value in given.items() if value is not None}
    try:
        return recipe.model_copy(update={"publish": Publish.model_validate(values)})
    except ValidationError as error:
        detail = error.errors()[0]
        raise MisuseError(
            f"`{detail['input']}` cannot be `publish.{detail['loc'][0]}`",
            hint=f"`lfb recipe schema publish.{detail['loc'][0]}` explains the choices",
        ) from error


def _make_files(job: Job, merged: MergedModel, recipe: Recipe) -> tuple[GgufFile, GgufFile]:
    from lf_bridge.gguf.convert import convert
    from lf_bridge.gguf.quantize import quantize

    folder = merged.run.folder
    f16 = convert(merged, job.installation, _template_of(merged), job.talk, folder)
    return f16, quantize(f16, recipe.publish.quantize, job.talk, folder)


def _template_of(merged: MergedModel) -> ChatTemplate:
    from lf_bridge.runtime.templates import chat_template

    settings = json.loads((merged.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    given = (settings.get(name) or "" for name in ("bos_token", "eos_token"))
    bos, eos = (token["content"] if isinstance(token, dict) else token for token in given)
    return chat_template(merged.run.template, bos=bos, eos=eos)


def _publish_model(job: Job, merged: MergedModel, file: GgufFile, recipe: Recipe, *, yes: bool) -> Release:
    from lf_bridge.evaluate.loss import held_out_questions

    run, question = merged.run, held_out_questions(merged)[0].question
    return _register(job, file, recipe, _template_of(merged), run.system, question, run.name, yes=yes)


def _publish_file(job: Job, path: Path, changes: PublishChanges) -> Release:
    """A ready GGUF: its own chat template would override ours on some servers, so a copy without it is published."""
    from lf_bridge.gguf.inspect import read_metadata, without_chat_template
    from lf_bridge.gguf.quantize import quantize
    from lf_bridge.recipe.model import Model, Recipe
    from lf_bridge.runtime.templates import chat_template

    metadata = read_metadata(path)
    if changes.template is None:
        raise LfbError(
            f"{path.name} does not say which chat template it was trained with",
            hint="add `--template qwen`, or whichever LLaMA-Factory template it was trained with",
        )
    template = chat_template(changes.template, bos=metadata.bos_token, eos=metadata.eos_token)
    recipe = _changed(Recipe(model=Model(base=str(path))), changes)
    folder = job.workspace.private / "gguf"
    if metadata.has_chat_template:
        job.talk.say(f"{path.name} carries a chat template of its own: publishing a copy without it")
        folder.mkdir(parents=True, exist_ok=True)
        without_chat_template(path, folder / path.name)
        path = folder / path.name
    file = GgufFile(path, file_digest(path), metadata.file_type, path.stat().st_size, 0.0)
    if changes.quantize:
        file = quantize(file, recipe.publish.quantize, job.talk, folder)
    system = changes.system if changes.system is not None else recipe.data.system
    return _register(job, file, recipe, template, system, "Hello, can you help me?", "", yes=changes.yes)


def _register(
    job: Job, file: GgufFile, recipe: Recipe, template: ChatTemplate, system: str, question: str, run: str, *, yes: bool
) -> Release:
    from lf_bridge.publish.publish import Publication, pick_runtime, publish, write_gguf_folder

    settings, releases = recipe.publish, job.workspace.releases
    publication = Publication(
        gguf=file,
        name=settings.name,
        template=template,
        system=system,
        num_ctx=settings.num_ctx,
        temperature=settings.temperature,
        repeat_penalty=settings.repeat_penalty,
        modelfile=job.workspace.root / settings.modelfile,
        run=run,
    )
    if settings.to == "gguf":
        return write_gguf_folder(publication, releases=releases)
    runtime = pick_runtime(settings.to, job.host, job.workspace.embedded_store, job.talk)
    asked = [Message("user", question)]
    return publish(publication, runtime=runtime, releases=releases, question=asked, yes=yes, talk=job.talk)


def _ask(job: Job, release: Release, recipe: Recipe, questions: list[str]) -> list[str]:
    from lf_bridge.publish.publish import pick_runtime

    if release.backend == "gguf":
        return ["(not registered)"] * len(questions)
    runtime = pick_runtime(release.backend, job.host, job.workspace.embedded_store, job.talk)
    options = {"temperature": 0.0, "num_predict": recipe.evaluate.answer_tokens}
    return [runtime.chat(release.tag, [Message("user", text)], options=options).text for text in questions]


def _closing(release: Release) -> str:
    took = format_seconds(release.seconds)
    if release.backend == "ollama":
        return f"published in {took}; now: ollama run {release.name}"
    if release.backend == "local":
        return f"published in {took} on the embedded runtime; now: lfb chat {release.name}"
    return f"written in {took}; now: ollama create {release.name} -f {release.address}/Modelfile"
