"""A model that learns where it is used: a stream that drifts, and feedback that lies.

A bearing is good, loose or worn, by its speed and three vibrations. The model is trained at low speeds, and the machine
then runs faster and faster. `retrograd_edge.py`, which the export writes, asks when the speeds have left what it knows,
learns from the answers, and rolls back what it learns from wrong ones.

    python examples/edge_loop.py
"""

import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np

import retrograd as rg

LOW, HIGH = (-1.0, 0.7), (0.2, 1.9)  # speeds in training, and at the end of the stream
NETWORK = [
    {"dense": {"units": 24, "activation": "tanh"}},
    {"dense": {"units": 16, "activation": "tanh"}},
    {"dense": "classes"},
]


def rows(rng, count, speeds):
    x = rng.uniform(-1, 1, (count, 4)).astype(np.float32)
    x[:, 0] = rng.uniform(*speeds, count)
    worn, loose = x[:, 1] > np.sin(3 * x[:, 0]), x[:, 2] > 0.5
    return x, np.where(worn, "worn", np.where(loose, "loose", "good"))


def stream(edge, say, batches=12):
    """Show the loop a stream that drifts, and tell it what `say` makes of the truth."""
    rng = np.random.default_rng(1)
    for batch in range(batches):
        drift = min(1.0, batch / 6)
        x, truth = rows(rng, 40, [low + drift * (high - low) for low, high in zip(LOW, HIGH, strict=True)])
        decisions = edge.see({"x": x})
        right = np.mean([decision.answer == label for decision, label in zip(decisions, truth, strict=True)])
        acts = np.mean([decision.act for decision in decisions])
        attempt = edge.tell({"x": x}, say(truth))
        outcome = "" if attempt is None else "learnt" if attempt.accepted else f"rolled back: {attempt.why}"
        print(f"{batch:5} {right:5.0%} {acts:8.0%}  {outcome}")


def main():
    x, y = rows(np.random.default_rng(0), 1500, LOW)
    with tempfile.TemporaryDirectory() as folder:
        run = rg.fit(x, y, network=NETWORK, epochs=60, root=folder, progress=False)
        model = Path(folder) / "model.onnx"
        rg.export(run, model, from_x=True, train_step="all")
        sys.path.insert(0, folder)
        loop = importlib.import_module("retrograd_edge")
        wrong = {"worn": "good", "good": "worn", "loose": "loose"}
        told = {
            "nothing is learnt": (loop.Settings(enough=10**9), lambda truth: truth),
            "the truth is told": (loop.Settings(), lambda truth: truth),
            "worn and good are exchanged": (loop.Settings(), lambda truth: [wrong[label] for label in truth]),
        }
        for what, (settings, say) in told.items():
            print(f"\n{what}\nbatch right acted on")
            edge = loop.Edge(model, settings)
            edge.model.forget()
            stream(edge, say)


if __name__ == "__main__":
    main()
