"""``lfb init``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Make a new workspace: recipes, sample dialogues, Modelfile.template, .gitignore."""
    from lf_bridge.scaffold import init as make

    for path in make(folder):
        click.echo(path)
    click.echo(f"\nnext: cd {folder} && lfb doctor", err=True)
