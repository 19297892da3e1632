"""What the recipe says of itself: the commented YAML, the table for the documentation, the JSON schema."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

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


def commented_yaml(recipe: Recipe) -> str:
    """A whole recipe as YAML, each field under its description."""
    lines: list[str] = []
    for name, field in Recipe.model_fields.items():
        section = getattr(recipe, name)
        lines += [f"# {field.description}", f"{name}:"]
        for inner, info in type(section).model_fields.items():
            value = getattr(section, inner)
            plain = value.model_dump() if isinstance(value, BaseModel) else value
            lines.append(f"  # {info.description}")
            lines += [f"  {line}" for line in format_yaml({inner: plain}).splitlines()]
        lines.append("")
    return "\n".join(lines)


def markdown_table() -> str:
    """Every field as a row of a Markdown table."""
    rows = [f"| `{path}` | {_kind(info)} | {info.description} |" for path, info in _walk(Recipe, ())]
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
    kinds = [each for each in (get_args(info.annotation) or (info.annotation,)) if each is not type(None)]
    if get_origin(info.annotation) is Literal:
        said = " or ".join(f"`{each}`" for each in kinds)
    else:
        said = " or ".join(
            " or ".join(f"`{each}`" for each in get_args(kind))
            if get_origin(kind) is Literal
            else {"str": "text", "int": "whole number", "float": "number", "bool": "true, false"}.get(
                getattr(kind, "__name__", str(kind)), "section"
            )
            for kind in kinds
        )
    bounds = ", ".join(_bound(each) for each in info.metadata if _bound(each))
    default = "" if info.is_required() or info.default is None else f"; default `{info.default}`"
    return said + (f", {bounds}" if bounds else "") + default


def _bound(constraint: object) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}
    found = [f"{sign} {getattr(constraint, name)}" for name, sign in signs.items() if hasattr(constraint, name)]
    return " ".join(found)
