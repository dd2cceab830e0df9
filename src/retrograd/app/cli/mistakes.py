"""Mistakes in the arguments of a command, in the words of this program's other errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import typer

from retrograd.base.errors import did_you_mean

PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"Got unexpected extra argument\(s\) \((.*)\)", lambda found: f"unexpected argument '{found[1]}'"),
    (r"Option '(.*)' requires an argument\.", lambda found: f"{found[1]}: expected a value"),
    (r"Option '(.*)' does not take a value\.", lambda found: f"{found[1]}: expected no value"),
    (r"'(.*)' is not one of (.*)\.", lambda found: f"expected one of {found[2]}, found '{found[1]}'"),
)


def mistake(error: typer.TyperException) -> str:
    """Return the message for wrong arguments of a command, with its usage line."""
    context: Any = getattr(error, "ctx", None)
    usage = f"\n{' '.join(context.get_usage().split())}" if context else ""
    return _message(error, context) + usage


def _message(error: Any, context: Any) -> str:
    text = str(getattr(error, "message", "") or "").removeprefix("Value error, ")
    if type(error).__name__ == "NoSuchOption":
        known = [name for param in context.command.get_params(context) for name in param.opts] if context else []
        return f"unknown option '{error.option_name}'; {_near(error.option_name, known, context)}"
    if type(error).__name__ == "MissingParameter":
        return f"missing {error.param.param_type_name} '{_name(error.param)}'"
    if found := re.match(r"No such command '(.*?)'\.", text):
        return f"unknown command '{found[1]}'; {did_you_mean(found[1], context.command.commands)}"
    for pattern, words in PATTERNS:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            text = words(found)
            break
    param = getattr(error, "param", None)
    return f"{_name(param)}: {text}" if param else text or error.format_message()


def _name(param: Any) -> str:
    return str(param.opts[-1] if param.param_type_name == "option" else param.metavar or param.name.upper())


def _near(option: str, known: list[str], context: Any) -> str:
    """Return the option that may be meant, else where all are listed."""
    words = did_you_mean(option, known)
    return words if words.startswith("did you") else f"see: {context.info_name} --help"
