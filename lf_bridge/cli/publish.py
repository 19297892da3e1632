"""``lfb publish``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from lf_bridge.cli.console import (
    host_option,
    json_option,
    make_job,
    print_json,
    show_text_option,
    training_option,
    yes_option,
)


@click.command()
@click.argument("target", required=False, metavar="[RUN|GGUF]")
@click.option("--as", "name", help="Name to publish as, else the recipe's `publish.name`.")
@click.option("--quantize", help="Type of the weights, else the recipe's `publish.quantize`.")
@click.option("--to", type=click.Choice(["ollama", "local", "gguf", "auto"]), help="Else the recipe's `publish.to`.")
@click.option("--template", help="Chat template of a bare GGUF, by LLaMA-Factory's name.")
@click.option("--system", help="System prompt of a bare GGUF, else the project's recipe's.")
@yes_option
@host_option
@training_option
@show_text_option
@json_option
def publish(
    target: str | None,
    name: str | None,
    quantize: str | None,
    to: Literal["ollama", "local", "gguf", "auto"] | None,
    template: str | None,
    system: str | None,
    yes: bool,
    host: str | None,
    train_python: Path | None,
    show_text: bool,
    as_json: bool,
) -> None:
    """Quantize a run (the latest where none is named) or take a GGUF file, register it, and let it answer."""
    from lf_bridge import pipeline
    from lf_bridge.chain import PublishChanges
    from lf_bridge.talk import format_bytes

    given = PublishChanges(name=name, quantize=quantize, to=to, template=template, system=system, yes=yes)
    release, public = pipeline.publish(make_job(train_python, host), target, given)
    shown = asdict(release)
    if not (public or show_text):
        shown |= {"question": None, "answer": None}
    if as_json:
        print_json(shown)
        return
    where = f"{release.backend} {release.address}"
    click.echo(f"published  {release.tag}  {release.quantization}, {format_bytes(release.bytes)}, {where}")
    if shown["question"] and release.answer:
        click.echo(f"question   {release.question}\nanswer     {release.answer}")
    if release.backend == "ollama":
        click.echo(f"next       ollama run {release.name}")
    elif release.backend == "local":
        click.echo(f"next       lfb chat {release.name}")
