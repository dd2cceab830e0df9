"""Additional processes that work on a study and end with the first one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

WORKER = "from retrograd.tuning.study import work_in; import sys; work_in(sys.argv[1:])"
LOOK = 0.5  # seconds between two checks that the parent is alive


@contextlib.contextmanager
def helpers(count: int, *arguments: str) -> Iterator[None]:
    """While the body runs, let `count` processes call `work_in` with the id of this process and these arguments.

    Each has its own session: Ctrl-C in a terminal reaches only this process, which then asks them once to end. If asked
    twice, they would not save their state.
    """
    command = [sys.executable, "-c", WORKER, str(os.getpid()), *arguments]
    processes = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.wait()


def end_with(parent: int) -> None:
    """Make SIGTERM raise SystemExit in this process, and send it that signal when its parent has died."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=watch, daemon=True).start()
