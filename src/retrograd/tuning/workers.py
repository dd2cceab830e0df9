"""Further processes that work on a study and end with the first one."""

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
    """Let further processes call `work_in` with this process's number and further arguments while the body runs.

    Each has its own session: Ctrl-C in a terminal reaches this process alone, which then asks them once to end.
    Asked twice, they would not save their state.
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
    """Let SIGTERM raise SystemExit in this process, and send it that signal once its parent has died."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=watch, daemon=True).start()
