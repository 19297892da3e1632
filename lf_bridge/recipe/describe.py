"""What recipe and settings say of themselves: commented YAML, tables for the documentation, the JSON schema."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lf_bridge.errors import LfbError
from lf_bridge.recipe.load import section_of
from lf_bridge.recipe.model import Recipe
from lf_bridge.recipe.yaml_file import format_yaml


def explain(field: str) -> str:
    """A field or section in words: meaning, choices, default. Raises ``LfbError`` for an unknown one."""
    rows = dict(_walk(Recipe, ()))
    chosen = {path: info for path, info in rows.items() if path == field or path.startswith(f"{field}.")}
    if not chosen:
        close = difflib.get_close_matches(field, rows, n=1, cutoff=0.4)
        raise LfbError(
            f"there is no field `{field}`" + (f"; did you mean `{close[0]}`?" if close else ""),
            hint="`lfb recipe schema` prints them all",
        )
    return "\n".join(f"{path}\n  {info.description}\n  {_kind(info)}" for path, info in chosen.items())


def json_schema() -> dict[str, Any]:
    """The JSON schema of a recipe file, for editors."""
    return Recipe.model_json_schema()


def commented_yaml(whole: BaseModel) -> str:
    """A whole recipe, or ``prepare.yaml``, as YAML, each field under its description; it holds sections only."""
    lines: list[str] = []
    for name, field in type(whole).model_fields.items():
        section = getattr(whole, name)
        lines += [f"# {field.description}", f"{name}:"]
        for inner, info in type(section).model_fields.items():
            value = getattr(section, inner)
            plain = value.model_dump() if isinstance(value, BaseModel) else value
            lines.append(f"  # {info.description}")
            lines += [f"  {line}" for line in format_yaml({inner: plain}).splitlines()]
        lines.append("")
    return "\n".join(lines)


def markdown_table(model: type[BaseModel] = Recipe) -> str:
    """Every field as a row of a Markdown table."""
    rows = [f"| `{path}` | {_kind(info)} | {info.description} |" for path, info in _walk(model, ())]
    return "\n".join(["| field | value | meaning |", "|---|---|---|", *rows])


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        here = (*path, name)
        section = section_of(model, name)
        if section is not None and not path:
            yield from _walk(section, here)
        else:
            yield ".".join(here), info
            if section is not None:
                yield from _walk(section, here)


def _kind(info: FieldInfo) -> str:
    said, constraints = _words_of(info.annotation)
    bounds = ", ".join(filter(None, map(_bound, (*info.metadata, *constraints))))
    default = "" if info.is_required() or info.default is None else f"; default `{_shown(info.default)}`"
    return said + (f", {bounds}" if bounds else "") + default


def _shown(default: Any) -> str:
    """A default as YAML takes it, on one line."""
    if isinstance(default, str):
        return default.replace("\n", "\\n")
    return json.dumps(default, ensure_ascii=False) if isinstance(default, (bool, tuple)) else str(default)


def _words_of(kind: Any) -> tuple[str, tuple[Any, ...]]:
    """A type in words, and the constraints that are attached to it: ``Annotated[int, Field(ge=1)] | None``."""
    names = {str: "text", int: "whole number", float: "number", bool: "true, false"}
    if get_origin(kind) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(kind)), ()
    if get_origin(kind) is Annotated:
        inner, *attached = get_args(kind)
        return _words_of(inner)[0], tuple(each for one in attached for each in getattr(one, "metadata", (one,)))
    if get_origin(kind) is tuple:
        return "list", ()
    if get_args(kind):
        parts = [_words_of(each) for each in get_args(kind) if each is not type(None)]
        return " or ".join(said for said, _ in parts), tuple(each for _, some in parts for each in some)
    return names.get(kind, "section"), ()


def _bound(constraint: object) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}
    found = [f"{sign} {getattr(constraint, name)}" for name, sign in signs.items() if hasattr(constraint, name)]
    return " ".join(found)
