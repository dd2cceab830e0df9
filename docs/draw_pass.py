"""Draw one pass of the worked example as docs/pass.svg: forward numbers above, deltas below, gradients on the links.

python docs/draw_pass.py
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

from one_step_by_hand import one_step

INK, FORWARD, BACKWARD, PAPER, LINE = "#1f2933", "#0b6e4f", "#b3261e", "#fbfaf7", "#9aa5b1"
PLACES = {"x1": (90, 110), "x2": (90, 290), "h1": (390, 110), "h2": (390, 290), "out": (690, 200)}


def text(x: float, y: float, words: str, colour: str = INK, size: int = 15, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{words}</text>'


def link(a: str, b: str, weight: float, grad: float, at: float) -> str:
    (x1, y1), (x2, y2) = PLACES[a], PLACES[b]
    x, y = x1 + (x2 - x1) * at, y1 + (y2 - y1) * at
    line = f'<line x1="{x1 + 34}" y1="{y1}" x2="{x2 - 34}" y2="{y2}" stroke="{LINE}" stroke-width="1.5"/>'
    box = f'<rect x="{x - 48}" y="{y - 19}" width="96" height="38" rx="5" fill="{PAPER}"/>'
    return (
        line + box + text(x, y - 4, f"w {weight:+.2f}", size=13) + text(x, y + 13, f"∂L/∂w {grad:+.4f}", BACKWARD, 12)
    )


def unit(name: str, title: str, above: str, below: str) -> str:
    x, y = PLACES[name]
    circle = f'<circle cx="{x}" cy="{y}" r="34" fill="white" stroke="{INK}" stroke-width="1.5"/>'
    return circle + text(x, y + 5, title) + text(x, y - 44, above, FORWARD, 13) + text(x, y + 54, below, BACKWARD, 13)


def draw() -> str:
    record, losses, deltas, grads, _ = one_step()
    z, a, d = (
        np.asarray(t["hidden" + end])[0]
        for t, end in ((record.outputs, ""), (record.outputs, "/sigmoid"), (deltas, ""))
    )
    out_z, out_a, out_d = (
        float(np.asarray(t)[0, 0]) for t in (record.outputs["out"], record.outputs["out/sigmoid"], deltas["out"])
    )
    w1, g1 = ([[0.5, 0.9], [0.4, 1.0]], np.asarray(grads["hidden"]["weight"]))
    w2, g2 = ([-1.2, 1.1], np.asarray(grads["out"]["weight"])[:, 0])
    parts = [link(f"x{i + 1}", f"h{j + 1}", w1[i][j], g1[i, j], (0.5, 0.3)[i != j]) for i in (0, 1) for j in (0, 1)]
    parts += [link(f"h{i + 1}", "out", w2[i], g2[i], 0.5) for i in (0, 1)]
    parts += [unit(f"x{i + 1}", "1", f"x{i + 1}", "") for i in (0, 1)]
    parts += [unit(f"h{j + 1}", "σ", f"z {z[j]:.4f}   a {a[j]:.4f}", f"δ {d[j]:+.4f}") for j in (0, 1)]
    parts += [unit("out", "σ", f"z {out_z:.4f}   a {out_a:.4f}", f"δ {out_d:+.4f}")]
    parts += [
        text(690, 330, f"target 0, loss ½(a − y)² = {float(losses['loss']):.4f}"),
        text(90, 380, "forward →", FORWARD, 15, "start"),
        text(190, 380, "← backward", BACKWARD, 15, "start"),
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 400" font-family="Georgia, serif">'
    return "\n".join([head, f'<rect width="840" height="400" fill="{PAPER}"/>', *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    (HERE / "pass.svg").write_text(draw(), encoding="utf-8")
