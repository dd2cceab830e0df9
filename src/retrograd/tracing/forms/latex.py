"""A traced step as a LaTeX document: every equation, and below it the same with its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from retrograd.tracing.document import Section, Sums, Table
from retrograd.tracing.forms.form import Form

PREAMBLE = (
    r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage[utf8]{inputenc}",
    r"\usepackage{amsmath,amssymb,booktabs}", r"\usepackage[margin=2cm]{geometry}", r"\setlength{\parindent}{0pt}",
    r"\begin{document}",
)  # fmt: skip
SPECIAL = {"[": "{[}", "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"} | {
    letter: "\\" + letter for letter in "&%$#_{}"
}
SIGNS = {
    "δ": r"\delta", "Δ": r"\Delta", "σ": r"\sigma", "Σ": r"\sum", "∂": r"\partial", "α": r"\alpha", "β": r"\beta",
    "γ": r"\gamma", "τ": r"\tau", "λ": r"\lambda", "ε": r"\varepsilon", "√": r"\surd", "·": r"\cdot", "*": r"\cdot",
    "⋆": r"\star", "∗": r"\ast", "→": r"\to", "←": r"\leftarrow", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "π": r"\pi",
    "²": "^2", "³": "^3", "ᵀ": r"^\top", "−": "-", "×": r"\times", "‖": r"\|", "₁": "_1", "₂": "_2", "ᵢ": "_i",
}  # fmt: skip
FUNCTIONS = ("exp", "log", "tanh", "max", "min", "sqrt", "erf", "sign", "clip", "softmax", "log1p", "abs")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_/]*(?:\[[^\]]*\])?'?")
MANY = 400  # characters of a sum that fit on a page


class Latex(Form):
    """A LaTeX document for pdflatex: every equation, and below it the same with its numbers."""

    def head(self, title: str, facts: Sequence[str]) -> Iterator[str]:
        """Yield the preamble, the title and the sentences below it."""
        yield from (*PREAMBLE, rf"\section*{{{text(title)}}}", *(text(fact) + r"\\" for fact in facts))

    def heading(self, name: str) -> Iterator[str]:
        """Yield the heading of a phase."""
        yield from ("", rf"\subsection*{{{name}}}")

    def stop(self, section: Section) -> Iterator[str]:
        """Yield what a section is about, and its formula."""
        about = f" ({text(section.about)})" if section.about else ""
        yield from ("", rf"\paragraph{{\texttt{{{text(section.title)}}}}}{about}")
        if section.latex or section.formula:
            yield rf"\[ {section.latex or formula(section.formula)} \]"

    def words(self, words: str) -> Iterator[str]:
        """Yield a sentence."""
        yield text(words) + r"\par"

    def table(self, block: Table) -> Iterator[str]:
        """Yield a table."""
        if block.title:
            yield from self.words(block.title)
        yield rf"\begin{{tabular}}{{l{'r' * (len(block.header) - 1)}}} \toprule"
        yield " & ".join(map(text, block.header)) + r" \\ \midrule"
        yield from (" & ".join(map(text, row)) + r" \\" for row in block.rows)
        yield r"\bottomrule \end{tabular}\par"

    def sums(self, block: Sums) -> Iterator[str]:
        """Yield numbers written out, one below the other."""
        mark = {"δ ": r"\delta\,", "dL/d ": r"\partial L / \partial\,"}.get(block.mark, formula(block.mark))
        yield r"\begin{align*}"
        for line in block.lines:
            value = self.f.number(line.value)
            right = r"\ldots" if len(line.text) > MANY else formula(line.text)
            right += "" if line.text == value else f" = {formula(value)}"
            yield rf"  {mark + formula(line.name)} &= {right} \\"
        yield r"\end{align*}"

    def points(self, remarks: Sequence[str]) -> Iterator[str]:
        """Yield what to notice."""
        yield from (r"\begin{itemize}", *(rf"\item {text(remark)}" for remark in remarks), r"\end{itemize}")

    def foot(self) -> Iterator[str]:
        """Yield the end of the document."""
        yield r"\end{document}"


def text(words: str) -> str:
    """Return a sentence with commands escaped and mathematical signs typeset."""
    return "".join(f"${SIGNS[letter]}$" if letter in SIGNS and letter != "*" else SPECIAL.get(letter, letter)
                   for letter in words)  # fmt: skip


def formula(line: str) -> str:
    """Return plain-text mathematics as LaTeX: names upright, products as dots, powers raised."""
    pieces, at = [], 0
    for word in WORD.finditer(line):
        pieces += [_signs(line[at : word.start()]), _name(word[0])]
        at = word.end()
    return "".join([*pieces, _signs(line[at:])])


def _signs(part: str) -> str:
    apart = part.replace("  ", "\t")  # two spaces separate a remark
    signs = "".join(f"{SIGNS[letter]} " if letter in SIGNS else SPECIAL.get(letter, letter) for letter in apart)
    return signs.replace(" ^", "^").replace("\t", r"\quad ")


def _name(word: str) -> str:
    name, _, index = word.partition("[")
    if name in FUNCTIONS:
        return rf"\operatorname{{{name}}}"
    upright = name if len(name) == 1 else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
    below = index.removesuffix("'").removesuffix("]")
    return upright + (f"_{{{below}}}" if below else "") + ("'" if word.endswith("'") else "")
