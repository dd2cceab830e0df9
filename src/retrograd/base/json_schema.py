"""The JSON Schema of settings, from the same annotations that check them."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from retrograd.base.annotations import Custom, Registered, options, unwrap
from retrograd.base.registry import Registry
from retrograd.base.schema import adapter, fields, settings_class


def json_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema of a Settings class; registries become `oneOf` of their names and mappings."""
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


def registry_schema(registry: Registry[Any]) -> dict[str, Any]:
    """Return a reference into `$defs` for one registry (see `registry_definitions`)."""
    return {"$ref": f"#/$defs/{registry.kind.replace(' ', '_')}"}


def registry_definition(registry: Registry[Any]) -> dict[str, Any]:
    """Return the schema of anything that a registry names: a name alone, or a mapping of one name."""
    bare = [n for n in registry if all(f.default is not MISSING for f in fields(registry[n]))]
    choices: list[dict[str, Any]] = [{"enum": bare}] if bare else []
    for name in registry:
        cls = registry[name]
        first = fields(cls)[:1]
        inner = [json_schema(cls), *(field_schema(field.annotation) for field in first)]
        properties = {name: {"anyOf": inner}}
        choices.append({"type": "object", "properties": properties, "required": [name]})
    return {"anyOf": choices}


def field_schema(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema of one field."""
    base, marks = unwrap(annotation)
    for mark in marks:
        if isinstance(mark, Custom):
            return mark.schema()
        if isinstance(mark, Registered):
            choices = [registry_schema(mark.registry)]
            choices += [field_schema(mark.otherwise)] if mark.otherwise is not None else []
            choices += [{"type": "null"}] if (type(None) in options(base)) else []
            return choices[0] if len(choices) == 1 else {"anyOf": choices}
    nested = settings_class(base)
    if nested is not None:
        inner = [json_schema(nested), *(field_schema(f.annotation) for f in fields(nested)[:1])]
        return {"anyOf": [*inner, {"type": "null"}] if (type(None) in options(base)) else inner}
    return adapter(annotation).json_schema()
