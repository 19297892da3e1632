"""From a recipe file to a checked ``Recipe``: what it extends, what the command line sets, every fault at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lf_bridge.errors import Fault, LfbError, MisuseError
from lf_bridge.recipe.model import Recipe
from lf_bridge.recipe.yaml_file import FieldPath, read_value, read_yaml

SHELF = "recipes"
Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, its name (the file's, without ending) and where it was read from."""

    recipe: Recipe
    name: str
    path: Path

    def base_recipe(self) -> Path | None:
        """The recipe file whose result is this recipe's base, where it is one."""
        base = self.recipe.model.base
        if base is None or not base.endswith((".yaml", ".yml")):
            return None
        return (self.path.parent / base).resolve()


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read, merge and check a recipe.

    ``extends`` names one other recipe, relative to the file: mappings merge deeply, lists are replaced.
    ``overrides`` are ``section.field=value``. Raises ``LfbError`` naming every fault with field and line.
    """
    values, places = _read(path, ())
    for override in overrides:
        field, separator, text = override.partition("=")
        parts = tuple(field.strip().split("."))
        if not separator or not all(parts) or len(parts) < 2:
            raise MisuseError(
                f"`--set {override}` is not `section.field=value`", hint="for example `--set train.learning_rate=5e-5`"
            )
        values = _merge(values, _nested(parts, text if _is_text(parts) else read_value(text)))
        places[parts] = "--set"
    return LoadedRecipe(_check(Recipe, values, places, path), path.stem, path)


def load_settings(path: Path, model: type[Settings]) -> Settings:
    """Read and check ``prepare.yaml`` or a mapping; raises ``LfbError`` naming every fault with field and line."""
    if not path.is_file():
        raise LfbError(
            f"there is no file {path}",
            hint="`lfb recipe settings` prints a prepare.yaml, `lfb inspect PATH --write-mapping FILE` a mapping",
        )
    file = read_yaml(path)
    return _check(model, file.values, file.places, path)


def _check(model: type[Settings], values: Mapping[str, Any], places: Mapping[FieldPath, str], path: Path) -> Settings:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [_fault(detail, values, places, model) for detail in error.errors()]
        hint = f"`lfb recipe schema {_first_field(error)}` explains the choices"
        raise LfbError(
            f"{path} has {len(faults)} fault{'s' * (len(faults) > 1)}",
            faults=faults,
            hint=hint if model is Recipe else "docs/prepare.md explains the choices",
        ) from error


def list_recipes(root: Path) -> list[Path]:
    """The recipe files on the workspace's shelf."""
    return sorted((root / SHELF).glob("*.yaml"))


def _read(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], dict[FieldPath, str]]:
    if path.resolve() in seen:
        raise LfbError(
            f"{path} extends itself, by way of {' -> '.join(each.name for each in seen)}",
            hint="take the `extends:` line out of one of them",
        )
    file = read_yaml(path)
    values, places = dict(file.values), dict(file.places)
    other = values.pop("extends", None)
    if other is None:
        return values, places
    if not isinstance(other, str):
        raise LfbError(
            f"{path} has 1 fault",
            faults=[Fault(f"extends ({places[('extends',)]})", "must name one recipe file")],
            hint="for example `extends: cs_rank8.yaml`",
        )
    below, below_places = _read(path.parent / other, (*seen, path.resolve()))
    return _merge(below, values), {**below_places, **places}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _nested(parts: FieldPath, value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return dict(value)


def _is_text(path: FieldPath) -> bool:
    """Whether a field takes text: then it is taken as typed, since YAML would cut it at ` #`."""
    section = section_of(Recipe, path[0])
    field = section.model_fields.get(path[1]) if section and len(path) == 2 else None
    return field is not None and field.annotation in (str, str | None)


def _fault(
    detail: ErrorDetails, values: Mapping[str, Any], places: Mapping[FieldPath, str], model: type[BaseModel]
) -> Fault:
    path = tuple(str(part) for part in detail["loc"])
    place = places.get(path)
    where = ".".join(path) or "recipe"
    return Fault(f"{where} ({place})" if place else where, _problem(detail, path, _written(values, path), model))


def _written(values: Any, path: FieldPath) -> Any:
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _problem(detail: ErrorDetails, path: FieldPath, given: Any, model: type[BaseModel]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            close = difflib.get_close_matches(path[-1], _fields(path[:-1], model), n=1)
            return f"unknown field; did you mean `{close[0]}`?" if close else "unknown field"
        case "literal_error":
            choices = str(detail["ctx"]["expected"]).replace("'", "`").replace(" or ", ", ")
            return f"`{given}` is not one of {choices}"
        case "missing":
            return "missing"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "float_type" | "int_type" | "bool_type" | "string_type":
            kind = {"float": "a number", "int": "a whole number", "bool": "true or false", "string": "text"}
            return f"`{given}` is not {kind[detail['type'].removesuffix('_type')]}"
    problem = detail["msg"].removeprefix("Input ")
    return f"`{given}` {problem}"


def _fields(path: FieldPath, model: type[BaseModel]) -> list[str]:
    for part in path:
        found = section_of(model, part)
        if found is None:
            return []
        model = found
    return list(model.model_fields)


def section_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The section class behind a field, where the field is a section."""
    field = model.model_fields.get(name)
    for kind in () if field is None else (field.annotation, *getattr(field.annotation, "__args__", ())):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _first_field(error: ValidationError) -> str:
    path = tuple(str(part) for part in error.errors()[0]["loc"])
    while path and path[-1] not in _fields(path[:-1], Recipe):
        path = path[:-1]
    return ".".join(path) or "model"
