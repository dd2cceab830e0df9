"""Pages of the public names, in the sections of `retrograd/__init__.pyi`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prose import code, link, markdown
from reference import REGISTRIES, Pages, place_of

import retrograd as rg

STUB = Path(rg.__file__).with_suffix(".pyi")
WIDTH = 88


def sections() -> dict[str, list[str]]:
    """Return the public names under the comments of the stub."""
    text = STUB.read_text(encoding="utf-8")
    heads = {i: line[2:] for i, line in enumerate(text.splitlines(), 1) if line.startswith("# ")}
    named: dict[str, list[str]] = {head: [] for head in heads.values()}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            above = max(line for line in heads if line < node.lineno)
            named[heads[above]] += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named[list(heads.values())[-1]].append(node.target.id)
    return named


def all_pages() -> Pages:
    """Return a page for each section, by its place."""
    pages = {}
    for head, names in sections().items():
        page = f"api/{slug(head)}.md"
        pages[page] = "\n\n".join([f"# {head[:1].upper()}{head[1:]}", *("\n\n".join(_entry(n, page)) for n in names)])
    return pages


def slug(head: str) -> str:
    """Return a heading as the name of a file."""
    return re.sub(r"[^a-z]+", "-", head.lower()).strip("-")


def _entry(name: str, page: str) -> Iterator[str]:
    value = getattr(rg, name)
    yield f"## rg.{name}"
    if name == "__version__":
        yield "The version, a text."
        return
    if callable(value):
        yield code(_signature(f"rg.{name}", value), "python")
    for registry in REGISTRIES:
        for key in registry:
            if registry[key] is value:
                yield f"In a configuration: {link(f'`{key}`', place_of(registry, key), page)}."
    yield markdown(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        yield from _members(name, value)
    elif inspect.ismodule(value):
        yield "Names: " + ", ".join(f"`{each}`" for each in value.__all__) + "."


def _members(owner: str, cls: type) -> Iterator[str]:
    """Yield the methods and properties that a class itself adds; those of NamedTuples and registered things aside."""
    for name, value in vars(cls).items():
        if name.startswith("_") or not (doc := inspect.getdoc(value)):
            continue
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            yield f"### {owner}.{name}\n\n{markdown(doc)}"
        elif isinstance(value, (classmethod, staticmethod)) or inspect.isfunction(value):
            yield f"### {owner}.{name}\n\n{code(_signature(name, getattr(cls, name)), 'python')}\n\n{markdown(doc)}"


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return f"{name}(...)"
    parts: list[str] = []
    for parameter in signature.parameters.values():
        star = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind == inspect.Parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        default = "" if parameter.default is inspect.Parameter.empty else f" = {_shown(parameter.default)}"
        annotation = "" if parameter.annotation is inspect.Parameter.empty else f": {_type(parameter.annotation)}"
        parts.append(f"{star}{parameter.name}{annotation}{default if annotation else default.replace(' ', '')}")
    back = "" if signature.return_annotation is inspect.Signature.empty else f" -> {_type(signature.return_annotation)}"
    line = f"{name}({', '.join(parts)}){back}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){back}"])


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _shown(default: Any) -> str:
    text = repr(default)
    return "..." if " at 0x" in text else text
