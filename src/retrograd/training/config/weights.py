"""The `weights:` section of a configuration: training begins with the weights of another program's model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Words
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
