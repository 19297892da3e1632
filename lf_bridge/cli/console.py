"""How lfb speaks on a terminal, and what every command shares: options, errors, exit codes."""

from __future__ import annotations

import errno
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
    from rich.progress import Progress, TaskID

    from lf_bridge.chain import Job
    from lf_bridge.recipe.load import LoadedRecipe
    from lf_bridge.talk import Meter

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
    def meter(self, label: str, unit: str) -> Iterator[Meter]:
        if not sys.stderr.isatty():
            yield _Lines(label, unit)
            return
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, Progress, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[reading]}")
        with Progress(*columns, console=Terminal(stderr=True), transient=True) as progress:
            yield _Bar(progress, progress.add_task(label, total=None, reading=""), unit)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID, unit: str) -> None:
        self._progress, self._task, self._unit = progress, task, unit
        self._started = time.monotonic()

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        reading = _reading(done, total, self._unit, time.monotonic() - self._started, note)
        self._progress.update(self._task, completed=done, total=total, reading=reading)


class _Lines:
    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._started = self._shown = time.monotonic()

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        now = time.monotonic()
        if now - self._shown >= _PLAIN_SECONDS:
            self._shown = now
            click.echo(f"{self._label}: {_reading(done, total, self._unit, now - self._started, note)}", err=True)


def _reading(done: float, total: float | None, unit: str, spent: float, note: str) -> str:
    """How far, how fast, how long still: ``20 of 180 steps, 1.9/s, 1 min 24 s left, loss 2.256``."""
    from lf_bridge.talk import format_bytes, format_seconds

    def amount(count: float) -> str:
        return format_bytes(int(count)) if unit == "bytes" else f"{count:,.0f}"

    parts = [amount(done) + (f" of {amount(total)}" if total else "") + (f" {unit}" if unit != "bytes" else "")]
    if done and spent >= 1:
        rate = done / spent
        parts.append(f"{format_bytes(int(rate))}/s" if unit == "bytes" else f"{rate:,.1f}/s")
        if total and total > done:
            parts.append(f"{format_seconds((total - done) / rate)} left")
    return ", ".join([*parts, note] if note else parts)


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
            "free space there, then run the same command again"
            if error.errno == errno.ENOSPC
            else "mend that, then run it again"
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


def yes_option(command: Command) -> Command:
    """The flag without which nobody else's tag is replaced."""
    return click.option("--yes", is_flag=True, help="Overwrite a tag that lfb did not make.")(command)


def show_text_option(command: Command) -> Command:
    """The flag without which no conversation is shown."""
    return click.option("--show-text", is_flag=True, help="Show text of your conversations on the screen.")(command)


def make_job(train_python: Path | None = None, host: str | None = None) -> Job:
    """What every command works with: this folder, the training environment, the server, the key, the voice."""
    from lf_bridge.chain import Job
    from lf_bridge.workspace import KEY_ENVIRONMENT, Workspace

    python = (train_python or Path(sys.executable)).expanduser().absolute()
    return Job(Workspace(Path.cwd()), python, host, os.environ.get(KEY_ENVIRONMENT), Console())


def read_recipe(path: Path | None, overrides: tuple[str, ...] = ()) -> LoadedRecipe:
    """The recipe that was named, else the project's own, saying which."""
    from lf_bridge.recipe.load import load_recipe

    if path is None:
        path = Path(DEFAULT_RECIPE)
        click.echo(f"recipe: {path}", err=True)
    return load_recipe(path, overrides)
