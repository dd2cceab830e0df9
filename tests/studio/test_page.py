"""The page in a real browser: a person's way from an empty folder to a run examined in detail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrograd.record.events import Epoch, Health, Intervention, Started, Stopped
from retrograd.record.writer import RunWriter

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: the page is not tested")
if not CHROMIUM.exists():
    pytest.skip(f"there is no {CHROMIUM}: the page is not tested", allow_module_level=True)

PATIENCE = 60_000  # milliseconds; a busy machine compiles slowly
HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "n" * 100
pytestmark = pytest.mark.xdist_group("studio")  # one browser, one bench


def write_run(root, name, *, epochs=40, stopped=True):
    with RunWriter.create(root, name) as run:
        run.write_config("data: xor\nnetwork:\n  - dense: 2\n  - tanh\n  - dense: 1\n")
        run.record(Started(name, "binary", 0, epochs=epochs))
        for number in range(1, epochs + 1):
            scores = {"valid": {"loss": 1.5 / number, "accuracy": 1 - 0.5 / number}}
            run.record(Epoch(number, 2 * number, 1 / number, scores, 0.1, 0.1 * number))
        run.record(
            Health(
                2 * epochs,
                {"output_rms": {"dense_1": 1.0, "tanh_1": 0.5}, "delta_rms": {"dense_1": 1e-6, "tanh_1": 0.01}},
            )
        )
        run.record(Intervention(20, "the loss rose", "the learning rate was halved", "optimizer.sgd: 0.05"))
        if stopped:
            metrics = {"valid": {"loss": 0.04, "accuracy": 0.98}}
            run.record(Stopped("epochs", 2 * epochs, epochs, epochs, 4.0, "ab", metrics, "all epochs done"))
    return run.path


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio in its own process: its folder, and what it printed."""
    place = tmp_path_factory.mktemp("studio")
    command = [sys.executable, "-m", "retrograd", "studio", "runs", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=place, env={**os.environ, "NO_PROXY": "*"})
    yield place / "runs", json.loads(process.stdout.readline())
    process.terminate()
    process.wait(20)
    process.stdout.close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as program:
        chromium = program.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(studio, browser):
    """A page of the studio; any error on it and any request to another host fails the test."""
    _, facts = studio
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: None if request.url.startswith((facts["url"], "data:")) else faults.append(request.url),
    )
    page.goto(f"{facts['url']}#token={facts['token']}")
    page.get_by_role("heading", name="Runs").wait_for()
    yield page
    context.close()
    assert faults == []


def width_of(page):
    return page.evaluate("document.documentElement.scrollWidth")


def test_the_token_leaves_the_address_and_without_it_nothing_is_shown(page, studio, browser):
    assert "token" not in page.url
    page.reload()
    page.get_by_role("heading", name="Runs").wait_for()
    assert page.get_by_role("alert").first.is_hidden()
    stranger = browser.new_page()
    stranger.goto(studio[1]["url"])
    stranger.get_by_text("This page has no token").wait_for()
    stranger.close()


def test_from_an_example_to_a_step_whose_weight_is_edited(page):
    example = page.locator(".example", has_text="xor")
    example.get_by_role("link", name="View").click()
    page.locator(".layer").nth(1).wait_for()
    text = page.get_by_label("Configuration as YAML")
    text.fill(text.input_value().replace("- dense: 1\n", "- dens: 1\n"))
    page.get_by_role("button", name="line 6").wait_for()  # the error is marked on its line
    text.fill(text.input_value().replace("- dens: 1\n", "- dense: 1\n").replace("epochs: 2000", "epochs: 50"))
    page.locator(".problem").first.wait_for(state="detached")
    page.get_by_text("9", exact=True).first.wait_for()
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("Ended:").wait_for()
    page.locator(".tiles .big", has_text="accuracy").wait_for()
    page.locator(".planes canvas[aria-label^='epoch 50']").wait_for()  # the weights of a small network are stored,
    page.get_by_label("epoch", exact=True).fill("0")  # and so are its predictions with them
    page.locator(".planes canvas[aria-label^='epoch 0']").wait_for()
    page.locator(".weights", has_text="step 0").wait_for()
    page.get_by_role("link", name="Step by step").click()
    loss = page.locator(".lossline b")
    loss.wait_for()
    before = loss.text_content()
    page.get_by_role("button", name="backward", exact=True).click()
    page.locator("g[data-weight]").first.click()
    field = page.locator(".editor input[type=number]")
    field.fill("1.5")
    field.press("Enter")
    page.locator(".lossline s", has_text=before).wait_for()
    assert loss.text_content() != before
    page.locator(".sum.changed").first.wait_for()  # the old value next to the new one
    page.get_by_role("button", name="Undo 1 edit").click()
    page.locator(".lossline s").wait_for(state="detached")
    assert loss.text_content() == before


def test_a_layer_is_moved_with_the_keyboard_and_the_text_is_updated(page):
    page.goto(f"{page.url.partition('#')[0]}#new/1-xor")
    page.locator(".layer").nth(1).wait_for()
    text = page.get_by_label("Configuration as YAML")
    text.fill("data: xor\nnetwork:\n  - dense: 3  # three\n  - dense: 4\n  - dense: 1\n")
    page.locator(".layer").nth(2).wait_for()
    page.locator(".layer").first.press("Alt+ArrowDown")
    page.locator(".layer").nth(1).and_(page.locator(":focus")).wait_for()
    assert "  - dense: 4\n  - dense: 3  # three\n  - dense: 1" in text.input_value()


