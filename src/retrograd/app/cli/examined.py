"""Records of `diagnose` and `repair`: in the run folder, or beside a repaired file."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrograd.app.cli.streams import labelled
from retrograd.base.errors import RetrogradError
from retrograd.present.text import filled
from retrograd.record.examination import DIAGNOSIS, REPAIR, read_repaired, write_examination
from retrograd.record.files import write_file
from retrograd.record.run import REPORT, RunFolder
from retrograd.training.ending import tell


def keep(run: Path, diagnosis: Mapping[str, Any], repair: Mapping[str, Any] | None = None) -> None:
    """Write a diagnosis or repair into its run's folder and renew the report; print a note if that fails."""
    try:
        write_examination(run / DIAGNOSIS, diagnosis)
        if repair is not None:
            write_examination(run / REPAIR, without_diagnosis(repair))
        tell(RunFolder.open(run))
    except RetrogradError as error:
        print(labelled("note: ", f"not stored with the run: {error.problems[0]}"), file=sys.stderr)
        return
    print(filled(f"stored in {run}, shown in {run / REPORT}"), file=sys.stderr)


def write_repaired(path: Path, text: str, repair: Mapping[str, Any]) -> None:
    """Write a repaired configuration and, beside it, the record of the trials for later runs."""
    write_file(path, text.encode())
    record = {**without_diagnosis(repair), "configuration": hashlib.sha256(text.encode()).hexdigest()}
    write_examination(record_of(path), record)


def carry(source: Path, run: Path) -> None:
    """Copy the record of the repair that wrote a configuration into its run folder, unless the file has changed."""
    try:
        repaired = read_repaired(record_of(source))
        if repaired and repaired.configuration == hashlib.sha256(source.read_bytes()).hexdigest():
            write_file(run / REPAIR, record_of(source).read_bytes())
    except RetrogradError as error:  # no obstacle to training
        print(labelled("warning: ", str(error)), file=sys.stderr)


def record_of(path: Path) -> Path:
    """Return the path of a repair's record: `sick-repaired.repair.json` for `sick-repaired.yaml`."""
    return path.with_suffix(f".{REPAIR}")


def without_diagnosis(repair: Mapping[str, Any]) -> dict[str, Any]:
    """Return a repair without its initial diagnosis, which has its own file."""
    return {key: value for key, value in repair.items() if key != "diagnosis"}
