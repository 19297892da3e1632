"""``lfb recipe``."""

from __future__ import annotations

from pathlib import Path

import click

from lf_bridge.cli.console import json_option, print_json, read_recipe, set_option

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def recipe() -> None:
    """Look at recipes: list, show, check, and explain their fields; print the settings of prepare."""


@recipe.command("list")
def list_command() -> None:
    """The recipes of this workspace, each with its purpose."""
    from lf_bridge.recipe.load import list_recipes

    for path in list_recipes(Path.cwd()):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        click.echo(f"{path.relative_to(Path.cwd())}  {first.removeprefix('# ')}")


@recipe.command()
@click.argument("file", type=_FILE)
@set_option
def show(file: Path, overrides: tuple[str, ...]) -> None:
    """A recipe with everything it extends and every default, each field under its meaning."""
    from lf_bridge.recipe.describe import commented_yaml

    click.echo(commented_yaml(read_recipe(file, overrides).recipe))


@recipe.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@set_option
@json_option
def check(files: tuple[Path, ...], overrides: tuple[str, ...], as_json: bool) -> None:
    """Check recipes without starting anything; every fault is named."""
    for file in files:
        read_recipe(file, overrides)
    if as_json:
        print_json({"checked": [str(file) for file in files]})
    else:
        click.echo("\n".join(f"ok  {file}" for file in files))


@recipe.command()
def settings() -> None:
    """A `prepare.yaml` with every rule of `lfb prepare` at its default, under its meaning."""
    from lf_bridge.recipe.describe import commented_yaml
    from lf_bridge.recipe.preparing import PrepareSettings

    click.echo(commented_yaml(PrepareSettings()))


@recipe.command()
@click.argument("field", required=False)
@json_option
def schema(field: str | None, as_json: bool) -> None:
    """What a field means and what it may be; without FIELD, all of them."""
    from lf_bridge.recipe.describe import explain, json_schema, markdown_table

    if as_json:
        print_json(json_schema())
    else:
        click.echo(explain(field) if field else markdown_table())
