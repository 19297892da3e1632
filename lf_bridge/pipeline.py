"""The only file that knows the order of the steps and hands each one what the last one made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lf_bridge import delivery
from lf_bridge.chain import Asked, ChainReport, Job, PublishChanges, Row
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import BaseModel, Dataset, MergedModel, Release, Run
from lf_bridge.workspace import folder_bytes

if TYPE_CHECKING:
    from lf_bridge.factory.inputs import Material
    from lf_bridge.prepare.records import Conversations, Report
    from lf_bridge.recipe.load import LoadedRecipe
    from lf_bridge.recipe.model import Recipe


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
    recipe = loaded.recipe if loaded else delivery.recipe_of(run)
    return export_step(run, recipe, run.folder / TRAIN / HELD_OUT, job.installation, job.talk)


def publish(job: Job, target: str | None, changes: PublishChanges) -> tuple[Release, bool]:
    """Publish a run, or a ready GGUF file; returns the release and whether its texts are the public sample's."""
    if target is not None and (target.endswith(".gguf") or Path(target).is_file()):
        return delivery.publish_file(job, Path(target), changes), False
    merged = export(job, target)
    delivery.check_system(merged.run, changes)
    recipe = delivery.change_publishing(delivery.recipe_of(merged.run), changes)
    _, quantized = delivery.make_files(job, merged, recipe)
    return delivery.publish_model(job, merged, quantized, recipe, yes=changes.yes), merged.run.public_sample


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
    f16, quantized = delivery.make_files(job, merged, recipe)
    loss = measure(merged, f16, quantized, talk)
    release = delivery.publish_model(job, merged, quantized, recipe, yes=yes)
    questions = held_out_questions(merged)
    asked = tuple(
        Asked(each.question, each.base_answer, each.tuned_answer, answer)
        for each, answer in zip(
            questions, delivery.ask(job, release, recipe, [each.question for each in questions]), strict=True
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
        closing=delivery.closing_line(release),
    )


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
    below = load_recipe(recipe_file, [f"data.dataset={loaded.recipe.data.dataset}"])
    run = train(job, below)
    return base_of_run(run, export(job, run.name, below).folder if run.adapter else run.result)


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
