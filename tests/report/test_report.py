import io
import json
import math
import re
import shutil
from base64 import b64decode
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from retrograd.base.finding import Evidence, Finding
from retrograd.present import theme
from retrograd.present.markup import element, escaped
from retrograd.present.numbers import number
from retrograd.record.events import Epoch, Health, Intervention, Note, Started, Stopped
from retrograd.record.examination import DIAGNOSIS, REPAIR, Examined, Reason, Repaired, Tried, write_examination
from retrograd.record.judged import Judged
from retrograd.record.model import save_model
from retrograd.record.run import RunFolder
from retrograd.record.writer import RunWriter
from retrograd.report.evidence import bar
from retrograd.report.image import LOGARITHMIC, MISSING, NOT_FINITE, SHADES, SHARE, SPECIAL, picture, shade
from retrograd.report.report import report, write_report
from retrograd.report.scale import PLACES, Scale, labels, scale_for
from retrograd.report.story import Story, read_story
from retrograd.report.strip import strips

START = datetime(2031, 5, 1, 9, 30, tzinfo=UTC)
MAX_BYTES = 300_000
VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></script><!--\u202e&amp;"


class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not (self.open and "svg" in self.open and self.get_starttag_text().endswith("/>")):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append((self.open[-1] if self.open else "", data))

    @property
    def words(self):
        return " ".join(data for tag, data in self.text if tag not in ("script", "style"))

    @property
    def cells(self):
        return {data for tag, data in self.text if tag in ("td", "th", "dd", "code", "span")}

    @property
    def data(self):
        return json.loads("".join(data for tag, data in self.text if tag == "script").partition('"use strict"')[0])


def epochs(count):
    return [
        Epoch(
            i, 40 * i, 1.2345678 / i, {"valid": {"loss": 2.3456789 / i, "accuracy": 1 - 0.51234 / i}},
            0.05 / i, 0.71 * i, 3.2109876 / i,
        )
        for i in range(1, count + 1)
    ]  # fmt: skip


def health(step, scale=1.0):
    return Health(
        step,
        {
            "gradient_rms": {"dense_1/weight": 1.234e-5 * scale, "dense_2/weight": 0.00321, "dense_2/bias": 0.0},
            "dead": {"dense_1/relu": 0.625},
            "output_nonfinite": {"dense_1": 0.0},
        },
    )


EVENTS = (
    Started("digits", "multiclass", 7, "ab" * 32, "cpu", "Linux", {"jax": "0.10.2"}, time=START),
    Note("split (stratified, seed 0): 1257 train, 270 valid"),
    Note("warning: pixel_0_0: the same value in every row"),
    *epochs(12),
    health(40),
    health(80, 2.0),
    Intervention(90, "the loss rose from 0.69 to 31.4", "learning rate 0.01", "optimizer.sgd.learning_rate: 0.01"),
    Stopped("goal", 480, 12, 11, 8.52, "cd" * 32, {"test": {"loss": 0.3141592, "accuracy": 0.9722}}, "0.97 reached"),
)


DIAGNOSED = {
    "verdict": "ill",
    "sentence": "it scores 0.1",
    "findings": [{"name": "vanishing", "path": "dense_1/weight", "message": "it shrinks", "remedies": ["hidden_relu"],
                  "evidence": [{"quantity": "ratio", "value": 3.2e-9, "threshold": 1e-4}], "severity": "fault",
                  "code": "N03", "confidence": 0.9}],
}  # fmt: skip
REPAIRED = {
    "sentence": "repaired: held-out score 0.1 -> 0.97",
    "start": {"remedies": [], "scores": [0.1, 0.12, 0.08], "mean": 0.1, "spread": 0.0115},
    "tried": [
        {"remedies": ["widen"], "glances": [0.31]},
        {"remedies": ["hidden_relu", "adam"], "scores": [0.96, 0.98], "mean": 0.97, "spread": 0.01, "gain": 0.87,
         "accepted": True},
        {"remedies": ["adam"], "scores": ["nan"], "mean": "nan", "gain": "nan"},
        {"remedies": ["fewer_layers"], "scores": [-1], "refusal": "a shape does not fit"},
    ],
    "remedies": [{"name": "hidden_relu", "why": "relu passes deltas"}],
    "updates": 4321,
    "difference": "--- a.yaml\n+++ b.yaml\n-old: 1\n+new: 2",
    "somebody": "added this",
}  # fmt: skip


