"""``lfb prepare``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from lf_bridge.cli.console import (
    DEFAULT_RECIPE,
    json_option,
    make_job,
    print_json,
    read_recipe,
    set_option,
    training_option,
)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", help="Name of the format (`lfb formats`), where it is not told by itself.")
@click.option("--mapping", type=click.Path(dir_okay=False, path_type=Path), help="Which column means what.")
@click.option("--config", "settings", type=click.Path(dir_okay=False, path_type=Path), help="A `prepare.yaml`.")
@click.option("--recipe", type=click.Path(dir_okay=False, path_type=Path), help="The recipe to prepare for.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="The dataset folder, else the recipe's.")
@click.option("--append", is_flag=True, help="Add a later export to the dataset; everyone stays on their side.")
@click.option("--dry-run", is_flag=True, help="Do everything and report it, but leave the dataset as it is.")
@click.option("--strict", is_flag=True, help="Refuse the logs where one record cannot be read.")
@click.option("--allow-finding", "allowed", multiple=True, metavar="HASH", help="Accept a finding of the second scan.")
@set_option
@training_option
@click.option("--show-text", is_flag=True, help="Put redacted samples of your conversations into report.html.")
@json_option
def prepare(
    paths: tuple[Path, ...],
    form: str | None,
    mapping: Path | None,
    settings: Path | None,
    recipe: Path | None,
    out: Path | None,
    append: bool,
    dry_run: bool,
    strict: bool,
    allowed: tuple[str, ...],
    overrides: tuple[str, ...],
    train_python: Path | None,
    show_text: bool,
    as_json: bool,
) -> None:
    """Turn raw logs into a LLaMA-Factory dataset, a ledger of every message and a report.

    PATHS are files or folders; without one the recipe's `data.raw` is read.
    """
    from lf_bridge import pipeline
    from lf_bridge.chain import PrepareChanges

    if recipe is None and paths and not Path(DEFAULT_RECIPE).exists():
        from lf_bridge.scaffold import shelf_root

        recipe = shelf_root() / DEFAULT_RECIPE
        click.echo(f"recipe: the shipped {DEFAULT_RECIPE}, since there is none here", err=True)
    loaded = read_recipe(recipe, overrides)
    if not paths:
        click.echo(f"reading: {loaded.recipe.data.raw}", err=True)
    changes = PrepareChanges(
        raw=paths,
        out=out,
        settings=settings,
        format=None if form == "auto" else form,
        mapping=mapping,
        append=append,
        dry_run=dry_run,
        strict=strict,
        show_text=show_text,
        allowed=allowed,
    )
    dataset, report = pipeline.prepare(make_job(train_python), loaded, changes)
    if as_json:
        print_json(report.to_json())
        return
    messages, conversations = report.messages, report.conversations
    dropped = sum(messages.dropped.values())
    sums = f"{messages.kept:,} kept + {messages.merged:,} merged + {dropped:,} dropped"
    click.echo(f"messages       {messages.read:,} read = {sums}")
    _print_counts(messages.dropped, "dropped: ")
    click.echo(f"conversations  {conversations.train:,} train, {conversations.validation:,} validation")
    _print_counts(conversations.dropped, "dropped: ")
    click.echo(
        f"personal data  {sum(report.redacted.values()):,} replaced, {sum(report.quarantined.values()):,} set aside"
    )
    _print_counts(report.redacted, "")
    if report.tokens:
        tokens = report.tokens
        click.echo(f"tokens         {tokens.total:,}, {tokens.trained:,} of them answers")
    click.echo(f"dataset        {dataset.folder}{' (not written: a dry run)' if dry_run else ''}")
    if not dry_run:
        click.echo(f"report         {dataset.folder / 'report.html'}")


def _print_counts(counts: Mapping[str, int], before: str) -> None:
    for name, count in sorted(counts.items(), key=lambda each: -each[1]):
        click.echo(f"                 {count:,} {before}{name}")
