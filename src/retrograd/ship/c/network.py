"""A network as C99 code: constants, the routines that its layers need, and a function from x to the output."""

from __future__ import annotations

import math

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network.layer import Spec
from retrograd.network.network import Network, Variables, own_params
from retrograd.ship.c.forms import AS_ONNX, Place, nothing, to_c
from retrograd.ship.c.source import Source


def write(network: Network, variables: Variables, x: Spec, name: str, output: str = "") -> str:
    """Return the C file of a network that reads the column `x`, one row at a time, and returns `output`.

    Raises:  ConfigError for a layer that cannot be written in C, or a network that reads other columns
    """
    if network.columns != ("x",):
        message = f"the network reads {', '.join(network.columns)}, but in C it can read only x"
        raise ConfigError(message, where="network", cure=AS_ONNX)
    output = output or network.output
    specs = {"x": x, **network.specs({"x": x})}
    source, aliases = Source(), {"x": "x"}
    last_use = {reference: i for i, node in enumerate(network) for reference in node.inputs}
    last_use[output] = len(network.nodes)
    for i, node in enumerate(network):
        source.path = node.name
        inputs = [aliases[reference] for reference in node.inputs]
        write_layer = to_c.form_of(node.layer, node.name)
        if write_layer is nothing:
            aliases[node.name] = inputs[0]
            last_use[inputs[0]] = max(last_use.get(inputs[0], i), last_use.get(node.name, i))
            continue
        aliases[node.name] = node.name
        alive = {n for n in source.places if last_use.get(n, 0) >= i}
        source.place(node.name, math.prod(specs[node.name].shape[1:]), alive)
        weights = {**own_params(variables.params, node), **variables.state.get(node.name, {})}
        arrays = {key: np.asarray(array, np.float32) for key, array in weights.items()}
        read = tuple(map(source.pointer, inputs))
        specs_read = tuple(specs[reference] for reference in node.inputs)
        write_layer(source, node.layer, Place(arrays, read, source.pointer(node.name), specs_read, specs[node.name]))
    if output not in aliases:
        raise ConfigError(f"the output {output} cannot be written in C", where="network", cure=AS_ONNX)
    size = math.prod(specs[output].shape[1:])
    source.calls.append(f"    for (int i = 0; i < {size}; i++)\n        y[i] = {source.pointer(aliases[output])}[i];")
    return _file(source, name, math.prod(x.shape[1:]), size)


def _file(source: Source, name: str, inputs: int, outputs: int) -> str:
    routines, constants = "\n".join(source.routines.values()), "\n".join(source.constants.values())
    calls, name = "\n".join(source.calls), "".join(c for c in name if c not in "*/\\?\n\r")  # used in a comment
    return f"""\
/* {name}: a network as C99, written by retrograd. Memory: {4 * source.memory} bytes. */
#include <math.h>

#define NET_INPUTS {inputs}
#define NET_OUTPUTS {outputs}

void net(const float *x, float *y);

static float memory[{max(source.memory, 1)}];

{constants}

{routines}
/* x: NET_INPUTS numbers as the network reads them; y: its NET_OUTPUTS outputs. */
void net(const float *x, float *y)
{{
{calls}
}}
"""
