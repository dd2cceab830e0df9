"""The networks of bench_ship.py in PyTorch, untrained, exported as ONNX files: FOLDER/NAME.onnx.

    python benchmarks/scripts/torch_to_onnx.py FOLDER [NAME ...]

They give a label and probabilities in float64, as retrograd's files do.
"""

import logging
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

logging.disable(logging.WARNING)
warnings.simplefilter("ignore")


class Answers(nn.Module):
    """A network with its label and probabilities; images come with their channels last."""

    def __init__(self, network, images=False):
        super().__init__()
        self.network, self.images = network, images

    def forward(self, x):
        y = self.network(x.permute(0, 3, 1, 2) if self.images else x)
        shares = torch.softmax(y.double(), -1)
        return shares.argmax(-1), shares


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.relu(x + self.inner(x))


class LastState(nn.Module):
    def __init__(self, features, units, classes):
        super().__init__()
        self.lstm, self.out = nn.LSTM(features, units, batch_first=True), nn.Linear(units, classes)

    def forward(self, x):
        return self.out(self.lstm(x)[1][0][-1])


class Encoder(nn.Module):
    def __init__(self, features, units, classes):
        super().__init__()
        self.first = nn.Linear(features, units)
        layer = nn.TransformerEncoderLayer(units, 4, 4 * units, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(units), enable_nested_tensor=False)
        self.out = nn.Linear(units, classes)

    def forward(self, x):
        return self.out(self.layers(self.first(x)).mean(1))


def conv(channels, filters):
    return nn.Conv2d(channels, filters, 3, padding=1)


def normed(channels, filters):
    return conv(channels, filters), nn.BatchNorm2d(filters)


NETWORKS = {
    "dense": (
        Answers(nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))),
        (20,),
    ),
    "cnn": (
        Answers(
            nn.Sequential(conv(1, 16), nn.ReLU(), nn.MaxPool2d(2), conv(16, 32), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10)),
            images=True,
        ),
        (28, 28, 1),
    ),
    "resnet": (
        Answers(
            nn.Sequential(*normed(3, 16), nn.ReLU(),
                          *(Residual(nn.Sequential(*normed(16, 16), nn.ReLU(), *normed(16, 16))) for _ in range(2)),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
            images=True,
        ),
        (32, 32, 3),
    ),
    "lstm": (Answers(LastState(8, 64, 5)), (32, 8)),
    "transformer": (Answers(Encoder(8, 32, 5)), (32, 8)),
}  # fmt: skip


def main(folder, names):
    for name in names:
        network, shape = NETWORKS[name]
        torch.onnx.export(
            network.eval(), (torch.zeros(2, *shape),), str(folder / f"{name}.onnx"), opset_version=18, dynamo=True,
            input_names=["x"], output_names=["label", "probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False, verbose=False,
        )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or [*NETWORKS])
