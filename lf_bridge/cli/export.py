"""``lfb export``."""

from __future__ import annotations

from pathlib import Path

import click

from lf_bridge.cli.console import json_option, make_job, print_json, training_option


@click.command()
@click.argument("run", required=False)
@training_option
@json_option
def export(run: str | None, train_python: Path | None, as_json: bool) -> None:
    """Merge the adapter of RUN (the latest where none is named) and prove that it is the tuned model."""
    from lf_bridge import pipeline
    from lf_bridge.talk import format_bytes

    merged = pipeline.export(make_job(train_python), run)
    if as_json:
        print_json(
            {
                "run": merged.run.name,
                "folder": str(merged.folder),
                "bytes": merged.bytes,
                "mended": merged.mended,
                "seconds": merged.seconds,
            }
        )
    else:
        click.echo(f"model  {merged.folder}  ({format_bytes(merged.bytes)})")