def story(*events, header=None):
    return Story("20310501-093000-digits", "name: digits\n", tuple(events), header)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run of two dense layers with a relu between them."""
    with RunWriter.at(tmp_path_factory.mktemp("runs") / "digits") as run:
        run.write_config("name: digits\ntraining: {epochs: 12}\n")
        for event in EVENTS[:-1]:
            run.record(event)
        shapes = {"dense_1": (5, 4), "dense_2": (4, 3)}
        params = {
            node: {"weight": np.zeros(shape, "f4"), "bias": np.zeros(shape[1], "f4")} for node, shape in shapes.items()
        }
        save_model(
            run.model_path, params, {}, preprocessing={},
            config={"network": [{"dense": {"units": 4, "activation": "relu"}}, {"dense": 3}]},
            facts={"task": "multiclass", "columns": {"x": [[5], "float32"], "y": [[], "int32"]}},
        )  # fmt: skip
        run.finish(EVENTS[-1])
    write_examination(run.path / DIAGNOSIS, DIAGNOSED)
    write_examination(run.path / REPAIR, REPAIRED)
    return run.path


@pytest.fixture(scope="module")
def page(folder):
    return Page(write_report(RunFolder.open(folder)).read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------------------------- the whole


def test_the_page_holds_every_number_of_the_epochs(page):
    for epoch in epochs(12):
        own = epoch.metrics["valid"]
        numbers = (epoch.loss, *own.values(), epoch.learning_rate, epoch.gradient_norm, epoch.seconds)
        assert {number(value) for value in numbers} <= page.cells
    assert {"0.61728", "1.1728", "0.74383", "0.025", "1.6055", "1.42"} <= page.cells  # epoch 2, by hand


def test_the_page_holds_every_reading(page):
    gradients = next(strip for strip in page.data["strips"] if strip["title"].startswith("Gradients"))
    assert gradients["rows"] == ["dense_1/weight", "dense_2/bias", "dense_2/weight"]
    assert gradients["values"] == [[1.23e-5, 2.47e-5], [0, 0], [0.00321, 0.00321]]
    assert gradients["steps"] == [[40, 40], [80, 80]]
    dead = next(strip for strip in page.data["strips"] if strip["title"].startswith("Dead"))
    assert dead["values"] == [[0.625, 0.625]]


def test_the_page_shows_the_end_the_interventions_and_the_findings(page):
    assert re.search(r"reached the goal after .* epochs in .*: 0.97 reached", page.words)
    assert "epoch 11" in page.words
    for text in ("0.3142", "0.9722", "Step 90", "31.4", "learning_rate: 0.01", "3.2e-9", "1e-4", "hidden_relu",
                 "N03", "fault", "the same value in every row", "ab" * 32, "cd" * 32, "1257 train"):  # fmt: skip
        assert text in page.words


def test_the_page_shows_the_trials_their_gains_and_the_accepted_one(page):
    for text in ("it scores 0.1", "original", "+0.87", "accepted", "short trial only", "cannot be trained",
                 "4 sets of remedies in 4,321 updates", "relu passes deltas", "-old: 1\n"):  # fmt: skip
        assert text in page.words
    rows = [data for tag, data in page.text if tag == "th" and data in ("original", "hidden_relu, adam", "widen")]
    assert rows == ["original", "hidden_relu, adam", "widen"]  # whole trials before short looks


def test_later_results_that_cannot_be_read_are_reported_and_the_rest_shown(folder, tmp_path):
    run = RunFolder.open(shutil.copytree(folder, tmp_path / "run"))
    (run.path / REPAIR).write_text('{"tried": 3}')
    words = Page(report(read_story(run))).words
    assert "repair.json: sentence: Field required" in words
    assert "it shrinks" in words


def test_the_network_is_a_table_of_nodes_with_their_shapes_and_parameters(page):
    assert {"dense_1", "dense_1/relu", "dense_2", "weight 5 × 4", "bias 3", "24", "15"} <= page.cells
    assert "3 nodes" in page.words
    assert "39 parameters" in page.words


def test_a_network_that_cannot_be_built_here_is_a_table_of_its_parameters(folder, monkeypatch):
    whole = read_story(RunFolder.open(folder))
    whole.__dict__["model_config"] = {"network": [{"layer_of_somebody": 3}]}
    found = Page(report(whole))
    assert {"dense_1", "dense_2", "weight 5 × 4"} <= found.cells
    assert "2 nodes" in found.words


def test_every_page_is_well_formed_and_needs_nothing_but_itself(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "a", "form")
        assert "href" not in attributes
        assert "srcset" not in attributes
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    code = " ".join(data for tag, data in page.text if tag in ("script", "style"))
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|import\(|eval\(", code)


def test_graphics_have_words_for_those_who_do_not_see_them(page):
    graphics = [attributes for tag, attributes in page.elements if tag == "svg"]
    drawings = [each for each in graphics if "aria-hidden" not in each]
    assert len(drawings) == 4
    assert [each["class"] for each in graphics if each not in drawings] == ["bar"]  # the numbers are next to it
    loss = drawings[0]["aria-label"]
    assert "training steps: 1.235 → 0.1029" in loss
    assert "best epoch 11" in loss
    assert "the guard intervened at step 90" in loss
    heat = next(a for tag, a in page.elements if tag == "img" and "dense_2/bias" in a.get("alt", ""))
    assert "from 0 (dense_2/bias, step 40) to 0.00321" in heat["alt"]
    walked = [a for _, a in page.elements if "data-chart" in a or "data-strip" in a]
    assert walked
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in walked)


def test_a_run_that_is_no_better_than_a_constant_says_so_first():
    stopped = Stopped("epochs", 9, 9, 9, 1.0, "all 9 epochs done", {"test": {"loss": 1.0, "accuracy": 0.5}}, "")
    judged = {"classes": ("no", "yes"), "right": 55}
    lucky = Judged("test", 100, counts=((50, 0), (45, 5)), **judged)
    found = Page(report(Story("run", "", (stopped,), None, judged=lucky))).words
    assert found.index("No better than a constant") < found.index("Ended:")
    assert "accuracy 0.55, where always 'no' reaches 0.5" in found
    able = Judged("test", 100, counts=((50, 0), (20, 30)), classes=("no", "yes"), right=80)
    assert "No better than" not in Page(report(Story("run", "", (stopped,), None, judged=able))).words
    ill = Examined("ill", "it ends at 0.5", ())
    found = Page(report(Story("run", "", (stopped,), None, examined=ill, judged=able))).words
    assert found.index("it ends at 0.5") < found.index("Ended:")


def test_an_axis_of_shares_ends_at_1_and_its_labels_differ():
    scale = scale_for([1.0, 1.0], most=1.0)
    assert scale.high == 1.0
    assert scale_for([1.0, 3.0], most=1.0).high == 3.0  # what should not be is still shown
    flat = scale_for([0.003, 0.00299998], least_share=1e-3)  # a schedule that has hardly begun
    assert flat.high - flat.low == pytest.approx(1.08 * 3e-6)
    assert all(len(text) <= 8 for text in re.findall(r">([^<]+)<", "".join(labels(flat, "left", flat.ticks()))))
    close = scale_for([2.393, 2.417])
    shown = "".join(labels(close, "top", close.ticks()))
    assert re.findall(r">([\d.]+)<", shown) == ["2.395", "2.4", "2.405", "2.41", "2.415"]


def test_hostile_names_are_text():
    events = (
        Started(HOSTILE, HOSTILE, 0, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}),
        Note(HOSTILE), Note(f"warning: {HOSTILE}"),
        Epoch(1, 1, 0.5, {HOSTILE: {HOSTILE: 0.5}}, 0.1, 1.0), Epoch(2, 2, 0.4, {HOSTILE: {HOSTILE: 0.6}}, 0.1, 1.0),
        Intervention(1, HOSTILE, HOSTILE, HOSTILE), Health(1, {HOSTILE: {HOSTILE: 0.5}, "dead": {HOSTILE: 0.5}}),
        Stopped(HOSTILE, 2, 2, 1, 1.0, HOSTILE, {HOSTILE: {HOSTILE: 0.5}}, HOSTILE),
    )  # fmt: skip
    odd = Finding(HOSTILE, HOSTILE, HOSTILE, (Evidence(HOSTILE, 1.0),), (HOSTILE,), HOSTILE, HOSTILE)
    tried = Tried((HOSTILE,), (0.5,), (), 0.5, 0.0, 0.1, True, HOSTILE)
    repaired = Repaired(HOSTILE, tried, (tried, tried), (Reason(HOSTILE, HOSTILE),), 1, f"-{HOSTILE}\n+{HOSTILE}")
    examined = Examined(HOSTILE, HOSTILE, (odd,))
    found = Page(report(Story(HOSTILE, HOSTILE, events, None, HOSTILE, examined, repaired)))
    assert [tag for tag, _ in found.elements].count("script") == 2
    assert all(not name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert all(a["src"].startswith("data:") for tag, a in found.elements if tag == "img")
    assert HOSTILE.replace("\u202e", "\ufffd") in found.words
    assert "\u202e" not in found.words


@pytest.mark.parametrize(
    "events",
    [
        (),
        EVENTS[:1],
        EVENTS[:5],
        (EVENTS[0], Epoch(1, 1, math.nan, {}, None, 0.1)),
        (EVENTS[0], Stopped("non-finite", 0, 0, None, 0.0, "ab", {}, "step 1: NaN")),
        (Health(1, {}), Health(2, {"dead": {}}), Health(3, {"gradient_rms": {"a/w": math.nan}})),
        (Health(1, {"gradient_rms": {"a/w": 0.0}, "output_nonfinite": {"a": 2.0}, "own": {"a": 3e38}}),),
    ],
    ids=["nothing", "begun", "one epoch", "nan", "no epoch", "odd health", "zeros"],
)
def test_a_run_that_has_little_to_tell_has_a_page_too(events):
    assert "Configuration" in Page(report(story(*events))).words


def test_a_long_run_of_a_large_network_stays_below_the_limit_and_says_what_is_left_out():
    readings = {
        name: {f"block_{i}/dense/weight": 1.2345e-7 * (i + 1) for i in range(150)}
        for name in (
            "gradient_rms",
            "delta_rms",
            "output_rms",
            "parameter_rms",
            "dead",
            "saturated",
            "output_nonfinite",
        )
    }
    many = [Health(step, readings) for step in range(0, 400, 10)]
    text = report(story(EVENTS[0], *epochs(4000), *many, *(Note("x" * 5000) for _ in range(200)), EVENTS[-1]))
    assert len(text.encode()) < MAX_BYTES
    found = Page(text)
    assert "of 4,000 epochs; events.jsonl has all" in found.words
    assert "116 more paths are in events.jsonl" in found.words


def test_a_copy_of_the_report_goes_where_it_is_asked_for(folder, tmp_path):
    run = RunFolder.open(folder)
    assert write_report(run, tmp_path / "page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_bytes() == write_report(run).read_bytes()


# ---------------------------------------------------------------------------------------------------------- the parts


def test_a_curve_of_many_epochs_keeps_its_spikes_and_breaks_where_it_is_not_finite():
    losses = [1.0] * 3000
    losses[1234], losses[2000] = 17.0, math.nan
    found = Page(report(story(*(Epoch(i + 1, i + 1, loss, {}, 0.1, 1.0) for i, loss in enumerate(losses)))))
    loss = found.data["charts"][0]
    assert loss["series"][0]["values"][loss["x"].index(1235)] == 17
    assert loss["series"][0]["values"][loss["x"].index(2001)] == "nan"
    curve = next(a["d"] for tag, a in found.elements if tag == "path" and "curve" in a["class"])
    assert curve.count("M") == 2
    assert curve.split("L")[-1].split()[0] == str(scale_for([1, 3000]).place(3000))


def test_marks_that_would_hide_each_other_share_a_label():
    acts = [Intervention(step, "it rose", f"rate {step}") for step in (90, 90, 91, 400)]
    found = Page(report(story(*epochs(12), *acts)))
    flags = {attributes["title"] for _, attributes in found.elements if "flag" in attributes.get("class", "")}
    assert len(flags) == 2
    assert {"1-3", "4"} <= found.cells


def test_readings_that_share_a_cell_show_the_largest_and_never_hide_what_is_not_finite():
    paths = {f"n{i}/weight": 0.1 for i in range(100)}
    events = [Health(step, {"gradient_rms": {**paths, "n0/weight": float(step)}}) for step in range(1000)]
    events[500] = Health(500, {"gradient_rms": {**paths, "n7/weight": math.inf}})
    strip = strips(events, [f"n{i}" for i in range(100)])[0]
    assert strip.paths == tuple(paths)
    assert len(strip.steps) < 121
    assert list(strip.values[0]) == [last for _, last in strip.steps]
    cell = next(i for i, (first, last) in enumerate(strip.steps) if first <= 500 <= last)
    assert strip.values[7][cell] == math.inf


def test_the_rows_of_a_strip_are_in_the_order_of_the_network():
    event = Health(1, {"delta_rms": {"a": 1.0, "dense_10": 1.0, "dense_2": 1.0}})
    assert strips([event], ["dense_2", "a", "dense_10"])[0].paths == ("dense_2", "a", "dense_10")
    assert strips([event], [])[0].paths == ("a", "dense_2", "dense_10")


def test_the_picture_has_the_colour_of_each_cell():
    cells = [[shade(0.0), shade(1.0), MISSING], [SPECIAL["zero"], SPECIAL["not finite"], shade(2.0)]]
    image = Image.open(io.BytesIO(b64decode(picture(cells, SHARE).partition(",")[2]))).convert("RGBA")
    assert image.size == (3, 2)
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(*SHARE[0], 255), (*SHARE[-1], 255)]
    assert image.getpixel((2, 0))[3] == 0
    assert [image.getpixel((x, 1)) for x in range(3)] == [(0, 0, 0, 255), (*NOT_FINITE, 255), (*SHARE[-1], 255)]


def test_the_ramps_are_distinguishable_without_hue():
    for ramp in (LOGARITHMIC, SHARE):
        lights = [luminance(colour) for colour in ramp]
        assert lights in (sorted(lights), sorted(lights, reverse=True))
    assert SHADES < SPECIAL["not finite"] < MISSING


def test_an_axis_has_round_ticks_inside():
    assert Scale(0.0, 1.0).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert scale_for([1e-4, 1.0], may_be_logarithmic=True).ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert scale_for([3.0, 3.0]).ticks()
    assert scale_for([math.nan]) is None
    assert scale_for([0.0, 100.0], may_be_logarithmic=True).logarithmic is False
    for values in ([1e-30, 1e30], [2.0, 90.0], [-1e308, 1e308 / 2]):
        axis = scale_for(values, may_be_logarithmic=True)
        assert 2 <= len(axis.ticks()) <= 8
        assert all(0 <= axis.place(tick) <= PLACES for tick in axis.ticks())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1"), (0.123456789, "0.12346"), (31415.9265, "31,416"), (1.5e-7, "1.5e-7"), (2e12, "2e12"),
        (-0.00012, "-1.2e-4"), (math.nan, "nan"), (-math.inf, "-inf"), (None, "-"), (1234567, "1,234,567"),
    ],
)  # fmt: skip
def test_numbers_are_written_short(value, text):
    assert number(value) == text


def test_long_texts_are_cut_and_our_own_paths_are_not():
    assert len(escaped("x" * 10_000)) < 700
    assert "10,000 characters" in escaped("x" * 10_000)
    assert element("p", "a<b", title='"') == '<p title="&quot;">a&lt;b</p>'


# ----------------------------------------------------------------------------------------------------------- the look


def luminance(colour):
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    lights = sorted(luminance([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_every_colour_stands_out_from_its_background_in_light_and_in_dark():
    css = theme.CSS
    modes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    for colours in modes[:2]:
        for name in ("ink", "soft", "good", "act", "bad"):  # words: the ratio that WCAG 2 AA asks for
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
            assert contrast(colours[name], colours["card"]) >= 4.5, name
        for name, paper in (("ink", "act-paper"), ("act", "act-paper"), ("ink", "bad-paper"), ("bad", "bad-paper"),
                            ("soft", "bad-paper"), ("soft", "act-paper"), ("act", "bad-paper")):  # fmt: skip
            assert contrast(colours[name], colours[paper]) >= 4.5, (name, paper)
        for name in ("s0", "s1", "s2", "s3", "focus"):  # lines
            assert contrast(colours[name], colours["card"]) >= 3, name


@pytest.mark.parametrize(
    ("value", "threshold", "left", "right", "mark"),
    [(2.0, 1.0, 37, 963, 500), (-2.0, 1.0, 37, 654, 963), (1e4, 1.0, 0, 963, 37), (1e-6, 1e-3, 0, 37, 963)],
)
def test_evidence_is_drawn_from_0_or_on_decades_with_its_threshold(value, threshold, left, right, mark):
    drawn = bar(Evidence("ratio", value, threshold))
    assert f"M{left} 15H{right}V" in drawn
    assert f"M{mark} 0V" in drawn


def test_evidence_without_a_threshold_or_a_number_is_not_drawn():
    assert bar(Evidence("ratio", 2.0)) == bar(Evidence("ratio", math.nan, 1.0)) == ""
    assert bar(Evidence("ratio", 0.0, 0.0))
