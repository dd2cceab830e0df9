"""What mkdocs asks for: the pages that are made from the program, and the order of all of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import pages


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and list all of them."""
    made = pages.all_pages()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text + "\n"))
    config.nav = pages.navigation(made)
    return files
