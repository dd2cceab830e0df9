"""The JSON Schema of settings, from the annotations that also validate them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any

from retrograd.base.annotations import Custom, Registered, options, unwrap
from retrograd.base.registry import Registry
from retrograd.base.schema import adapter, fields, settings_class


def json_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema of a Settings class; its registries become references into `$defs`."""
    properties = {}
    for field in fields(cls):
        properties[field.name] = field_schema(field.annotation)
        if field.default is not MISSING and isinstance(field.default, (bool, int, float, str)):
            properties[field.name] = {**properties[field.name], "default": field.default}
    required = [field.name for field in fields(cls) if field.default is MISSING]
    text = (cls.__doc__ or "").strip().splitlines()
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return {"description": text[0], **schema} if text else schema


def registry_schema(registry: Registry[Any], only: type | None = None) -> dict[str, Any]:
    """Return a reference into `$defs` for a registry, or for its entries of one class."""
    return {"$ref": f"#/$defs/{(only.__name__.lower() if only else registry.kind).replace(' ', '_')}"}


def registry_definition(registry: Registry[Any], only: type | None = None) -> dict[str, Any]:
    """Return the schema of a registry's entries: a name alone, or a mapping with one name."""
    return {"anyOf": registry_choices(registry, only)}


def registry_choices(
    registry: Registry[Any], only: type | None = None, common: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the alternative forms of an entry; `common` are keys allowed next to the name."""
    bare = [name for name in registry.fitting(only) if not _needed(registry[name])]
    choices: list[dict[str, Any]] = [{"enum": bare}] if bare else []
    for name in registry.fitting(only):
        properties = {name: {"anyOf": settings_choices(registry[name])}, **(common or {})}
        choices.append({"type": "object", "properties": properties, "required": [name], "additionalProperties": False})
    return choices


def settings_choices(cls: type) -> list[dict[str, Any]]:
    """Return the forms of settings: a mapping, just the value of the first field, or nothing."""
    first, needed = fields(cls)[:1], _needed(cls)
    bare = [field_schema(field.annotation) for field in first if needed <= {field.name}]
    alone = [
        {"allOf": [schema], "not": {"type": "object"}} for schema in bare
    ]  # a mapping is always a mapping of settings
    return [json_schema(cls), *alone, *([] if needed else [{"type": "null"}])]


def _needed(cls: type) -> set[str]:
    return {field.name for field in fields(cls) if field.default is MISSING}


def field_schema(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema of one field."""
    base, marks = unwrap(annotation)
    for mark in marks:
        if isinstance(mark, Custom):
            return mark.schema()
        if isinstance(mark, Registered):
            choices = [registry_schema(mark.registry, mark.only)]
            choices += [field_schema(mark.otherwise)] if mark.otherwise is not None else []
            choices += [{"type": "null"}] if (type(None) in options(base)) else []
            return choices[0] if len(choices) == 1 else {"anyOf": choices}
    nested = settings_class(base)
    if nested is not None:
        return {"anyOf": settings_choices(nested) + ([{"type": "null"}] if type(None) in options(base) else [])}
    return adapter(annotation).json_schema()
