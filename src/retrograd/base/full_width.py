"""Characters that look like YAML's punctuation but are not: full-width forms, Chinese quotes, unusual spaces."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_SAME = {
    "，": ",", "、": ",", "：": ":", "；": ";", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "「": '"', "」": '"',
    "【": "[", "】": "]", "–": "-", "—": "-", "−": "-", "\u00a0": " ", "\u3000": " ", "\u2009": " ", "\u202f": " ",
    "\u200b": "nothing", "\ufeff": "nothing", "\u2028": "a line break", "\t": " ",
}  # fmt: skip
_SAME |= {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # the full-width forms of ASCII
_ODD = re.compile("[" + "".join(map(re.escape, _SAME)) + "]")
_QUOTED = re.compile(
    r"""\"(?:[^"\\]|\\.)*\"|'(?:[^']|'')*'|(?:^|\s)#.*"""
)  # quoted text and comments may contain any character


class Odd(NamedTuple):
    """A look-alike character, its line and column (both from 1), and the character to write instead."""

    line: int
    column: int
    character: str
    instead: str

    def __str__(self) -> str:
        name = unicodedata.name(self.character, "TAB").lower()
        shown = f"'{self.character}' ({name})" if self.character.isprintable() else f"a {name}"
        write = {" ": "a space", "nothing": "nothing"}.get(self.instead, self.instead)
        write = f"'{write}'" if write == self.instead and len(write) == 1 else write
        return f"line {self.line}, column {self.column} contains {shown}: write {write}"


def odd_characters(text: str) -> dict[int, Odd]:
    """Return the first look-alike of each line, outside quotes and comments, by line number."""
    characters = {}
    for number, line in enumerate(text.split("\n"), start=1):
        bare = _QUOTED.sub(lambda match: "x" * len(match.group()), line)
        if odd := _ODD.search(bare):
            characters[number] = Odd(number, odd.start() + 1, odd.group(), _SAME[odd.group()])
    return characters
