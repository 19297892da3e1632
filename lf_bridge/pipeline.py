"""The only file that knows the order of the steps and hands each one what the last one made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lf_bridge import delivery
from lf_bridge.chain import Asked, ChainReport, Job, PrepareChanges, PublishChanges, Row, Seen
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import BaseModel, Dataset, MergedModel, Release, Run
from lf_bridge.workspace import folder_bytes

if TYPE_CHECKING:
    from lf_bridge.factory.inputs import Material
    from lf_bridge.prepare.records import Report
    from lf_bridge.recipe.load import LoadedRecipe
    from lf_bridge.recipe.model import Data, Recipe
    from lf_bridge.recipe.preparing import PrepareSettings


def prepare(job: Job, loaded: LoadedRecipe, changes: PrepareChanges | None = None) -> tuple[Dataset, Report]:
    """Raw logs to a dataset folder; fitted to template and tokenizer where the base model is at hand.

    A dry run does all of it in a folder of its own, which is gone afterwards.
    """
    changes = changes or PrepareChanges()
    folder = job.workspace.root / (changes.out or loaded.recipe.data.dataset)
    if not changes.dry_run:
        return _prepare(job, loaded, changes, folder, folder)
    scratch = job.workspace.private / "dry-run"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        dataset, report = _prepare(job, loaded, changes, scratch, folder)
        return replace(dataset, folder=folder), report
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prepare(
    job: Job, loaded: LoadedRecipe, changes: PrepareChanges, folder: Path, before: Path
) -> tuple[Dataset, Report]:
    from lf_bridge.prepare.formats.files import Options
    from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations
    from lf_bridge.prepare.workers import Workers
    from lf_bridge.recipe.load import load_settings
    from lf_bridge.recipe.preparing import Mapping

    data, root = loaded.recipe.data, job.workspace.root
    mapping = changes.mapping or (root / data.mapping if data.mapping else None)
    recipe, talk = loaded.recipe, job.talk
    with Workers() as workers:
        conversations = prepare_conversations(
            changes.raw or [root / data.raw],
            data,
            job.key,
            folder,
            talk,
            settings=_settings(job, data, changes.settings),
            options=Options(changes.format or data.format, load_settings(mapping, Mapping) if mapping else None),
            append_to=before if changes.append else None,
            allowed=changes.allowed,
            strict=changes.strict,
            workers=workers,
        )
        base = None if recipe.model.scratch else _base_at_hand(job, loaded)
        return fit_dataset(
            conversations,
            data,
            recipe.model.template,
            base.location if base else None,
            job.environment if base else None,
            talk,
            trust_remote_code=recipe.model.trust_remote_code,
            show_text=changes.show_text,
            workers=workers,
        )


def _settings(job: Job, data: Data, given: Path | None = None) -> PrepareSettings:
    from lf_bridge.recipe.load import load_settings
    from lf_bridge.recipe.preparing import PrepareSettings

    path = given or (job.workspace.root / data.settings if data.settings else None)
    return load_settings(path, PrepareSettings) if path else PrepareSettings()


def forget(job: Job, customer: str) -> tuple[Seen, ...]:
    """Which datasets, runs and tags saw a customer, who is asked for by the id that the export has."""
    from lf_bridge.factory.inputs import PEOPLE, TRAIN
    from lf_bridge.factory.runs import all_runs
    from lf_bridge.prepare.forget import count_messages, side_of
    from lf_bridge.publish.records import read_releases

    seen, names, root = [], set(), job.workspace.root
    for info in sorted(root.glob("**/dataset_info.json")):
        folder = info.parent
        ours = b'"lf_bridge"' in info.read_bytes()  # not a folder that holds documents alone
        if job.workspace.runs in folder.parents or ".lfb" in folder.parts or not ours:
            continue
        messages, kept = count_messages(folder, customer, job.key)
        if messages:
            seen.append(Seen("dataset", job.workspace.relative(folder), f"{messages} messages, {kept} in examples"))
    for run in all_runs(job.workspace):
        people = run.folder / TRAIN / PEOPLE
        side = side_of(people, customer, job.key) if people.exists() else None
        if side:
            names.add(run.name)
            how = {"train": "trained on his conversations", "validation": "measured on his conversations"}[side]
            seen.append(Seen("run", run.name, how))
    releases = job.workspace.releases
    for folder in sorted(path for path in releases.glob("[!.]*") if path.is_dir()):
        for recorded in read_releases(releases, folder.name):
            if recorded.release.run in names:
                seen.append(Seen("tag", recorded.release.tag, f"made of run {recorded.release.run}"))
    return tuple(seen)


def train(job: Job, loaded: LoadedRecipe, *, again: bool = False) -> Run:
    """Train a recipe on the dataset or documents it names; a base that is another recipe's result is trained first."""
    from lf_bridge.factory.train import train as train_step
    from lf_bridge.prepare.prepare import conversations_of, fit_dataset, read_dataset

    recipe = loaded.recipe
    folder = job.workspace.root / recipe.data.dataset
    if recipe.method.stage == "pt":
        material, environment = _pretraining(job, recipe, folder), job.environment
        below = None if recipe.model.scratch else _base(job, loaded)
        return train_step(loaded, material, below, environment, job.workspace, job.talk, again=again)
    dataset, conversations = read_dataset(folder), conversations_of(folder)
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

    return train_step(loaded, Material(folder, dataset), base, environment, job.workspace, job.talk, again=again)


def export(job: Job, wanted: str | None = None, loaded: LoadedRecipe | None = None) -> MergedModel:
    """Merge a run's adapter and prove the result."""
    from lf_bridge.factory.runs import find_run

    run = find_run(job.workspace, wanted)
    if wanted is None:
        job.talk.say(f"run: {run.name}")
    if run.stage == "pt":
        raise LfbError(
            f"{run.name} is a base model, not a tuned one", hint="name it as `model.base` in a recipe and train that"
        )
    return _merge(job, run, loaded.recipe if loaded else delivery.recipe_of(run))


def _merge(job: Job, run: Run, recipe: Recipe) -> MergedModel:
    from lf_bridge.factory.export import export as export_step
    from lf_bridge.factory.inputs import HELD_OUT, PROOF, TRAIN

    compared = run.folder / TRAIN / (PROOF if run.stage == "pt" else HELD_OUT)
    return export_step(run, recipe, compared, job.installation, job.talk)


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


def _pretraining(job: Job, recipe: Recipe, folder: Path) -> Material:
    """What a base model learns: the training split and documents; one that goes on, documents alone."""
    from lf_bridge.factory.inputs import Material
    from lf_bridge.prepare.prepare import read_dataset, training_texts

    data, material = recipe.data, Material(folder)
    if recipe.model.scratch:
        texts = training_texts(folder)
        with open(texts, "rb") as file:
            material = Material(folder, read_dataset(folder), texts, rows=sum(1 for _ in file))
    if data.documents:
        from lf_bridge.prepare.documents import prepare_documents

        found = prepare_documents(
            [job.workspace.root / data.documents], _settings(job, data), job.key, folder, job.talk
        )
        material = replace(material, documents=found.path, rows=material.rows + found.pieces)
    return material


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
    return base_of_run(run, _merge(job, run, below.recipe).folder if run.adapter else run.result)


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
