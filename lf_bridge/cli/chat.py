"""``lfb chat``."""

from __future__ import annotations

import sys
from typing import Literal

import click

from lf_bridge.cli.console import host_option, make_job


@click.command()
@click.argument("name", required=False)
@click.option("--to", type=click.Choice(["ollama", "local"]), help="Back end, else the one it was published to.")
@host_option
def chat(name: str | None, to: Literal["ollama", "local"] | None, host: str | None) -> None:
    """Talk to a published model (the latest where none is named); each line of input is a question."""
    from lf_bridge import delivery
    from lf_bridge.handover import Message

    job = make_job(host=host)
    tag, runtime = delivery.open_chat(job, name, to)
    terminal = sys.stdin.isatty()
    if terminal:
        click.echo(f"{tag} - an empty line or Ctrl-D ends the conversation", err=True)
    messages: list[Message] = []
    while True:
        if terminal:
            click.echo(">>> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        messages.append(Message("user", line.strip()))
        answer = runtime.chat(tag, messages, on_text=lambda text: click.echo(text, nl=False))
        click.echo()
        messages.append(Message("assistant", answer.text))
