"""``lfb doctor``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lf_bridge.cli.console import (
    DEFAULT_RECIPE,
    host_option,
    json_option,
    make_job,
    print_json,
    read_recipe,
    training_option,
)


@click.command()
@click.argument("recipe", required=False, type=click.Path(dir_okay=False, path_type=Path))
@host_option
@training_option
@json_option
def doctor(recipe: Path | None, host: str | None, train_python: Path | None, as_json: bool) -> None:
    """Name each known failure at the seams before any work, with the command that mends it."""
    from lf_bridge.doctor import examine, is_able, to_json

    job = make_job(train_python, host)
    if recipe is None and Path(DEFAULT_RECIPE).exists():
        recipe = Path(DEFAULT_RECIPE)
    checks = examine(job.workspace, job.python, host, os.environ, read_recipe(recipe).recipe if recipe else None)
    if as_json:
        print_json(to_json(checks))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{check.state:<8} {check.name:<{width}}  {check.found}")
            if check.mend and check.state != "ok":
                click.echo(f"{'':<8} {'':<{width}}  mend: {check.mend}")
    if not is_able(checks):
        raise SystemExit(1)
