"""Heat maps of attention whose weights are an output: recorded at the end of a run, drawn in report and trace."""

import base64
import io
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from retrograd.network.blocks import TransformerEncoder
from retrograd.network.layers import MultiHeadAttention
from retrograd.network.network import Network, Variables
from retrograd.network.scope import named
from retrograd.present.exact import Figures
from retrograd.record.attention import read_attention, write_attention
from retrograd.report.attention import attention_section
from retrograd.report.story import Story
from retrograd.tracing.forms.page import heat_maps
from retrograd.training.use.attention import attention_of

CAUSAL_MEANS = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]


@pytest.fixture(scope="module")
def attention():
    """The weights of a stack whose queries are zero: equal for all earlier positions."""
    block = TransformerEncoder(4, 2, hidden=2, causal=True, qk_norm="rms", weights=True)
    network = Network(named(block, "stack", inputs=["x"]))
    x = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 4, 4)
    variables = network.init(jax.random.key(0), {"x": x})
    params = {node: dict(parameters) for node, parameters in variables.params.items()}
    params["stack/1/attention"]["query_weight"] = jnp.zeros((4, 4))
    return attention_of(network, Variables(params, variables.state), "test", {"x": x}, "float32")


def test_the_weights_of_each_head_of_the_first_row_are_recorded(attention, tmp_path):
    write_attention(tmp_path, attention)
    (maps,) = read_attention(tmp_path).maps
    assert (maps.node, maps.queries, maps.keys, maps.largest) == ("stack/1/attention", 4, 4, 1.0)
    for head in maps.heads:
        shades = np.frombuffer(base64.b64decode(head), np.uint8).reshape(4, 4)
        assert np.abs(shades / 255 - CAUSAL_MEANS).max() <= 0.5 / 255


def test_the_report_shows_a_picture_for_each_head_and_leaves_out_what_is_damaged(attention):
    section = attention_section(Story("run", "", (), None, attention=attention))
    assert section.count("<img") == 2
    assert lightest(section.partition('src="')[2].partition('"')[0]) == (0, 0)
    broken = attention.maps[0].__class__("a", 4, 4, 1.0, ("AAAA", "no base64", ""))
    assert attention_section(Story("run", "", (), None, attention=attention.__class__("test", (broken,)))) == ""
    assert attention_section(Story("run", "", (), None)) == ""


@pytest.mark.parametrize(("weights", "of"), [(CAUSAL_MEANS[None, None], "each head"), (CAUSAL_MEANS[None], "the mean")])
def test_the_page_of_a_trace_shows_them_too(weights, of):
    node = SimpleNamespace(layer=MultiHeadAttention(1), output={"weights": weights})
    (block,) = heat_maps(node, Figures(4))
    assert f"weights of {of}" in block["title"]
    assert block["title"].endswith("lightest is 1")
    assert [lightest(image) for image in block["images"]] == [(0, 0)]
    assert heat_maps(SimpleNamespace(layer=MultiHeadAttention(1), output=weights), Figures(4)) == []


def lightest(source):
    """Return the position of the single lightest pixel of a picture."""
    with Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))) as image:
        grey = np.asarray(image.convert("RGB").convert("L"), int)
    (place,) = np.argwhere(grey == grey.max())
    return tuple(int(at) for at in place)
