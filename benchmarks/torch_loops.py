"""Recorded training programs written out as the PyTorch loops that a user would have written, fault included.

A record states facts (layers, loss, optimizer, rate...) and says in words what is faulty; the words choose the line of
the loop that is written wrongly. Nothing here knows what the doctor looks for.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

Parts = dict[str, Any]

LOSSES = {
    "cce_logits": "nn.CrossEntropyLoss()",
    "mse": "nn.MSELoss()",
    "mse_broadcast": "nn.MSELoss()",
    "mae": "nn.L1Loss()",
    "bce_logits": "nn.BCEWithLogitsLoss()",
    "bce": "nn.BCELoss()",
}
INITIAL = {
    "he_uniform": "nn.init.kaiming_uniform_({0}, nonlinearity='relu')",
    "he_normal": "nn.init.kaiming_normal_({0}, nonlinearity='relu')",
    "glorot_uniform": "nn.init.xavier_uniform_({0})",
    "glorot_normal": "nn.init.xavier_normal_({0})",
    "uniform": "nn.init.uniform_({0}, -0.05, 0.05)",
}
ACTIVATIONS = {"relu": "nn.ReLU()", "sigmoid": "nn.Sigmoid()", "tanh": "nn.Tanh()", "softmax": "nn.Softmax(1)"}


def network(record: dict[str, Any]) -> tuple[list[str], list[tuple[int, str]]]:
    """Return the modules, and which of them are initialised how."""
    shape = list(record["input_shape"])
    modules: list[str] = []
    initial: list[tuple[int, str]] = []
    for layer in record["layers"]:
        kind = layer["type"]
        if kind in ("dense", "conv2d"):
            initial.append((len(modules), layer.get("init", "glorot_uniform")))
        if kind == "dense":
            modules.append(f"nn.Linear({shape[-1]}, {layer['units']})")
            shape[-1] = layer["units"]
        elif kind == "conv2d":
            k, same = layer["kernel"], layer.get("padding") == "same"
            modules.append(f"nn.Conv2d({shape[2]}, {layer['filters']}, {tuple(k)}, padding={'same' if same else 0!r})")
            modules[-1] = modules[-1].replace("padding=same", "padding='same'")
            shape = [shape[0] - (0 if same else k[0] - 1), shape[1] - (0 if same else k[1] - 1), layer["filters"]]
        elif kind.startswith("maxpool"):
            modules.append(f"nn.MaxPool2d({tuple(layer['pool'])})")
            shape = [shape[0] // layer["pool"][0], shape[1] // layer["pool"][1], shape[2]]
        elif kind == "flatten":
            modules.append("nn.Flatten()")
            shape = [shape[0] * shape[1] * shape[2]] if len(shape) == 3 else shape
        elif kind == "dropout":
            modules.append(f"nn.Dropout({layer['rate']})")
        elif kind.startswith("batch"):
            modules.append(f"nn.BatchNorm{'2d' if len(shape) == 3 else '1d'}({shape[-1]})")
        else:
            raise ValueError(f"a layer of kind {kind}")
        if layer.get("activation", "linear") != "linear":
            modules.append(ACTIVATIONS[layer["activation"]])
    return modules, initial


def parts(record: dict[str, Any]) -> Parts:
    """Return the lines of a right loop for the facts of a record."""
    optimizer, rate = dict(record["optimizer"]), record["learning_rate"]
    name = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop", "adagrad": "Adagrad"}[optimizer["name"]]
    options = f"lr={rate}" + (f", momentum={record['momentum']}" if record.get("momentum") else "")
    if record.get("l2"):
        options += f", weight_decay={2 * record['l2']}"
    modules, initial = network(record)
    image = len(record["input_shape"]) == 3
    return {
        "modules": modules,
        "initial": initial,
        "make": f"optimizer = torch.optim.{name}(model.parameters(), {options})",
        "loss": LOSSES[record["loss"]],
        "labels": record["task"] == "classification" and record["loss"].startswith("cce"),
        "image": "x, x_valid = x.permute(0, 3, 1, 2), x_valid.permute(0, 3, 1, 2)" if image else "",
        "setup": [],
        "epoch": ["order = torch.randperm(len(x))"],
        "batch": ["idx = order[i:i + {batch_size}]", "xb, yb = x[idx], y[idx]"],
        "forward": ["loss = criterion(model(xb), yb)"],
        "zero": ["optimizer.zero_grad()"],
        "backward": ["loss.backward()"],
        "clip": [],
        "step": ["optimizer.step()"],
        "after": [],
        "train": ["model.train()"],
        "validate": ["model.eval()", "with torch.no_grad():", "    score = criterion(model(x_valid), y_valid).item()"],
    }


# What each wording makes of the loop.


def no_zero(loop: Parts) -> None:
    loop["zero"] = []


def no_step(loop: Parts) -> None:
    loop["step"] = []


def no_backward(loop: Parts) -> None:
    loop["backward"] = []


def last_layer_only(loop: Parts) -> None:
    loop["make"] = loop["make"].replace("model.parameters()", "model[-1].parameters()")


def no_eval(loop: Parts) -> None:
    loop["validate"] = loop["validate"][1:]


def eval_in_training(loop: Parts) -> None:
    loop["train"] = ["model.eval()"]


def ascend(loop: Parts) -> None:
    loop["clip"] = ["for p in model.parameters():", "    p.grad.neg_()"]


def negative_loss(loop: Parts) -> None:
    loop["forward"] = [line.replace("= criterion", "= -criterion") for line in loop["forward"]]


def softmax_in_forward(loop: Parts) -> None:
    loop["modules"].append("nn.Softmax(dim=1)")


def nll_on_probabilities(loop: Parts) -> None:
    softmax_in_forward(loop)
    loop["loss"] = "nn.NLLLoss()"


def softmax_axis(loop: Parts) -> None:
    loop["modules"].append("nn.LogSoftmax(dim=0)")
    loop["loss"] = "nn.NLLLoss()"


def detached(loop: Parts) -> None:
    loop["forward"] = [
        f"hidden = model[:{len(loop['modules']) - 1}](xb).detach()", "loss = criterion(model[-1](hidden), yb)"
    ]  # fmt: skip
    loop["whole"] = True


def misaligned(loop: Parts) -> None:
    loop["batch"][1] = "xb, yb = x[idx], y[other[i:i + {batch_size}]]"
    loop["epoch"].append("other = torch.randperm(len(y))")


def same_batch(loop: Parts) -> None:
    loop["batch"] = ["xb, yb = x[:{batch_size}], y[:{batch_size}]"]


def not_shuffled(loop: Parts) -> None:
    loop["setup"].append("order = (y if y.ndim == 1 else y[:, 0]).argsort()")
    loop["epoch"] = []


def broadcast(loop: Parts) -> None:
    loop["forward"] = [line.replace("yb)", "yb.squeeze(1))") for line in loop["forward"]]


def keep_losses(loop: Parts) -> None:
    loop["setup"].append("history = []")
    loop["after"].append("history.append(loss)")


def add_losses(loop: Parts) -> None:
    loop["epoch"].append("total = 0")
    loop["after"].append("total = total + loss")


def schedule_per_batch(loop: Parts) -> None:
    loop["setup"].append("scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)")
    loop["after"].append("scheduler.step()")


def drop_partial(loop: Parts) -> None:
    loop["batch"].insert(1, "if len(idx) < {batch_size}: break")


def single_rows(loop: Parts) -> None:
    loop["rows"] = 1


def rebinding(loop: Parts) -> None:
    loop["step"] = ["for p in model.parameters():", "    p = p - {learning_rate} * p.grad"]


def frozen(loop: Parts) -> None:
    loop["setup"].append("for p in model[0].parameters(): p.requires_grad_(False)")


def accumulate(loop: Parts, k: int = 16) -> None:
    loop["zero"] = []
    loop["epoch"].append("step = 0")
    loop["step"] = ["step += 1", f"if step % {k} == 0:", "    optimizer.step()", "    optimizer.zero_grad()"]


def clip_late(loop: Parts) -> None:
    loop["after"].append("torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)")


def recreate(loop: Parts) -> None:
    loop["zero"] = [loop["make"], "optimizer.zero_grad()"]


def half(loop: Parts) -> None:
    loop["setup"].append("model, x, x_valid = model.bfloat16(), x.bfloat16(), x_valid.bfloat16()")


def float_labels(loop: Parts) -> None:
    loop["batch"].append("yb = yb.float()")


def summed(loop: Parts) -> None:
    loop["loss"] = loop["loss"].replace("()", "(reduction='sum')")


def view_for_permute(loop: Parts) -> None:
    """The rows came as features x rows (a transposed table) and are viewed, where they must be transposed."""
    loop["batch"].append("columns = xb.reshape(len(xb), -1).t().contiguous()")
    loop["batch"].append("xb = columns.view(xb.shape)")


WORDINGS: list[tuple[str, Callable[[Parts], None]]] = [
    (r"without dividing|not divid|accumulation over", accumulate),
    (r"zero_grad\(\)?:? .*(accumulate|missing)|(remove|no|without|missing|forg\w+) \S*zero_grad", no_zero),
    (r"(remove|no|without|missing|forg\w+) \S*backward", no_backward),
    (r"clip\w* .*(after|behind)", clip_late),
    (r"inside the (step |batch )?loop|re-?created", recreate),
    (r"(remove|no|without|missing|forg\w+) (optimizer\.)?step", no_step),
    (r"last layer only|not in (the )?optimi|before a layer was replaced", last_layer_only),
    (r"validation without|without model\.eval|no eval", no_eval),
    (r"eval\(\).*(train)|train\w* in eval", eval_in_training),
    (r"nll", nll_on_probabilities),
    (r"softmax.*(dim ?= ?0|axis|over the batch)", softmax_axis),
    (r"softmax", softmax_in_forward),
    (r"scheduler|lr_scheduler", schedule_per_batch),
    (r"local copy|rebind|w = w -", rebinding),
    (r"\.view\(|permute|transpose by view", view_for_permute),
    (r"y\[order\]|misalign|shuffled against|label\w* .*order", misaligned),
    (r"same batch|next\(iter", same_batch),
    (r"sorted|without shuffl|no shuffl|class-pure", not_shuffled),
    (r"detach|graph cut|\.data\b", detached),
    (r"total_?\w* ?\+= ?loss|adds? up", add_losses),
    (r"append\(loss\)|loss tensor|keeps? .*loss|retain", keep_losses),
    (r"drop_last|partial batch", drop_partial),
    (r"batch (of |size )?(1|one)\b|single row", single_rows),
    (r"requires_grad", frozen),
    (r"half|float16|bfloat16", half),
    (r"float labels|dtype|labels.*float", float_labels),
    (r"reduction.*sum|sum instead of mean", summed),
    (r"broadcast", broadcast),
    (r"ascent|wrong sign|flip|\+ ?lr ?\*|negat", ascend),
]  # fmt: skip


def fault(record: dict[str, Any]) -> Callable[[Parts], None] | None:
    """Return what a record's words make of the loop; None for a healthy one."""
    if record.get("expected", {}).get("healthy"):
        return None
    if record["loss"] == "mse_broadcast":
        return broadcast
    if record["optimizer"].get("flip_sign"):
        return ascend
    said = record.get("user_loop", {}).get("mutation", "")
    for text in (said, " ".join(record["known_fault"]), record["id"].replace("_", " ")):
        for pattern, change in WORDINGS:
            if re.search(pattern, text, re.I):
                return change
    raise ValueError(f"no wording is known for '{said}'")


