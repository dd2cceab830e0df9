"""The sections `weights:` and `adapt:`: weights of another program to begin with, and a narrow change of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Expect, Words
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.base.schema import Settings


@dataclass(frozen=True)
class WeightsSettings(Settings):
    """Begin with pretrained weights: of a local folder with config.json and safetensors, as Hugging Face writes it.

    `retrograd import DIR -o net.yaml` writes the network that they fit. Nothing is fetched, and nothing that could run
    code is read. Which tensor goes where is told by the names of the network's entries, so keep those.
    """

    path: Annotated[str, Words("the folder with config.json and *.safetensors")]
    map: Annotated[
        Literal["auto", "gpt2", "bert", "llama"],
        Words("whose tensors they are: which goes where", why="auto: as the model_type in config.json says"),
    ] = "auto"
    missing: Annotated[
        Literal["error", "init"],
        Words(
            "what becomes of parameters that the folder does not have: an error, or drawn as usual (init)",
            why="error: nothing stays untrained by mistake; a new head needs init",
        ),
    ] = "error"
    freeze: Annotated[
        tuple[str, ...],
        Words("parameters that stay as they are, as in [tokens/*, 'blocks/*']; joins `freeze`", why="none: all learn"),
    ] = ()


Patterns = Annotated[str | tuple[str, ...], Expect("a pattern of paths, or a list of them")]


@dataclass(frozen=True)
class AdaptSettings(Settings):
    """Learn a low-rank change of layers' weights, W = W_0 + (alpha / rank) A B, and leave the rest as it is (LoRA).

    What the pretrained weights do not give is learned as a whole: a new head. Exporting, quantising and pruning add A B
    to the weights. See: Hu et al. 2021, arXiv:2106.09685.
    """

    layers: Annotated[Patterns, Words("paths of the layers whose weights are adapted, as `*/attention`")]
    rank: Annotated[
        PositiveInt,
        Words("columns of A and rows of B", more="can change more; more to learn", less="fewer parameters"),
    ] = 8
    alpha: Annotated[
        PositiveFloat | None,
        Words("A B counts alpha / rank times", more="learns faster", less="slower", why="none: twice the rank"),
    ] = None
    train: Annotated[
        tuple[str, ...] | None,
        Words("patterns of parameters that are learned as a whole", why="none: those that `weights` does not give"),
    ] = None
