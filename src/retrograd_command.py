"""Where the command `retrograd` begins: an interrupt while the program is still being loaded ends it without a word.

Outside the package, whose import takes as long as the interrupt of somebody who mistyped.
"""

import signal


def run() -> None:
    """Load the command line, run it, and leave with its exit code."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from retrograd.app.cli import main  # only now

    signal.signal(signal.SIGINT, handler)
    main.run()
