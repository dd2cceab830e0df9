"""The help of commands: lower case like the overview, without Python's names of types."""

from __future__ import annotations

from typing import Any

import typer

TYPES = {"<path>": "PATH", "<str>": "NAME", "<int>": "N", "<float>": "X"}  # of options without a metavar
PREFIX = "usage: "


class _Layout:
    """What commands and groups of commands have in common."""

    def collect_usage_pieces(self, context: Any) -> list[str]:
        """Return the pieces of the usage line: `[options] --keep SHARE RUN [TEXT]`."""
        params = _params(self, context)
        arguments = [param for param in params if param.param_type_name == "argument"]
        pieces = [f"{param.opts[0]} {_named(param)}" for param in params if param.required and param not in arguments]
        pieces += [_named(param) if param.required else f"[{_named(param)}]" for param in arguments]
        more = ["COMMAND ..."] if isinstance(self, typer.core.TyperGroup) else []
        return ["[options]", *pieces, *more]

    def format_usage(self, context: Any, formatter: Any) -> None:
        """Write the usage line."""
        formatter.write_usage(context.command_path, " ".join(self.collect_usage_pieces(context)), PREFIX)

    def format_options(self, context: Any, formatter: Any) -> None:
        """Write the arguments, the options and, for a group, its commands."""
        params = _params(self, context)
        arguments = [(_named(param), param.help or "") for param in params if param.param_type_name == "argument"]
        options = [_option(param, context) for param in params if param.param_type_name == "option"]
        commands: list[tuple[str, str]] = []
        if isinstance(self, typer.core.TyperGroup):
            commands = [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]
        for title, rows in (("arguments", arguments), ("options", options), ("commands", commands)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Command(_Layout, typer.core.TyperCommand):
    """A command with the layout of this program's help."""


class Group(_Layout, typer.core.TyperGroup):
    """A command with commands of its own, with the layout of this program's help."""


def _params(command: Any, context: Any) -> list[Any]:
    params: list[Any] = command.get_params(context)
    for param in params:
        if "--help" in param.opts:
            param.help = "show this message and exit"
    return params


def _named(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _option(option: Any, context: Any) -> tuple[str, str]:
    name, words = option.get_help_record(context)
    for kind, metavar in TYPES.items():
        name = name.replace(kind, metavar)
    return name.replace("<", "").replace(">", ""), words
