"""The command `retrograd`: finds the verb, and turns every failure into one clear message and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import Any

import click

from retrograd.base.errors import ResourceError, RetrogradError, RetrogradWarning, did_you_mean

VERBS = {
    "train": "train a network from a configuration, or from a table alone",
    "predict": "predict for new rows with a trained model",
    "evaluate": "measure a trained model on rows with targets",
    "runs": "list runs, show one, compare two",
    "schema": "print the JSON Schema of a configuration",
}
USAGE = 2
INTERNAL = 1
INTERRUPTED = 130
PIPE_CLOSED = 141


class Verbs(click.Group):
    """The verbs, each loaded only when it is called, so that help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of a user's way."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a verb."""
        if name not in VERBS:
            cure = did_you_mean(name, VERBS)
            raise click.UsageError(f"unknown command '{name}'; {cure}")
        command: click.Command = importlib.import_module(f"retrograd.app.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with a line each, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    no_args_is_help=False,
    epilog="retrograd VERB --help tells more. Begin with: retrograd train examples/xor.yaml",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@click.version_option(package_name="retrograd", message="retrograd %(version)s")
def cli() -> None:
    """Neural networks whose backward pass you can read, see, prove and repair."""


def run() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Return the exit code of one command line."""
    warnings.showwarning = show_warning
    warnings.simplefilter("ignore")
    warnings.simplefilter("default", RetrogradWarning)
    try:
        with cli.make_context("retrograd", arguments) as ctx:
            code = cli.invoke(ctx)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return say_usage(error)
    except (click.Abort, KeyboardInterrupt):
        return say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to say, and nobody to hear it
        return PIPE_CLOSED
    except RetrogradError as error:
        return say(str(error), error.exit_code)
    except Exception as error:
        return say_unexpected(error)


def say(message: str, code: int) -> int:
    """Print `error:` and the message to standard error; further problems stand on lines of their own."""
    first, *more = message.splitlines() or [""]
    shown = [*more[:19], f"... and {len(more) - 19} more"] if len(more) > 20 else more
    print("\n".join([f"error: {first}", *(f"       {line}" for line in shown)]), file=sys.stderr)
    return code


def say_usage(error: click.ClickException) -> int:
    """Tell what is wrong with a command line, and how it is used."""
    ctx = getattr(error, "ctx", None)
    usage = ctx.get_usage() if ctx else "Usage: retrograd VERB ..."
    if isinstance(error, click.exceptions.NoArgsIsHelpError) or error.format_message() == "Missing command.":
        return say(f"no verb given\n{usage}\nverbs: {', '.join(VERBS)}", USAGE)
    return say(f"{error.format_message()}\n{usage}", USAGE)


def say_unexpected(error: Exception) -> int:
    """Tell of running out of memory or disk as such; anything else is a fault of ours."""
    text = str(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "Out of memory" in text:
        needed = text.splitlines()[0] if text else "an array does not fit"
        return say(f"out of memory: {needed}; lower training.batch_size or the units", ResourceError.exit_code)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return say(f"{place}{error.strerror or text}", ResourceError.exit_code)
    if os.environ.get("RETROGRAD_TRACEBACK"):
        raise error
    cure = "RETROGRAD_TRACEBACK=1 shows where; please report it"
    return say(f"internal error: {type(error).__name__}: {text.splitlines()[0] if text else ''}; {cure}", INTERNAL)


def show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning as one line to standard error."""
    print(f"warning: {message}", file=sys.stderr)
