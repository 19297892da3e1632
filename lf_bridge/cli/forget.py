"""``lfb forget``."""

from __future__ import annotations

import click

from lf_bridge.cli.console import json_option, make_job, print_json

_NEXT = {
    "dataset": "take the customer's rows out of the raw logs and run `lfb prepare` again (without --append)",
    "run": "train again on that dataset, then remove the run's folder",
    "tag": "publish the new run, then `ollama rm` the old tags on every machine that has them",
}


@click.command()
@click.argument("customer")
@json_option
def forget(customer: str, as_json: bool) -> None:
    """Say which datasets, runs and tags saw CUSTOMER (the id in the export), and what to do. Nothing is deleted."""
    from lf_bridge import pipeline

    seen = pipeline.forget(make_job(), customer)
    steps = [step for kind, step in _NEXT.items() if any(one.kind == kind for one in seen)]
    if as_json:
        found = [{"kind": one.kind, "name": one.name, "how": one.how} for one in seen]
        print_json({"seen": found, "steps": steps})
        return
    for one in seen:
        click.echo(f"{one.kind:<8} {one.name}  {one.how}")
    if not seen:
        click.echo("no dataset, run or tag here saw this customer")
    for number, step in enumerate(steps, 1):
        click.echo(f"{number}. {step}")
