"""The colours of pages and figures, from one stylesheet: forward green, backward red, update violet, loss amber."""

from __future__ import annotations

import re
from pathlib import Path

CSS = Path(__file__).with_name("theme.css").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", CSS.partition("@media")[0]))  # on light paper
