"""The writer of a new or resumed run: the only process that may write to its folder."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

from retrograd.base.errors import ResourceError, RetrogradError, RetrogradWarning, UsageError
from retrograd.record.aside import MARK, forget, has_aside, put_back, set_aside, settle, settle_if_free
from retrograd.record.checkpoint import Checkpoint, checkpoint_paths, forget_checkpoints, write_checkpoint
from retrograd.record.events import Epoch, Event, Started, Stopped, now, write_event
from retrograd.record.files import make_folder, refusal, remove, remove_temporary, temporary, write_file
from retrograd.record.layout import CHECKPOINTS, CONFIG, EVENTS, FILES, MADE_AT_THE_END, MODEL, STOP, folder_name
from retrograd.record.lock import LOCK, Lock, in_use, is_locked
from retrograd.record.logs.log import EventLog, Mark
from retrograd.record.run import RunFolder, is_run
from retrograd.record.runs import next_number

LOOK_SECONDS = 0.05  # between checks for a request to stop

Clock = Callable[[], datetime]


class RunWriter(RunFolder):
    """A run that is being written, with exclusive access until `finish`, `close` or the end of the process.

    Raises:  RunInUseError if another process writes to the folder; ResourceError if writing fails
    """

    def __init__(self, path: Path, clock: Clock = now, *, goes_on: bool = False) -> None:
        """Open an existing folder; a run in it `goes_on`, or is set aside until the model of the new run is saved."""
        super().__init__(path)
        self._config = b""
        self._unwritten: list[Event] = []  # events that could not be written yet
        self.has_begun = goes_on  # whether anything worth keeping was recorded
        self._clock = clock
        self._looked = 0.0  # monotonic time of the last check for a request to stop; infinity: there is one
        self._lock = Lock(self.path)
        try:
            remove_temporary(self.path)
            remove_temporary(self.path / CHECKPOINTS)
            settle(self.path)
            (self.path / STOP).unlink(missing_ok=True)  # a stale request
            if goes_on:
                self._config = self.config_text().encode()
            elif is_run(self.path):
                set_aside(self.path)
            self._log = EventLog(self.path / EVENTS)
        except BaseException as error:  # including interrupts
            self._lock.release()
            if isinstance(error, OSError):
                raise refusal(error, self.path) from None
            raise

    @classmethod
    def create(cls, root: Path, name: str, *, clock: Clock = now) -> RunWriter:
        """Create the folder `<root>/<time>-<name>` and return its writer."""
        root = Path(root)
        make_folder(root)
        stem = f"{clock():%Y%m%d-%H%M%S}-{folder_name(name)}"
        for number in itertools.count(1):
            path = root / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir()
                break
            except FileExistsError:
                continue
            except OSError as error:
                raise refusal(error, path) from None
        try:
            return cls(path, clock)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise

    @classmethod
    def at(cls, path: Path, *, overwrite: bool = False, clock: Clock = now) -> RunWriter:
        """Return the writer of a folder chosen by the user; `overwrite` replaces an existing run.

        Raises:  UsageError if it contains a run (without `overwrite`) or other files, which stay unchanged
        """
        path = Path(path)
        make_folder(path)
        settle_if_free(path)
        if _holds_run(path):
            if is_locked(path):
                raise in_use(path)
            if not overwrite:
                cure = "use another --run, or --force to replace it"
                raise UsageError("already contains a run", where=str(path), cure=cure)
        return cls(path, clock)

    @classmethod
    def resume(cls, path: Path, *, clock: Clock = now) -> RunWriter:
        """Return the writer of a run to be resumed, which is still unchanged.

        Raises:  UsageError naming what is missing; RunInUseError
        """
        return cls(RunFolder.open(path).path, clock, goes_on=True)

    def write_config(self, text: str) -> None:
        """Write the configuration with all defaults."""
        self._config = text.encode()
        write_file(self.path / CONFIG, self._config)

    def record(self, event: Event) -> None:
        """Append an event with its time; it is in the file when this returns.

        Raises:  ResourceError if the disk is full; the file then ends with the previous event
        """
        if isinstance(event, Started) and not event.number:
            event = replace(event, number=next_number(self.path.parent))
        line = write_event(event if event.time else replace(event, time=self._clock()))
        self.has_begun = self.has_begun or isinstance(event, (Epoch, Stopped))
        self._log.append(line)

    def keep(self, event: Event) -> None:
        """Append an event of training; if writing fails, warn once, continue, and write it along with a later event."""
        self._unwritten.append(event if event.time else replace(event, time=self._clock()))
        self.has_begun = self.has_begun or isinstance(event, Epoch)
        try:
            self._write_rest()
        except RetrogradError as error:
            if len(self._unwritten) == 1:
                warnings.warn(f"training continues, but is not recorded: {error}", RetrogradWarning, stacklevel=2)

    def _write_rest(self) -> None:
        while self._unwritten:
            self.record(self._unwritten[0])
            del self._unwritten[0]

    def saved(self) -> None:
        """Delete the run that this one replaces, now that a model of this one is on disk."""
        forget(self.path)

    @property
    def is_there(self) -> bool:
        """Whether the folder is still the one that was opened: not deleted, moved or replaced."""
        return self._lock.is_in(self.path)

    def finish(self, stopped: Stopped) -> None:
        """Record how and why the run ended, flush everything to disk, and release the folder."""
        self._write_rest()
        self.record(stopped)
        try:
            self._log.sync()
            if not stopped.may_go_on:
                newest = next(iter(checkpoint_paths(self.path)), None)
                forget_checkpoints(self.path, but=newest if stopped.reason == "epochs" else None)
        finally:
            self.close()

    # --------------------------------------------------------------------------------------------------- for resuming

    def mark(self) -> Mark:
        """Return the end of the events so far.

        Raises:  ResourceError if some of them cannot be written
        """
        self._write_rest()
        return self._log.mark()

    def holds(self, mark: Mark) -> bool:
        """Return whether the events up to the mark are unchanged."""
        return self._log.holds(mark)

    def write_checkpoint(self, checkpoint: Checkpoint, keep: int) -> None:
        """Write a checkpoint, after flushing the events before it to disk; delete all but the newest `keep`.

        Raises:  ResourceError if the folder was deleted or moved, or writing fails
        """
        if not self.is_there:
            raise ResourceError("the run folder was deleted or moved during training", where=str(self.path))
        self._log.sync()
        write_checkpoint(self.path, checkpoint, keep)
        self.has_begun = True

    def cut(self, size: int) -> None:
        """Remove the events after the first `size` bytes, and the files derived from them at the end of training.

        Raises:  ResourceError if writing fails
        """
        self._log.cut(size)
        for name in MADE_AT_THE_END:
            (self.path / name).unlink(missing_ok=True)

    def copy_to(self, other: RunWriter) -> None:
        """Write everything recorded so far to the folder of another run; the files of this one may be gone."""
        other.write_config(self._config.decode())
        other._log.append(self._log.content())
        other._unwritten, other.has_begun = list(self._unwritten), self.has_begun

    def discard(self) -> None:
        """Delete the run, and restore the one that it was to replace; if there is none, remove the empty folder."""
        try:
            if self.is_there:
                for name in FILES:
                    remove(self.path / name)
                if not put_back(self.path):
                    for name in (LOCK, STOP):
                        (self.path / name).unlink(missing_ok=True)
                    self.path.rmdir()
        except OSError:  # what cannot be removed stays
            pass
        finally:
            self.close()

    def is_asked_to_stop(self) -> bool:
        """Return whether the run was asked to stop (see `ask_to_stop`); checked only every LOOK_SECONDS."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now if not os.path.lexists(self.path / STOP) else math.inf
        return self._looked == math.inf

    @property
    def replaces(self) -> bool:
        """Whether a previous run is set aside, to be restored unless this one saves a model."""
        return has_aside(self.path)

    def close(self) -> None:
        """Release the folder; a run without a recorded end counts as interrupted."""
        if not self._log.is_closed:
            try:
                with contextlib.suppress(OSError):
                    (self.path / STOP).unlink(missing_ok=True)
            finally:
                self._log.close()
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _holds_run(path: Path) -> bool:
    """Return whether a folder contains a run, perhaps one set aside. A folder with other files is refused."""
    try:
        names = {entry.name for entry in path.iterdir()} - {LOCK, STOP, *(part.name for part in temporary(path))}
    except OSError as error:
        raise refusal(error, path) from None
    run_files = names & {CONFIG, EVENTS, MODEL} or {name for name in names if name.startswith(MARK)}
    if names and not run_files:
        raise UsageError("not empty, and not a run", where=str(path), cure="name a new folder")
    return is_run(path)
