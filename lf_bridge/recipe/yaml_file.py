"""The only reader and writer of YAML: strict, with the line of every field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lf_bridge.errors import Fault, LfbError
from lf_bridge.workspace import write_atomic

FieldPath = tuple[str, ...]


@dataclass(frozen=True)
class YamlFile:
    """A YAML mapping and, for every field path in it, where it stands (``file:line``)."""

    path: Path
    values: dict[str, Any]
    places: Mapping[FieldPath, str]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-4`` as text and ``off`` as false; here they are the number and the word that they are in
    YAML 1.2 (core schema, 10.3.2)."""


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> YamlFile:
    """Read a file that holds one mapping; raises ``LfbError`` with the line for anything else or a repeated field."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LfbError(f"there is no file {path}", hint="`lfb recipe list` names the recipes that are here") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LfbError(f"{path} cannot be read as UTF-8 text", hint="give a YAML file") from error
    try:
        node = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "file"
        problem = str(getattr(error, "problem", None) or "not YAML")
        raise LfbError(f"{path} is not valid YAML", faults=[Fault(where, problem)], hint="mend that line") from error
    if node is None or not isinstance(values, dict):
        raise LfbError(f"{path} holds no sections", hint="a recipe begins with a section such as `model:`")
    places: dict[FieldPath, str] = {}
    faults: list[Fault] = []
    _place(node, (), path, places, faults)
    if faults:
        raise LfbError(
            f"{path} has {len(faults)} fault{'s' * (len(faults) > 1)}", faults=faults, hint="mend these lines"
        )
    return YamlFile(path, values, places)


def read_value(text: str) -> Any:
    """One value as it would be read from a YAML file, for ``--set``."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text


def format_yaml(values: Mapping[str, Any]) -> str:
    """A mapping as YAML text, fields in their order."""
    return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=110))


def write_yaml(path: Path, values: Mapping[str, Any], *, opening: str = "") -> None:
    """Write a mapping as YAML, ASCII only: LLaMA-Factory opens its files in the platform's encoding."""
    text = opening + str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=False, width=110))
    write_atomic(path, text.encode("ascii"), mode=0o600)


def _place(node: yaml.Node, path: FieldPath, file: Path, places: dict[FieldPath, str], faults: list[Fault]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        line = key.start_mark.line + 1
        if here in places:
            faults.append(Fault(f"{'.'.join(here)} (line {line})", f"given twice; first at {places[here]}"))
        places[here] = f"{file.name}:{line}"
        _place(value, here, file, places, faults)
