"""``lfb train``."""

from __future__ import annotations

from pathlib import Path

import click

from lf_bridge.cli.console import json_option, make_job, print_json, read_recipe, set_option, training_option


@click.command()
@click.argument("recipe", required=False, type=click.Path(dir_okay=False, path_type=Path))
@set_option
@click.option("--again", is_flag=True, help="Train anew into another folder, though a finished run is there.")
@training_option
@json_option
def train(
    recipe: Path | None, overrides: tuple[str, ...], again: bool, train_python: Path | None, as_json: bool
) -> None:
    """Train the recipe on the prepared dataset; the same command again resumes an unfinished run."""
    from lf_bridge import pipeline
    from lf_bridge.talk import format_seconds

    run = pipeline.train(make_job(train_python), read_recipe(recipe, overrides), again=again)
    if as_json:
        print_json({"run": run.name, "folder": str(run.folder), "stage": run.stage, "seconds": run.seconds})
    else:
        click.echo(f"run  {run.folder}  ({format_seconds(run.seconds)})")
