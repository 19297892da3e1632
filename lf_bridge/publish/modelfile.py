"""The user's ``Modelfile.template``: read as Ollama reads a Modelfile, its blanks filled from the run."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import ChatTemplate, Message, Role
from lf_bridge.runtime.templates import go_template

DEFAULT = Path(__file__).with_name("Modelfile.template")
DIRECTIVES = ("FROM", "TEMPLATE", "SYSTEM", "PARAMETER", "LICENSE", "MESSAGE")
# What Ollama knows (api/types.go, Options); it ignores any other name without a word.
PARAMETERS: Mapping[str, type] = {
    **dict.fromkeys(("num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_ctx", "num_batch"), int),
    **dict.fromkeys(("num_gpu", "main_gpu", "num_thread"), int),
    **dict.fromkeys(("temperature", "repeat_penalty", "top_p", "min_p", "typical_p"), float),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), float),
    "use_mmap": bool,
    "stop": list,
}
_BLANK = re.compile(r"<<([A-Z_]+)>>")


@dataclass(frozen=True)
class Modelfile:
    """What a Modelfile says, all but the file that it is from. ``parameters`` hold ``stop`` as a list."""

    template: str
    system: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    license_text: str = ""
    history: tuple[Message, ...] = ()

    def text(self, gguf: str) -> str:
        """The file that ``ollama create -f`` takes, for a GGUF of this name beside it.

        Raises ``LfbError`` where a text cannot be written into a Modelfile.
        """
        lines = [f"FROM {gguf}", f"TEMPLATE {_quote(self.template)}", f"SYSTEM {_quote(self.system)}"]
        for name, value in self.parameters.items():
            values = [_quote(stop) for stop in value] if name == "stop" else [str(value).lower()]
            lines += [f"PARAMETER {name} {one}" for one in values]
        lines += [f"LICENSE {_quote(self.license_text)}"] * bool(self.license_text)
        lines += [f"MESSAGE {message.role} {_quote(message.content)}" for message in self.history]
        written = "\n".join(lines) + "\n"
        faults: list[Fault] = []
        again, _ = _collect(written, {}, faults)
        # Ollama leaves out characters that have no print (Go's strconv.IsPrint).
        if faults or again != self or not all(one.isprintable() or one in "\n\t" for one in written):
            raise LfbError(
                "the system prompt or template holds characters that a Modelfile cannot",
                hint="take invisible characters and lines that end in three quotes out, or publish to a server",
            )
        return written


def fill_modelfile(
    path: Path, *, template: ChatTemplate, system: str, num_ctx: int, temperature: float, repeat_penalty: float
) -> Modelfile:
    """Read the user's file and fill its blanks.

    Raises ``LfbError`` with all faults and their lines: an unknown blank, directive or parameter, no FROM or TEMPLATE,
    a SYSTEM other than the trained one, a stop that is missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LfbError(f"cannot read {path}", hint="`lfb init` writes one; `publish.modelfile` names it") from error
    blanks: dict[str, Any] = {
        "FROM": "<<FROM>>",
        "TEMPLATE": go_template(template),
        "SYSTEM": system,
        "STOP": list(template.stop),
        "NUM_CTX": num_ctx,
        "TEMPERATURE": temperature,
        "REPEAT_PENALTY": repeat_penalty,
    }
    faults: list[Fault] = []
    filled, lines = _collect(text, blanks, faults)
    for name, is_right, problem in (
        ("FROM", lines.get("FROM", "") == "<<FROM>>", "must be `<<FROM>>`: the file that was converted from the run"),
        ("TEMPLATE", filled.template == blanks["TEMPLATE"], "must be `<<TEMPLATE>>`: the model was trained with it"),
        ("SYSTEM", filled.system == system, "is not the system prompt that was trained; write `<<SYSTEM>>`"),
    ):
        if not is_right:
            faults.append(Fault(name, problem if name in lines else f"is missing; write `{name} <<{name}>>`"))
    faults += [
        Fault("PARAMETER", f"stop `{stop}` is missing: answers would not end; write `PARAMETER stop <<STOP>>`")
        for stop in template.stop
        if stop not in filled.parameters.get("stop", ())
    ]
    if faults:
        raise LfbError(
            f"{path} has {len(faults)} fault{'s' * (len(faults) > 1)}",
            faults=faults,
            hint="its comments say what each blank is; `lfb init` writes the file as it came",
        )
    return filled


