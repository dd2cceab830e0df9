"""The forms of a trace: text, Markdown, JSON, and a page that needs nothing but itself."""

import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image

import retrograd as rg
from retrograd.tracing.forms import latex

CONFIG = {
    "name": "<b>forms",
    "data": "xor",
    "network": [{"dense": {"units": 2, "activation": "tanh"}, "name": "hidden"}, {"dense": 1, "name": "out"}],
    "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}},
    "training": {"epochs": 2, "batch_size": 4},
}


@pytest.fixture(scope="module")
def small():
    return rg.trace(CONFIG)


@pytest.fixture(scope="module")
def large():
    network = [{"dense": {"units": 50, "activation": "relu"}}, {"dense": "classes"}]
    return rg.trace({"data": "digits", "network": network, "training": {"epochs": 1}})


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))


class Strict(HTMLParser):
    """Counts open elements, and collects what a page would load from elsewhere."""

    VOID = ("meta", "br", "hr", "img", "input", "link")

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href", "data", "srcset")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("which", ["small", "large"])
def test_the_page_is_whole_and_loads_nothing(which, request):
    page = request.getfixturevalue(which).html()
    parser = Strict()
    parser.feed(page)
    assert parser.open == []
    assert parser.loaded == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page)
    assert "{{" not in page
    assert "<b>forms" not in page


def test_a_small_network_is_drawn_unit_by_unit_with_a_chain_for_every_weight(small):
    data = data_of(small.html())
    graph = data["graph"]
    assert (graph["kind"], graph["rows"], len(graph["units"]), len(graph["links"])) == ("units", 4, 5, 6)
    assert len(data["weights"]) == 9
    for name, weight in data["weights"].items():
        assert all(chain in data["lines"] for chain in weight["chains"]), name
        assert [line[0] for line in weight["update"]] == ["v", "new"]
    places = [tuple(link["at"]) for link in graph["links"]]
    assert len(set(places)) == len(places)
    assert [stop["phase"] for stop in data["stops"]][:2] == ["input", "forward"]
    assert {link["weight"] for link in graph["links"]} <= set(data["weights"])


def test_a_large_network_is_drawn_node_by_node_with_arrays_summed_up(large):
    data = data_of(large.html())
    assert [box["name"] for box in data["graph"]["boxes"]] == [
        "x", "dense_1", "dense_1/relu", "dense_2", "y", "loss",
    ]  # fmt: skip
    assert [0, 1] in data["graph"]["links"]
    assert [link for link in data["graph"]["links"] if link[1] == 5] == [[3, 5], [4, 5]]  # output and target meet
    assert data["weights"] == {}
    assert len(large.html()) < 200_000


def test_json_holds_every_number_and_large_arrays_summed_up(small, large):
    read = json.loads(small.json())
    assert read["nodes"][0]["output"]["shape"] == [4, 2]
    hidden = next(each for each in read["parameters"] if each["path"] == "hidden/weight")
    expected = next(each for each in small.numbers.parameters if each.path == "hidden/weight")
    assert hidden["after"]["values"] == expected.after.tolist()
    assert hidden["moments"]["v"]["after"]["values"] == expected.moments["v"][1].tolist()
    assert read["loss_after"] == small.numbers.loss_after
    big = json.loads(large.json())["nodes"][0]["output"]
    assert big["shape"] == [32, 50]
    assert set(big) == {"shape", "smallest", "mean", "largest", "rms", "zeros", "nonfinite", "corner"}


@pytest.mark.parametrize("which", ["small", "large"])
def test_text_fits_80_columns_and_markdown_has_its_headings(which, request):
    trace = request.getfixturevalue(which)
    assert max(map(len, trace.text().splitlines())) <= 80
    markdown = trace.markdown()
    headings = [line for line in markdown.splitlines() if line.startswith("## ")]
    assert headings[:5] == ["## Input", "## Forward", "## Loss", "## Backward", "## Update"]
    assert markdown.count("```") % 2 == 0


def test_more_decimals_show_more_of_the_same_numbers(small):
    loss = small.numbers.loss
    assert f"{loss:.4f}" in small.text()
    assert f"{loss:.9f}" in small.text(decimals=9)


def test_the_svg_holds_every_number_of_a_small_network_as_text(small):
    root = ElementTree.fromstring(small.svg())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    f = small.figures(4)
    for parameter in small.numbers.parameters:
        for before, after in zip(parameter.before.flat, parameter.after.flat, strict=True):
            assert any(text.removeprefix("b ") == f"{f.number(before)} → {f.number(after)}" for text in texts)
    assert small.title in texts
    assert "<b>" not in small.svg()


def test_the_svg_of_a_large_network_has_a_box_for_each_node(large):
    texts = [element.text for element in ElementTree.fromstring(large.svg()).iter("{http://www.w3.org/2000/svg}text")]
    assert {node.path for node in large.numbers.nodes} <= set(texts)


@pytest.mark.parametrize("which", ["small", "large"])
def test_the_png_shows_the_same_drawing(which, request):
    made = request.getfixturevalue(which)
    image = Image.open(io.BytesIO(made.png()))
    root = ElementTree.fromstring(made.svg())
    assert image.size == tuple(round(2 * float(root.get(side))) for side in ("width", "height"))
    assert len(image.convert("RGB").getcolors(1 << 20)) > 20  # lines and letters, smoothed


@pytest.mark.parametrize("which", ["small", "large"])
def test_the_latex_is_balanced_and_has_equations_with_their_numbers(which, request):
    made = request.getfixturevalue(which)
    text = made.latex()
    begun, ended = (re.findall(rf"\\{word}{{(\w+\*?)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert text.isascii(), {letter for letter in text if not letter.isascii()}
    assert r"\[ y = x W + b \]" in text
    if which == "small":
        value = made.figures(4).number(made.numbers.loss)
        assert f"= {value} " in text


def test_unknown_signs_are_set_as_mathematics_and_names_upright():
    assert latex.formula("δ dense_1[0,1] = 0.5*(1 - 0.2²)") == (
        r"\delta  \mathrm{dense\_1}_{0,1} = 0.5\cdot (1 - 0.2^2 )"
    )
    assert latex.text("50% of a_b & σ") == r"50\% of a\_b \& $\sigma$"
