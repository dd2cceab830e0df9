"""What augmentation is worth: a small convolutional network on 200 images of digits, with and without.

python benchmarks/bench_augmentation.py [--seeds 5] [--epochs 400]
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import retrograd as rg

ROWS = 200
AUGMENTED = [{"random_crop": 1}, {"random_rotation": 10}, {"random_scaling": 0.1}]
NETWORK = [
    {"conv2d": {"filters": 16, "kernel": 3, "activation": "relu"}},
    {"conv2d": {"filters": 32, "kernel": 3, "activation": "relu"}},
    {"max_pool": 2},
    "flatten",
    {"dense": {"units": 64, "activation": "relu"}},
    {"dense": "classes"},
]
WAYS = {"plain": ([], {}), "augmented": (AUGMENTED, {}), "mixup": ([], {"mixup": 0.2})}


def accuracy(seed: int, epochs: int, front: list, training: dict, root: str) -> float:
    """Return the accuracy on all images that did not train."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    parts = train_test_split(x, y, train_size=ROWS, random_state=seed, stratify=y)
    settings = rg.DataSettings(split=rg.SplitSettings(method="none"), task="multiclass")
    training = {"epochs": epochs, "seed": seed, "root": root, "progress": False, **training}
    run = rg.fit(parts[0], parts[2], network=[*front, *NETWORK], data=settings, **training)
    return run.evaluate(parts[1], parts[3])["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=400)
    chosen = parser.parse_args()
    base = 0.0
    for name, (front, training) in WAYS.items():
        with tempfile.TemporaryDirectory() as root:
            scores = [accuracy(seed, chosen.epochs, front, training, root) for seed in range(chosen.seeds)]
        base = float(np.mean(scores)) if name == "plain" else base
        gain = f"{100 * (np.mean(scores) - base):+.1f} points" if name != "plain" else ""
        print(f"{name:10} {np.mean(scores):.4f} ± {np.std(scores):.4f}  {gain}", flush=True)


if __name__ == "__main__":
    main()
