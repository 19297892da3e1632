"""How lfb speaks on a terminal, and what every command shares: options, errors, exit codes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lf_bridge.chain import Job
    from lf_bridge.recipe.load import LoadedRecipe

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_RECIPE = "recipes/cs_rank8.yaml"
_PLAIN_SECONDS = 10.0


class Console:
    """Lines and progress on stderr; without a terminal, one progress line every ten seconds."""

    def say(self, text: str) -> None:
        click.echo(text, err=True)

    def warn(self, text: str) -> None:
        click.echo(f"warning: {text}", err=True)

    @contextmanager
    def meter(self, label: str, unit: str) -> Iterator[_Bar]:
        bar = _Bar(label, unit, sys.stderr.isatty())
        try:
            yield bar
        finally:
            bar.close()


class _Bar:
    def __init__(self, label: str, unit: str, terminal: bool) -> None:
        self._label, self._unit, self._terminal = label, unit, terminal
        self._started = self._shown = time.monotonic()
        self._wrote = False

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        now = time.monotonic()
        if now - self._shown < (0.1 if self._terminal else _PLAIN_SECONDS) and done != total:
            return
        self._shown = now
        line = f"{self._label}: {self._amount(done, total)}{self._pace(done, total, now)}" + (
            f", {note}" if note else ""
        )
        if self._terminal:
            click.echo(f"\r\x1b[2K{line}"[: 8 + 110], err=True, nl=False)
            self._wrote = True
        else:
            click.echo(line, err=True)

    def close(self) -> None:
        if self._wrote:
            click.echo("\r\x1b[2K", err=True, nl=False)

    def _amount(self, done: float, total: float | None) -> str:
        from lf_bridge.talk import format_bytes

        if self._unit == "bytes":
            return format_bytes(int(done)) + (f" of {format_bytes(int(total))}" if total else "")
        return f"{done:,.0f}" + (f" of {total:,.0f}" if total else "") + f" {self._unit}"

    def _pace(self, done: float, total: float | None, now: float) -> str:
        from lf_bridge.talk import format_bytes, format_seconds

        spent = now - self._started
        if not done or spent < 1:
            return ""
        rate = done / spent
        said = f"{format_bytes(int(rate))}/s" if self._unit == "bytes" else f"{rate:,.1f}/s"
        return f", {said}" + (f", {format_seconds((total - done) / rate)} left" if total and total > done else "")


def run_guarded(action: Callable[[], Any]) -> None:
    """Run a command to its exit code: 0 done, 1 could not be done, 2 misused, 130 interrupted; never a traceback."""
    from lf_bridge.errors import LfbError

    try:
        action()
    except LfbError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; the same command again goes on from here", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        hint = (
            "free space there, then run the same command again" if error.errno == 28 else "mend that, then run it again"
        )
        click.echo(str(LfbError(f"{error.strerror or type(error).__name__}{where}", hint=hint)), err=True)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("LFB_TRACEBACK"):
            raise
        last = error.__traceback__
        while last and last.tb_next:
            last = last.tb_next
        place = f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else "lfb"
        message = f"lfb has a defect: {type(error).__name__} at {place}"
        click.echo(str(LfbError(message, hint="set LFB_TRACEBACK=1 for the whole trace, and report it")), err=True)
        sys.exit(1)


def print_json(value: Mapping[str, Any]) -> None:
    """The one object on stdout of a command with ``--json``."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def json_option(command: Command) -> Command:
    """The flag of every command that reports."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, nothing else there.")(
        command
    )


def set_option(command: Command) -> Command:
    """The option that changes a field of the recipe."""
    return click.option(
        "--set", "overrides", multiple=True, metavar="SECTION.FIELD=VALUE", help="Change one field of the recipe."
    )(command)


def training_option(command: Command) -> Command:
    """The option that names another training environment."""
    return click.option(
        "--train-python",
        envvar="LFB_TRAIN_PYTHON",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Python of the training environment, where it is not this one.",
    )(command)


def host_option(command: Command) -> Command:
    """The option that names an Ollama server."""
    return click.option("--host", envvar="OLLAMA_HOST", help="Address of the Ollama server.")(command)


def show_text_option(command: Command) -> Command:
    """The flag without which no conversation is shown."""
    return click.option("--show-text", is_flag=True, help="Show text of your conversations on the screen.")(command)


def make_job(train_python: Path | None = None, host: str | None = None) -> Job:
    """What every command works with: this folder, the training environment, the server, the key, the voice."""
    from lf_bridge.chain import Job
    from lf_bridge.workspace import KEY_ENVIRONMENT, Workspace

    python = (train_python or Path(sys.executable)).expanduser().absolute()
    return Job(Workspace(Path.cwd()), python, host, os.environ.get(KEY_ENVIRONMENT), Console())


def read_recipe(path: Path | None, overrides: tuple[str, ...] = (), *, say: bool = True) -> LoadedRecipe:
    """The recipe that was named, else the project's own, saying which."""
    from lf_bridge.recipe.load import load_recipe

    if path is None:
        path = Path(DEFAULT_RECIPE)
        if say:
            click.echo(f"recipe: {path}", err=True)
    return load_recipe(path, overrides)
