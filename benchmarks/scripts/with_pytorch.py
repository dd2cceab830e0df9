"""The task in a folder as a PyTorch user writes it: a loop over batches, the validation loss after each epoch."""

import json
import sys
from pathlib import Path

import torch
from tables import load, score
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)  # faster than two for networks of this size
task, parts = load(Path(sys.argv[1]))
(x, y), (x_valid, y_valid), (x_test, y_test) = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in parts]

layers: list[nn.Module] = []
width = x.shape[1]
if task["filters"]:
    layers.append(nn.Unflatten(1, (1, 8, 8)))
    channels = 1
    for filters in task["filters"]:
        layers += [nn.Conv2d(channels, filters, 3, padding="same"), nn.ReLU()]
        channels = filters
    layers += [nn.MaxPool2d(2), nn.Flatten()]
    width = channels * 16
for units in task["units"]:
    layers += [nn.Linear(width, units), nn.ReLU()]
    width = units
model = nn.Sequential(*layers, nn.Linear(width, task["classes"] or 1))
loss_of = nn.CrossEntropyLoss() if task["classes"] else nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters())

for _ in range(task["epochs"]):
    model.train()
    for rows in torch.randperm(len(x)).split(task["batch"]):
        optimizer.zero_grad()
        loss_of(model(x[rows]), y[rows]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        valid = loss_of(model(x_valid), y_valid).item()
with torch.no_grad():
    print(json.dumps({"score": score(task, model(x_test).numpy(), y_test.numpy())}))