def _collect(text: str, blanks: Mapping[str, Any], faults: list[Fault]) -> tuple[Modelfile, dict[str, str]]:
    """The directives of a Modelfile, blanks filled where any are given; also each single directive's own text."""
    single: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    history: list[Message] = []
    for line, name, value in _split(text, faults):
        where = f"line {line}"
        if blanks:
            faults += [
                Fault(where, f"unknown blank `<<{blank}>>`{_near(blank, blanks)}")
                for blank in _BLANK.findall(value)
                if blank not in blanks
            ]
        if name == "PARAMETER":
            key, _, value = value.partition(" ")
            _add_parameter(parameters, key, _unquote(value), blanks, where, faults)
        elif name == "MESSAGE":
            role, _, value = value.partition(" ")
            if role in get_args(Role):
                history.append(Message(role, _fill(_unquote(value), blanks)))  # type: ignore[arg-type]
            else:
                faults.append(Fault(where, "MESSAGE needs a role: system, user or assistant"))
        elif name not in DIRECTIVES:
            faults.append(Fault(where, f"unknown directive `{name}`{_near(name, DIRECTIVES)}"))
        elif name in single:
            faults.append(Fault(where, f"{name} stands twice"))
        else:
            single[name] = _unquote(value)
    filled = {name: _fill(value, blanks) for name, value in single.items()}
    return (
        Modelfile(
            template=filled.get("TEMPLATE", ""),
            system=filled.get("SYSTEM", ""),
            parameters=parameters,
            license_text=filled.get("LICENSE", ""),
            history=tuple(history),
        ),
        single,
    )


def _add_parameter(
    parameters: dict[str, Any], name: str, value: str, blanks: Mapping[str, Any], where: str, faults: list[Fault]
) -> None:
    kind = PARAMETERS.get(name)
    if kind is None:
        faults.append(Fault(where, f"unknown parameter `{name}`{_near(name, PARAMETERS)}"))
    elif name == "stop":
        stops = blanks["STOP"] if blanks and value == "<<STOP>>" else [_fill(value, blanks)]
        if not all(stops):
            faults.append(Fault(where, "`stop` needs a text"))
        parameters["stop"] = [*parameters.get("stop", []), *stops]
    elif name in parameters:
        faults.append(Fault(where, f"parameter `{name}` stands twice"))
    else:
        text = _fill(value, blanks)
        try:
            parameters[name] = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
            if not math.isfinite(parameters[name]):
                raise ValueError
        except (ValueError, KeyError, OverflowError):
            faults.append(Fault(where, f"`{name}` needs {_NEEDS[kind]}"))


_NEEDS: Mapping[type, str] = {int: "a whole number", float: "a number", bool: "true or false"}


def _split(text: str, faults: list[Fault]) -> Iterator[tuple[int, str, str]]:
    """Line number, directive and raw value of each directive, as Ollama's parser/parser.go splits them."""
    lines = iter(enumerate(re.split(r"\r\n|\r|\n", text), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, value = _word(line)
        name, head = name.upper(), ""
        if name in ("PARAMETER", "MESSAGE"):
            head, value = _word(value)
            head += " "
        quote = next((mark for mark in ('"""', '"') if value.startswith(mark)), "")
        while quote and (len(value.rstrip()) < 2 * len(quote) or not value.rstrip().endswith(quote)):
            _, following = next(lines, (0, None))
            if following is None:
                faults.append(Fault(f"line {number}", f"the quotes that open after {name} never close"))
                return
            value += "\n" + following
        yield number, name, head + value.rstrip()


def _word(text: str) -> tuple[str, str]:
    """The first word and the rest, whatever white space is between them."""
    first, *rest = text.split(None, 1) or [""]
    return first, rest[0].strip() if rest else ""


def _fill(value: str, blanks: Mapping[str, Any]) -> str:
    """Fill all blanks in one pass, so that what is filled in is not searched for blanks again."""
    return _BLANK.sub(lambda found: str(blanks.get(found[1], found[0])), value)


def _quote(text: str) -> str:
    return f'"""{text}"""'


def _unquote(value: str) -> str:
    for mark in ('"""', '"'):
        if value.startswith(mark):
            return value[len(mark) : -len(mark)]
    return value


def _near(name: str, choices: Sequence[str] | Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean `{found[0]}`?" if found else ""
