"""The sections `weights:` and `adapt:`: pretrained weights of another program, and their low-rank adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Expect, Words
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.base.schema import Settings


@dataclass(frozen=True)
class WeightsSettings(Settings):
    """Start from pretrained weights in a local folder with config.json and safetensors, as Hugging Face writes it.

    `retrograd import DIR -o net.yaml` writes a matching network. Nothing is downloaded, and nothing that could run
    code is read. Tensors are assigned by the names of the network's entries, so keep those.
    """

    path: Annotated[str, Words("the folder with config.json and *.safetensors")]
    map: Annotated[
        Literal["auto", "gpt2", "bert", "llama"],
        Words("architecture whose tensor names the folder uses", why="auto: the model_type in config.json"),
    ] = "auto"
    missing: Annotated[
        Literal["error", "init"],
        Words(
            "what to do with parameters missing from the folder: fail, or initialise them as usual (init)",
            why="error: nothing stays untrained by mistake; a new head needs init",
        ),
    ] = "error"
    freeze: Annotated[
        tuple[str, ...],
        Words("parameters not to train, e.g. [tokens/*, 'blocks/*']; added to `freeze`", why="none: all are trained"),
    ] = ()


Patterns = Annotated[str | tuple[str, ...], Expect("a path pattern, or a list of them")]


@dataclass(frozen=True)
class AdaptSettings(Settings):
    """Train a low-rank update of layers' weights, W = W_0 + (alpha / rank) A B, and freeze the rest (LoRA).

    Parameters without pretrained weights, such as a new head, are trained in full. Exporting, quantising and pruning
    merge A B into the weights. See: Hu et al. 2021, arXiv:2106.09685.
    """

    layers: Annotated[Patterns, Words("paths of the layers to adapt, e.g. `*/attention`")]
    rank: Annotated[
        PositiveInt,
        Words("columns of A and rows of B", more="more expressive; more parameters", less="fewer parameters"),
    ] = 8
    alpha: Annotated[
        PositiveFloat | None,
        Words("A B is scaled by alpha / rank", more="learns faster", less="learns slower", why="none: twice the rank"),
    ] = None
    train: Annotated[
        tuple[str, ...] | None,
        Words("patterns of parameters to train in full", why="none: those that `weights` does not provide"),
    ] = None
