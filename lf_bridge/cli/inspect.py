"""``lfb inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from lf_bridge.cli.console import json_option, print_json

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", help="Name of the format (`lfb formats`), where it is not told by itself.")
@click.option("--mapping", type=_FILE, help="Which column means what.")
@click.option("--write-mapping", "written", type=_FILE, help="Write the mapping of the first table, to be edited.")
@json_option
def inspect(
    paths: tuple[Path, ...], form: str | None, mapping: Path | None, written: Path | None, as_json: bool
) -> None:
    """Say what logs are taken for, and show the first conversation they would make, redacted.

    PATHS are files or folders; nothing is changed.
    """
    from lf_bridge.errors import LfbError
    from lf_bridge.prepare.formats.files import Options
    from lf_bridge.prepare.inspect import inspect_files, write_mapping
    from lf_bridge.recipe.load import load_settings
    from lf_bridge.recipe.preparing import Mapping

    options = Options(form, load_settings(mapping, Mapping) if mapping else None)
    if written is not None:
        if written.exists():
            raise LfbError(f"{written} is there already", hint="name another file, or remove that one")
        click.echo(f"mapping of {write_mapping(paths, options, written)}: {written}", err=True)
    try:
        files, warnings = inspect_files(paths, options)
    except LfbError as error:
        if written is None:
            raise
        click.echo(f"not read yet: {error.message}; fill what {written} lacks", err=True)
        files, warnings = [], []
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        print_json({"files": [file.to_json() for file in files], "mapping": str(written) if written else None})
        return
    for file in files:
        click.echo(f"{file.file}  {file.kind}, {file.packing}, {file.rows} rows seen")
        click.echo(f"  format        {file.format}" + ("" if file.schema or not file.rows else " (schema unverified)"))
        for name, column in file.columns.items():
            click.echo(f"  {name:<13} {column}")
        for note in file.notes:
            click.echo(f"  assumed       {note.removeprefix(f'{file.file}: ')}")
        if file.conversation is None:
            click.echo("  conversation  none to show among its first messages")
        for speaker, text in file.conversation or ():
            click.echo(f"  {speaker:<13} " + text.replace("\n", "\n" + " " * 16))
