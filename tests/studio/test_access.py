"""Accessibility: axe reports nothing, and on a phone nothing is cut off, too small to read or too small to touch.

axe-core is not part of this project: `npm pack axe-core`, unpack it, and pass its path:
`AXE=package/axe.min.js pytest tests/studio/test_access.py`. Without it only sizes are tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrograd.record.events import Health, write_event
from tests.studio.test_page import PATIENCE, browser, playwright, studio

__all__ = ["browser", "playwright", "studio"]  # fixtures, and the reason for skipping

AXE = os.environ.get("AXE")
pytestmark = pytest.mark.xdist_group("studio")
SCREENS = {
    "runs": ("#runs", ".item"),
    "new": ("#new/1-xor", ".layer"),
    "course": ("#run/{run}", ".spine"),
    "step": ("#run/{run}/step", ".lossline"),
    "doctor": ("#run/{run}/doctor", ".ask-doctor, .verdictcard"),
    "predict": ("#run/{run}/predict", ".body .card"),
    "compare": ("#compare/{run},{run}", ".chart"),
}
# Text drawn below 12 px; controls smaller than 24 px, except links within a line; elements
# that extend beyond the screen without a scrolling box.
SIZES = """() => {
  const faults = [], seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length;
  const name = (e) => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""} "${(e.textContent || e.getAttribute("aria-label") || "").trim().slice(0, 30)}"`;
  const scrolls = (e) => { for (let p = e.parentElement; p; p = p.parentElement) if (/auto|scroll|hidden/.test(getComputedStyle(p).overflowX)) return true; return false; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !seen(e) || e.closest(".unseen, title, .skip")) continue;
    const scale = e.ownerSVGElement ? e.getScreenCTM().a : 1, size = parseFloat(getComputedStyle(e).fontSize) * scale;
    if (size < 11.99) faults.push(`${size.toFixed(1)} px: ${name(e)}`);
  }
  for (const e of document.querySelectorAll("a, button, input, select, summary, textarea, [role=button]")) {
    const box = e.getBoundingClientRect(), isInLine = e.tagName === "A" && getComputedStyle(e).display === "inline";
    if (seen(e) && !isInLine && !e.closest(".skip, svg") && e.className !== "skip" && Math.min(box.width, box.height) < 23.9) faults.push(`${box.width.toFixed(0)} x ${box.height.toFixed(0)}: ${name(e)}`);
  }
  for (const e of document.querySelectorAll("#main *, .bar *")) {
    const box = e.getBoundingClientRect();
    if (seen(e) && box.right > innerWidth + 1 && !scrolls(e) && !e.ownerSVGElement) faults.push(`to ${box.right.toFixed(0)} px: ${name(e)}`);
  }
  return [...new Set(faults)];
}"""


def trained(root):
    """Return a run with a model and with more layers in its readings than fit on a phone."""
    path, config = root / "trained", root.parent / "xor.yaml"
    if not path.exists():
        config.write_text("data: xor\nnetwork:\n  - dense: {units: 2, activation: tanh}\n  - dense: 1\n")
        command = ["train", str(config), "--run", str(path), "--epochs", "20", "--quiet"]
        subprocess.run([sys.executable, "-m", "retrograd", *command], check=True, capture_output=True)
        names = map("layer_{}".format, range(9))
        with open(path / "events.jsonl", "ab") as stream:
            stream.write(write_event(Health(20, {"output_rms": dict.fromkeys(names, 1.0)})))
    return path


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_everybody_can_read_and_touch_every_screen(studio, browser, width, colours):
    if not AXE and (width, colours) != (390, "light"):
        pytest.skip("AXE does not say where axe.min.js of axe-core is: contrast and names are not tested")
    root, facts = studio
    run = trained(root)
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=colours, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{facts['url']}#token={facts['token']}")
    page.locator(".bar").wait_for()
    faults = {}
    for name, (address, selector) in SCREENS.items():
        page.goto(f"{facts['url']}{address.format(run=run.name)}")
        page.locator(selector).first.wait_for()
        problems = page.evaluate(SIZES) if width == 390 else []
        if AXE:
            page.evaluate(Path(AXE).read_text(encoding="utf-8"))
            violations = json.loads(page.evaluate("axe.run().then((found) => JSON.stringify(found.violations))"))
            problems += [f"{v['id']}: {[node['html'][:120] for node in v['nodes'][:3]]}" for v in violations]
        faults |= {name: problems} if problems else {}
    context.close()
    assert faults == {}
