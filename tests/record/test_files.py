from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from retrograd.base.errors import DataError, ResourceError, UsageError
from retrograd.record.files import make_folder, open_regular, read_text, remove_temporary, write_file


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_a_failing_write_leaves_the_old_file_and_nothing_else(old, monkeypatch, call, number, words):
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(ResourceError, match=f"file: {words}"):
        write_file(old, b"new")
    assert old.read_bytes() == b"old"
    assert os.listdir(old.parent) == ["file"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(old, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(old, b"new")
    assert old.read_bytes() == b"old"
    assert os.listdir(old.parent) == ["file"]


def test_a_file_is_replaced_whole_with_the_usual_permissions(old):
    write_file(old, b"ne", memoryview(b"w"))
    assert old.read_bytes() == b"new"
    fresh = old.with_name("fresh")
    fresh.touch()
    assert stat.S_IMODE(old.stat().st_mode) == stat.S_IMODE(fresh.stat().st_mode)


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path):
    program = f"""
import os, pathlib
from retrograd.record.files import write_file
os.replace = lambda *_: os._exit(9)
write_file(pathlib.Path({str(tmp_path / "file")!r}), b"new")
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 9
    (tmp_path / ".mine.tmp").touch()
    assert len(os.listdir(tmp_path)) == 2
    remove_temporary(tmp_path)
    assert os.listdir(tmp_path) == [".mine.tmp"]


def test_only_a_file_in_a_folder_that_exists_can_be_written(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        write_file(tmp_path / "no" / "file", b"")
    with pytest.raises(UsageError, match="not a regular file"):
        write_file(tmp_path, b"")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="not a regular file"):
        write_file(tmp_path / "fifo", b"")
    with pytest.raises(UsageError, match="too long"):
        write_file(tmp_path / ("n" * 300), b"")
    assert os.listdir(tmp_path) == ["fifo"]


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(UsageError, match="not a regular file"):
            open_regular(path)


@pytest.mark.parametrize("name", ["none", "no/such", "a\0b", "n" * 300])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(UsageError, match=r"not found|too long") as caught:
        open_regular(tmp_path / name)
    assert caught.value.exit_code == 2


def test_text_is_small_and_utf8(old):
    assert read_text(old, 3) == "old"
    with pytest.raises(DataError, match="larger than 2 bytes"):
        read_text(old, 2)
    old.write_bytes(b"ab\xff")
    with pytest.raises(DataError, match="not UTF-8 at byte 2"):
        read_text(old, 10)


def test_folders_are_refused_with_their_reason(old):
    with pytest.raises(ResourceError, match="permission"):
        make_folder(Path("/proc/x"))
    with pytest.raises(UsageError, match="not a folder"):
        make_folder(old)
    with pytest.raises(UsageError, match="not a folder"):
        make_folder(old / "below")
    with pytest.raises(UsageError, match="not a valid folder name"):
        make_folder(old.with_name("a\0b"))
