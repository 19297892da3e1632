"""``lfb run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lf_bridge.cli.console import (
    host_option,
    json_option,
    make_job,
    print_json,
    read_recipe,
    set_option,
    show_text_option,
    training_option,
    yes_option,
)

if TYPE_CHECKING:
    from lf_bridge.chain import ChainReport


@click.command()
@click.argument("recipe", required=False, type=click.Path(dir_okay=False, path_type=Path))
@set_option
@yes_option
@host_option
@training_option
@show_text_option
@json_option
def run(
    recipe: Path | None,
    overrides: tuple[str, ...],
    yes: bool,
    host: str | None,
    train_python: Path | None,
    show_text: bool,
    as_json: bool,
) -> None:
    """The whole chain: prepare, train, export, quantize, measure, publish. Finished steps are skipped."""
    from lf_bridge import pipeline

    report = pipeline.run(make_job(train_python, host), read_recipe(recipe, overrides), yes=yes)
    if as_json:
        print_json(report.to_json(show_text=show_text or report.public_sample))
    else:
        _print(report, show_text or report.public_sample)


def _print(report: ChainReport, show_text: bool) -> None:
    from lf_bridge.talk import format_bytes, format_seconds

    click.echo(f"\n{'step':<10} {'time':>12} {'size':>10}  result")
    for row in report.rows:
        size = format_bytes(row.bytes) if row.bytes else ""
        click.echo(f"{row.name:<10} {format_seconds(row.seconds):>12} {size:>10}  {row.result}")
    loss = report.loss
    click.echo(f"\nheld-out answer loss in nats per token ({loss.conversations} conversations, {loss.tokens:,} tokens)")
    for name, value in (
        ("base", loss.base),
        ("tuned", loss.tuned),
        ("F16", loss.f16),
        (report.quantization, loss.quantized),
    ):
        click.echo(f"  {name:<8} {value:.4f}")
    for name, change in (("tuned - base", loss.tuning), (f"{report.quantization} - F16", loss.quantization)):
        interval = "no interval: one conversation only"
        if change.low is not None:
            interval = f"95% interval {change.low:+.4f} to {change.high:+.4f}"
        click.echo(f"  {name:<14} {change.mean:+.4f}, {interval}")
    if show_text:
        for asked in report.questions:
            click.echo(f"\nquestion   {asked.question}")
            click.echo(
                f"  base     {asked.base}\n  tuned    {asked.tuned}\n  {report.quantization:<8} {asked.published}"
            )
    else:
        click.echo("\nquestions and answers are shown with `--show-text`: they are your conversations")
    click.echo(f"\n{report.closing}")
