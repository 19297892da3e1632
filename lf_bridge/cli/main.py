"""``lfb``: the command group."""

from __future__ import annotations

import click

from lf_bridge import __version__
from lf_bridge.cli.chat import chat
from lf_bridge.cli.console import run_guarded
from lf_bridge.cli.doctor import doctor
from lf_bridge.cli.export import export
from lf_bridge.cli.forget import forget
from lf_bridge.cli.formats import formats
from lf_bridge.cli.init import init
from lf_bridge.cli.inspect import inspect
from lf_bridge.cli.prepare import prepare
from lf_bridge.cli.publish import publish
from lf_bridge.cli.recipe import recipe
from lf_bridge.cli.run import run
from lf_bridge.cli.train import train


class _InOrder(click.Group):
    """Commands in the order of the work, not of the alphabet."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="lfb")
def lfb() -> None:
    """From raw support logs to a model that answers: LLaMA-Factory trains it, Ollama serves it."""


for command in (init, doctor, inspect, formats, prepare, train, export, publish, chat, run, recipe, forget):
    lfb.add_command(command)


def main() -> None:
    """The console script."""

    def call() -> None:
        try:
            lfb.main(standalone_mode=False)
        except click.ClickException as error:
            error.show()
            raise SystemExit(2) from error

    run_guarded(call)
