"""Running an ONNX model in onnxruntime, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.ship.onnx.library import onnxruntime
from retrograd.ship.onnx.outside import Outside


def session(model: Any, threads: int = 1) -> Any:
    """Return a session of a model, a path or serialised bytes."""
    package = onnxruntime()
    options = package.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    if isinstance(model, Outside):
        arrays = [package.OrtValue.ortvalue_from_numpy(array) for array in model.arrays.values()]
        options.add_external_initializers([*model.arrays], arrays)
    source = model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)
    return package.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(model: Any, inputs: Mapping[str, np.ndarray], names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Return the outputs of a model, or of a session, by name."""
    running = model if hasattr(model, "get_outputs") else session(model)
    names = names or [output.name for output in running.get_outputs()]
    return dict(zip(names, running.run(list(names), dict(inputs)), strict=True))
