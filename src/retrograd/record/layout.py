"""The name of a run's folder, and of the files in it."""

from __future__ import annotations

import unicodedata

CONFIG, EVENTS, MODEL, REPORT = "config.yaml", "events.jsonl", "model.safetensors", "report.html"
DIAGNOSIS, REPAIR = "diagnosis.json", "repair.json"
PREDICTIONS, PLANE, ATTENTION, WEIGHTS = "predictions.json", "plane.json", "attention.json", "weights.bin"
CHECKPOINTS, START = "checkpoints", "start.safetensors"  # a folder; the weights of a warm start
FILES = (MODEL, CONFIG, EVENTS, REPORT, DIAGNOSIS, REPAIR, PREDICTIONS, PLANE, ATTENTION, WEIGHTS, CHECKPOINTS, START)
MADE_AT_THE_END = (REPORT, PREDICTIONS, PLANE, ATTENTION)
STOP = "stop"  # a request: the process that writes the run ends it when it sees this file
MAX_NAME_BYTES = 100  # file systems allow 255


def folder_name(name: str) -> str:
    """Return a name that every file system accepts: letters, digits, `-`, `_` and `.`, not too long."""
    safe = (c if unicodedata.category(c)[0] in "LMN" or c in "-_." else " " for c in unicodedata.normalize("NFC", name))
    joined = "-".join("".join(safe).split())
    return joined.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("-.") or "run"
