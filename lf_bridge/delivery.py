"""From a merged model or a ready file to a tag that answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lf_bridge.chain import Job, PublishChanges
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import ChatTemplate, GgufFile, MergedModel, Message, Release, Run
from lf_bridge.talk import format_seconds
from lf_bridge.workspace import file_digest

if TYPE_CHECKING:
    from lf_bridge.recipe.model import Recipe
    from lf_bridge.runtime.interface import Runtime


def recipe_of(run: Run) -> Recipe:
    """The recipe as it was trained; how to export, measure and publish is taken from the file as it stands now."""
    from lf_bridge.recipe.load import load_recipe

    trained = load_recipe(_trained_recipe(run)).recipe
    if not run.recipe.is_file():
        return trained
    now = load_recipe(run.recipe).recipe
    return trained.model_copy(update={"export": now.export, "publish": now.publish, "evaluate": now.evaluate})


def check_system(run: Run, changes: PublishChanges) -> None:
    """The system prompt has one owner: a recipe that has another text now is not published with the trained one."""
    from lf_bridge.recipe.load import load_recipe

    asked = changes.system
    if asked is None:
        asked = load_recipe(run.recipe).recipe.data.system if run.recipe.is_file() else run.system
    if asked != run.system:
        raise LfbError(
            f"{run.name} was trained with another system prompt than {run.recipe.name} has now",
            faults=[Fault("data.system", f"the one trained is in {_trained_recipe(run)}")],
            hint="put the trained text back into the recipe or give it as `--system`; or prepare and train again",
        )


def change_publishing(recipe: Recipe, changes: PublishChanges) -> Recipe:
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


def make_files(job: Job, merged: MergedModel, recipe: Recipe) -> tuple[GgufFile, GgufFile]:
    """The F16 file and the one of the recipe's type, made where they are missing."""
    from lf_bridge.gguf.convert import convert
    from lf_bridge.gguf.quantize import quantize

    folder = merged.run.folder
    f16 = convert(merged, job.installation, _template_of(merged), job.talk, folder)
    return f16, quantize(f16, recipe.publish.quantize, job.talk, folder)


def publish_model(job: Job, merged: MergedModel, file: GgufFile, recipe: Recipe, *, yes: bool) -> Release:
    """Register a file of a merged model as the recipe says; it answers the first held-out question."""
    from lf_bridge.evaluate.loss import held_out_questions

    run, question = merged.run, held_out_questions(merged)[0].question
    return _register(job, file, recipe, _template_of(merged), run.system, question, run.name, yes=yes)


def publish_file(job: Job, path: Path, changes: PublishChanges) -> Release:
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
    recipe = change_publishing(Recipe(model=Model(base=str(path))), changes)
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


def ask(job: Job, release: Release, recipe: Recipe, questions: list[str]) -> list[str]:
    """What the published tag answers, with the likeliest words."""
    from lf_bridge.publish.publish import pick_runtime

    if release.backend == "gguf":
        return ["(not registered)"] * len(questions)
    runtime = pick_runtime(release.backend, job.host, job.workspace.embedded_store, job.talk)
    options = {"temperature": 0.0, "num_predict": recipe.evaluate.answer_tokens}
    return [runtime.chat(release.tag, [Message("user", text)], options=options).text for text in questions]


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


def closing_line(release: Release) -> str:
    """What to type next."""
    took = format_seconds(release.seconds)
    if release.backend == "ollama":
        return f"published in {took}; now: ollama run {release.name}"
    if release.backend == "local":
        return f"published in {took} on the embedded runtime; now: lfb chat {release.name}"
    return f"written in {took}; now: ollama create {release.name} -f {release.address}/Modelfile"


def _trained_recipe(run: Run) -> Path:
    return run.result.parent / "recipe.yaml"


def _template_of(merged: MergedModel) -> ChatTemplate:
    from lf_bridge.runtime.templates import chat_template

    settings = json.loads((merged.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    given = (settings.get(name) or "" for name in ("bos_token", "eos_token"))
    bos, eos = (token["content"] if isinstance(token, dict) else token for token in given)
    return chat_template(merged.run.template, bos=bos, eos=eos)


def _register(
    job: Job, file: GgufFile, recipe: Recipe, template: ChatTemplate, system: str, question: str, run: str, *, yes: bool
) -> Release:
    from lf_bridge.gguf.inspect import read_metadata
    from lf_bridge.publish.publish import Publication, pick_runtime, publish, write_gguf_folder

    settings, releases = recipe.publish, job.workspace.releases
    longest = read_metadata(file.path).context_length
    if settings.num_ctx > longest:
        job.talk.warn(f"`publish.num_ctx` is {settings.num_ctx}, but the model was made for {longest} tokens")
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
