"""The `retrograd` command: runs a verb, and turns every failure into one clear message and an exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
import os
import signal
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import typer

from retrograd.app.cli.mistakes import mistake
from retrograd.app.cli.streams import SAVING, Streams, labelled
from retrograd.base.errors import (
    INTERNAL,
    INTERRUPTED,
    ResourceError,
    RetrogradError,
    RetrogradWarning,
    UsageError,
    did_you_mean,
)
from retrograd.base.plain_text import plain_streams

VERBS = {
    "train": "train a network from a configuration or just a table",
    "launch": "train in several processes, on one machine",
    "trace": "show every number of one training step",
    "diagnose": "report whether a network learns, and if not, why",
    "repair": "try remedies and keep those that improve the score",
    "tune": "find the best learning rate or other settings",
    "compare-optimizers": "train the same network with each optimizer at its own rate",
    "predict": "predict for new rows with a trained model",
    "generate": "generate text with a trained model",
    "import": "write the configuration of a pretrained model",
    "export": "write a trained model as ONNX, C or a Hugging Face folder",
    "prune": "remove units, channels and heads from a trained model",
    "quantize": "write a trained model as ONNX with 8-bit weights",
    "evaluate": "measure a trained model on rows with known targets",
    "studio": "open the page to build, watch, inspect and repair networks",
    "runs": "list, show, report on and compare runs",
    "explain": "explain a configuration, a layer, a finding or a concept",
    "check": "check the gradients of each layer numerically",
    "cache": "show or clear cached compiled programs and tables",
    "schema": "print the JSON Schema of configurations",
}
BELOW = {"runs": ("list", "show", "report", "compare")}  # commands of a verb; importing it would take too long
PROGRAM = "retrograd"
PIPE_CLOSED = 141
MOST_LINES = 6  # of an error message; a screenful of problems helps nobody


def run() -> None:
    """Run the command line and leave with its exit code."""
    streams = Streams()
    streams.install()
    code = main(sys.argv[1:], streams)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to save
    gc.freeze()  # keeps the garbage collector from visiting all imported objects at exit
    sys.exit(code)


def main(arguments: list[str], streams: Streams | None = None) -> int:
    """Run one command line and return its exit code.

    A verb that saves its results continues even if its output can no longer be written; the exit code reports that.
    """
    if streams is not None:
        streams.out.patient = bool(arguments) and arguments[0] in SAVING
    with plain_streams(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", RetrogradWarning)
        warnings.showwarning = show_warning
        try:
            code = obey(arguments)
            if streams is not None and (failure := streams.failure()):
                return code or unheard(failure)
            sys.stdout.flush()
            return code
        except (Exception, KeyboardInterrupt) as error:
            if streams is not None and error is streams.out.failure:
                return unheard(error)
            if streams is None and isinstance(error, BrokenPipeError):
                return PIPE_CLOSED
            if os.environ.get("RETROGRAD_TRACEBACK"):
                traceback.print_exc()
            return say(*told(error))


def unheard(failure: OSError) -> int:
    """Report that standard output could not be written, unless the reader closed the pipe; return the exit code."""
    if isinstance(failure, BrokenPipeError):
        return PIPE_CLOSED
    return say(f"standard output: {failure.strerror}", ResourceError.exit_code)


def obey(arguments: list[str]) -> int:
    """Import and run one verb, and return its exit code. Importing this late keeps `--help` fast."""
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help"):
        print(overview())
    elif first == "--version":
        print(f"{PROGRAM} {importlib.metadata.version(PROGRAM)}")
        if "--verbose" in arguments:
            print(importlib.import_module("retrograd.app.cli.version").details())
    elif first not in VERBS:
        raise unknown(first)
    else:
        command = imported(f"retrograd.app.cli.verbs.{first.replace('-', '_')}").command
        try:
            with command.make_context(f"{PROGRAM} {first}", arguments[1:]) as ctx:
                code = command.invoke(ctx)
        except typer.Exit as stop:  # for example after --help
            code = stop.exit_code
        return code if isinstance(code, int) else 0
    return 0


def imported(name: str) -> Any:
    """Import a module with the garbage collector off.

    The import creates a million objects; scanning them a dozen times would take a fifth of the import time.
    """
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        with interrupts_waiting():
            module = importlib.import_module(name)
        gc.freeze()
    finally:
        gc.enable()
    return module


@contextlib.contextmanager
def interrupts_waiting() -> Iterator[None]:
    """Delay an interrupt until the import has finished: inside a C extension it would surface as another error."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if interrupts:
        raise KeyboardInterrupt


def overview() -> str:
    """Return the help of the command itself: its purpose, and one line per verb."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb.ljust(width)}  {words}" for verb, words in VERBS.items())
    return f"""\
usage: {PROGRAM} COMMAND ...      {PROGRAM} COMMAND --help for details

Neural networks whose backward pass you can read, see, prove and repair.

{verbs}

--json prints one JSON document to standard output and nothing else; messages go
to standard error. --layers FILE.py loads your own layers.

Try first:  {PROGRAM} train examples/xor.yaml"""


def unknown(word: str) -> UsageError:
    """Return the error for a command line without a known command."""
    first = "commands: "
    commands = textwrap.fill(
        ", ".join(VERBS), 72, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )
    usage = f"usage: {PROGRAM} COMMAND ...\n{commands}"
    if not word:
        return UsageError(f"no command given\n{usage}")
    if word.startswith("-"):
        return UsageError(f"unknown option '{word}'\n{usage}")
    below = [f"{verb} {name}" for verb, names in BELOW.items() for name in names if word == name]
    near = did_you_mean(word, VERBS)
    if below:
        near = f"did you mean '{below[0]}'?"
    return UsageError(f"unknown command '{word}'{f'; {near}' if near.startswith('did you') else ''}\n{usage}")


def told(error: BaseException) -> tuple[str, int]:
    """Return the message for a failure and its exit code; anything unexpected is an internal error."""
    if isinstance(error, RetrogradError):
        return str(error), error.exit_code
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted", INTERRUPTED
    if isinstance(error, typer.TyperException):  # wrong options of a verb
        return mistake(error), UsageError.exit_code
    text = str(error).partition("\n")[0]
    if isinstance(error, MemoryError):
        return f"out of memory: {text or 'an array does not fit'}", ResourceError.exit_code
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or text}", ResourceError.exit_code
    return f"internal error: {type(error).__name__}: {text}; RETROGRAD_TRACEBACK=1 shows where", INTERNAL


def say(message: str, code: int) -> int:
    """Print `error:` and the message to standard error, one line per problem; a terminal gets its lines wrapped."""
    first, *more = message.splitlines() or [""]
    if len(more) >= MOST_LINES:
        more = [*more[: MOST_LINES - 2], f"... and {len(more) - MOST_LINES + 2} more"]
    print(labelled("error: ", first), file=sys.stderr)
    for line in more:
        print(labelled(" " * len("error: "), line), file=sys.stderr)
    return code


def show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning as one line to standard error."""
    print(labelled("warning: ", str(message)), file=sys.stderr)
