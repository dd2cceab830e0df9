"""The files of the page, read once at startup, so that no request ever names a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from retrograd.present.theme import CSS

FOLDER = Path(__file__).parent / "page"
STEP = Path(__file__).parent.parent / "tracing" / "forms"  # steps are drawn as on their own page
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """The content of a file, and its media type."""

    content: bytes
    kind: str


def read_assets() -> dict[str, Asset]:
    """Return the files by the path under which the browser requests them."""
    assets = {
        f"/{path.name}": Asset(path.read_bytes(), KINDS[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in KINDS
    }
    style = (STEP / "page.css").read_bytes().replace(b".units ", b":scope.units ")  # its root has that class
    assets["/step.css"] = Asset(
        b"@scope (.trace) {\n" + style + b"}\n", KINDS[".css"]
    )  # otherwise it would style the rest
    assets["/step-view.js"] = Asset((STEP / "page.js").read_bytes(), KINDS[".js"])
    return {"/": assets.pop("/index.html"), "/theme.css": Asset(CSS.encode(), KINDS[".css"]), **assets}


ASSETS = read_assets()