SICK = """name: sick
data: circles
network:
  - dense: {units: 5, activation: sigmoid}
  - dense: {units: 5, activation: sigmoid}
  - dense: {units: 5, activation: sigmoid}
  - dense: {units: 5, activation: sigmoid}
  - dense: {units: 5, activation: sigmoid}
  - dense: 1
training: {epochs: 60}
"""
FOCUSED = """(() => {
  const at = document.activeElement;
  return ["A", "BUTTON", "INPUT", "TEXTAREA", "SUMMARY"].includes(at.tagName) ? at.ariaLabel || at.innerText : "";
})()"""


def press(page, name, key="Enter"):
    """Move to a control with the Tab key alone, and press a key there."""
    passed = []
    while not passed or name not in passed[-1]:
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED))
        assert len(passed) < 150, f"{name} is not among {passed}"
    page.keyboard.press(key)


def test_a_sick_network_is_cured_with_the_keyboard_alone(page):
    press(page, "New")
    press(page, "View")
    page.locator(".layer").nth(1).wait_for()
    press(page, "Configuration as YAML", "Control+a")
    page.keyboard.insert_text(SICK)
    page.locator(".layer").nth(5).wait_for()
    press(page, "Start training")
    page.get_by_text("Ended:").wait_for()
    press(page, "Step by step")
    page.locator(".lossline").wait_for()
    press(page, "Doctor")
    page.locator(".ask-doctor").wait_for()
    press(page, "Examine")
    page.locator(".verdictcard.bad").wait_for()
    page.get_by_role("button", name="Examine again").wait_for()  # the examination has ended: nothing is redrawn
    assert "Deep saturation" in page.locator(".cause h3").first.inner_text()
    press(page, "Hidden relu")
    page.locator(".diff .plus").first.wait_for()
    press(page, "Apply: train a twin")
    page.locator(".twin .outcome b.good").wait_for()  # the twin beats the patient
    press(page, "Predict")
    page.locator(".body .card").first.wait_for()


def test_a_stopped_run_continues(page, studio):
    page.get_by_role("link", name="New", exact=True).click()
    page.locator(".example", has_text="xor").get_by_role("link", name="View").click()
    page.locator(".layer").nth(1).wait_for()
    text = page.get_by_label("Configuration as YAML")
    text.fill(text.input_value().replace("epochs: 2000", "epochs: 3000000"))
    page.get_by_role("button", name="Start training").click()
    page.locator(".badge.live").wait_for()
    page.locator(".curve").first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator(".badge.act").wait_for()
    epochs = page.locator(".tiles > div", has_text="Epochs").locator("dd").first
    reached = int(epochs.text_content().split()[0].replace(",", ""))
    page.get_by_role("button", name="Resume").click()
    page.locator(".badge.live").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator(".badge.act").wait_for()
    page.wait_for_function(  # the page reads the log again, epoch by epoch
        "([tile, reached]) => parseInt(tile.textContent.replaceAll(',', '')) >= reached",
        arg=[epochs.element_handle(), reached],
    )


def test_runs_of_any_name_are_listed_opened_and_compared(page, studio):
    root, _ = studio
    first, second = write_run(root, HOSTILE), write_run(root, "plain")
    page.goto(f"{studio[1]['url']}#runs")
    page.locator(".item", has_text="onerror").wait_for()
    page.get_by_label(f"compare {first.name}").check()
    page.get_by_label(f"compare {second.name}").check()
    page.get_by_role("link", name="Compare 2 runs").click()
    page.get_by_text("The settings are the same").wait_for()
    page.go_back()
    page.locator(".item", has_text="onerror").locator("a.name").click()
    page.locator(".pins", has_text="the learning rate was halved").wait_for()
    page.locator(".spine .down.odd").wait_for()  # an almost vanished delta


@pytest.mark.parametrize("screen", ["#runs", "#new", "#run/{run}", "#run/{run}/doctor", "#compare/{run},{run}"])
def test_a_phone_shows_every_screen_without_scrolling_sideways(page, studio, screen):
    root, facts = studio
    run = next((path for path in root.glob("*-plain")), None) or write_run(root, "plain")
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.goto(f"{facts['url']}{screen.format(run=run.name)}")
    page.locator("#main > *").first.wait_for()
    page.locator(".card").first.wait_for()
    assert width_of(page) <= 390


def test_the_page_speaks_chinese(page):
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="训练记录").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Runs").wait_for()


def test_a_log_that_is_replaced_while_it_is_followed_is_shown_again(page, studio):
    root, facts = studio
    path = write_run(root, "followed", epochs=40, stopped=False)
    page.goto(f"{facts['url']}#run/{path.name}")
    epochs = page.locator(".tiles > div", has_text="Epochs").locator("dd").first
    page.locator(".tiles dd", has_text="40").first.wait_for()
    log = path / "events.jsonl"
    (path / "new").write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:8]))
    os.replace(path / "new", log)
    page.locator(".tiles dd", has_text="7 / 40").wait_for()
    assert epochs.text_content() == "7 / 40"


def test_eight_tabs_follow_a_run(page, studio):
    root, facts = studio
    path = write_run(root, "eight", epochs=4, stopped=False)
    tabs = [page.context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto(f"{facts['url']}#token={facts['token']}")
        tab.goto(f"{facts['url']}#run/{path.name}")
    with RunWriter.resume(path) as run:
        run.record(Epoch(5, 10, 0.2, {}, 0.1, 0.5))
        for tab in tabs:
            tab.locator(".tiles dd", has_text="5 / 5").first.wait_for()
