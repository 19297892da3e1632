"""``lfb formats``."""

from __future__ import annotations

import click

from lf_bridge.cli.console import json_option, print_json


@click.command()
@json_option
def formats(as_json: bool) -> None:
    """List the formats that are read, the fields each needs, and where its schema was verified."""
    from lf_bridge.prepare.formats import sniff

    known = sniff.formats()
    if as_json:
        rows = [{"name": one.name, "title": one.title, "needs": list(one.needs), "schema": one.schema} for one in known]
        print_json({"formats": rows})
        return
    for one in known:
        click.echo(f"{one.name}\n  reads     {one.title}\n  needs     {'; '.join(one.needs)}")
        source = one.schema if one.name in sniff.GENERAL else f"verified: {one.schema}"
        click.echo(f"  schema    {source}" if one.schema else "  schema unverified")