def program(record: dict[str, Any], epochs: int) -> str:
    """Return the source of `loop(x, y, x_valid, y_valid, watch)`: the model, and the loop under `watch`."""
    loop = parts(record)
    change = fault(record)
    if change is not None:
        change(loop)
    rows = loop.get("rows", record["batch_size"])
    inner = [*loop["batch"], *loop["forward"], *loop["zero"], *loop["backward"], *loop["clip"], *loop["step"]]
    lines = [
        "import torch",
        "from torch import nn",
        "",
        "def loop(x, y, x_valid, y_valid, watch):",
        *_in(1, [loop["image"]] if loop["image"] else []),
        "    model = nn.Sequential(",
        *_in(2, [module + "," for module in loop["modules"]]),
        "    )",
        *_in(1, [INITIAL[how].format(f"model[{at}].weight") for at, how in loop["initial"]]),
        *_in(1, [f"nn.init.zeros_(model[{at}].bias)" for at, _ in loop["initial"]]),
        f"    {loop['make']}",
        f"    criterion = {loop['loss']}",
        *_in(1, loop["setup"]),
        "    with watch(model, optimizer) as chart:",
        f"        for epoch in range({epochs}):",
        *_in(3, loop["train"] + loop["epoch"]),
        f"            for i in range(0, len(x), {rows}):",
        *_in(4, inner + loop["after"]),
        *_in(3, loop["validate"]),
        "    return chart",
    ]
    values = {"{batch_size}": str(rows), "{learning_rate}": str(record["learning_rate"])}
    text = "\n".join(lines) + "\n"
    for name, value in values.items():
        text = text.replace(name, value)
    if loop.get("whole"):  # the pieces are called one by one; the whole is a module of its own
        text = _as_module(text, loop)
    return text


def _as_module(text: str, loop: Parts) -> str:
    head = textwrap.dedent(f"""
        class Model(nn.Sequential):
            def forward(self, x):
                hidden = x
                for module in list(self)[:{len(loop["modules"]) - 1}]:
                    hidden = module(hidden)
                return self[-1](hidden.detach())
    """)
    text = text.replace("    model = nn.Sequential(", "    model = Model(").replace(
        "def loop", head + "\n\ndef loop", 1
    )
    lines = [line for line in text.splitlines() if not line.strip().startswith("hidden = model[")]
    return "\n".join(lines).replace("criterion(model[-1](hidden), yb)", "criterion(model(xb), yb)") + "\n"


def _in(levels: int, lines: list[str]) -> list[str]:
    return ["    " * levels + line for line in lines]
