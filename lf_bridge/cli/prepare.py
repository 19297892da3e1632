"""``lfb prepare``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from lf_bridge.cli.console import json_option, make_job, print_json, read_recipe, set_option, training_option


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--recipe", type=click.Path(dir_okay=False, path_type=Path), help="The recipe to prepare for.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="The dataset folder, else the recipe's.")
@set_option
@training_option
@json_option
def prepare(
    paths: tuple[Path, ...],
    recipe: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    train_python: Path | None,
    as_json: bool,
) -> None:
    """Turn raw logs into a LLaMA-Factory dataset and a ledger of every message.

    PATHS are files or folders; without one the recipe's `data.raw` is read.
    """
    from lf_bridge import pipeline

    loaded = read_recipe(recipe, overrides)
    if not paths:
        click.echo(f"reading: {loaded.recipe.data.raw}", err=True)
    dataset, report = pipeline.prepare(make_job(train_python), loaded, paths, out)
    if as_json:
        print_json(report.to_json())
        return
    messages, conversations = report.messages, report.conversations
    dropped = sum(messages.dropped.values())
    sums = f"{messages.kept:,} kept + {messages.merged:,} merged + {dropped:,} dropped"
    click.echo(f"messages       {messages.read:,} read = {sums}")
    _print_reasons(messages.dropped)
    click.echo(f"conversations  {conversations.train:,} train, {conversations.validation:,} validation")
    _print_reasons(conversations.dropped)
    click.echo(f"dataset        {dataset.folder}")


def _print_reasons(dropped: Mapping[str, int]) -> None:
    for reason, count in sorted(dropped.items(), key=lambda each: -each[1]):
        click.echo(f"                 {count:,} dropped: {reason}")
