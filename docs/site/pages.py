"""All pages that are made, and the order of the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import api
import reference

ROOT = Path(__file__).parents[2]
GUIDES = [
    "studio.md",
    "resume.md",
    "distributed.md",
    "large-data.md",
    "export.md",
    "edge.md",
    "prune.md",
    "pretrained.md",
    "coming-from.md",
    "add-a-layer.md",
    "add-an-optimizer.md",
    "style.md",
]
OUTSIDE = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#)([^)]+)\)")


def all_pages() -> reference.Pages:
    """Return the pages by their place in the site."""
    return {"index.md": home(), **reference.all_pages(), **api.all_pages()}


def navigation(pages: reference.Pages) -> list[Any]:
    """Return the order of the site."""

    def folder(name: str) -> list[Any]:
        inside = [place for place in sorted(pages) if place.startswith(f"{name}/") and Path(place).stem != "index"]
        return [f"{name}/index.md", *({Path(place).stem: place} for place in inside)]

    groups = [{group or "configuration": reference.place_of_group(group)} for group in reference.groups()]
    things = [{name.capitalize(): folder(name)} for name in reference.FOLDERS.values()]
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    return [
        {"Home": "index.md"},
        {"Guides": GUIDES},
        {"Concepts": folder("concepts")},
        {"Reference": [{"Settings": groups}, *things]},
        {"Python": [{head[:1].upper() + head[1:]: f"api/{api.slug(head)}.md"} for head in api.sections()]},
        {"Words": ["glossary.md", "chinese.md"]},
        {"Decisions": ["decisions/README.md", *(f"decisions/{name}" for name in decisions)]},
    ]


def home() -> str:
    """Return the README; what it links to outside `docs` is named, not linked."""

    def inside(match: re.Match[str]) -> str:
        mark, text, place = match.groups()
        if place == "docs/decisions":
            place += "/README.md"
        return f"{mark}[{text}]({place[5:]})" if place.startswith("docs/") and place.endswith((".md", ".svg")) else text

    return OUTSIDE.sub(inside, (ROOT / "README.md").read_text(encoding="utf-8"))
