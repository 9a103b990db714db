"""The README's picture of measured times, drawn from files of results.

    python -m benchmarks.picture

A dot is a workload, a bar the geometric mean. The file follows light and dark pages.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import geometric_mean
from typing import Any, NamedTuple

from benchmarks.results import FOLDER

FILE = Path(__file__).parents[1] / "docs" / "images" / "benchmarks.svg"

ROWS = (
    ("plain JAX", "plain", "cpu-jax0.10.2"),
    ("plain JAX, held out", "plain", "cpu-jax0.10.2-held-out"),
    ("JAX by hand", "tuned", "cpu-jax0.10.2"),
    ("JAX by hand, held out", "tuned", "cpu-jax0.10.2-held-out"),
    ("PyTensor (Numba)", "pytensor", "cpu-jax0.10.2"),
    ("Aesara", "aesara", "cpu-jax0.10.2"),
)
"""Label, rival and file of results of each row."""

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 190, 20, 34, 34
LEAST, MOST = -4.0, 2.0
"""Decades at the ends of the axis."""

STYLE = """
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.dim { fill: #59636e; font-size: 12px } .grid { stroke: #d1d9e0 } .one { stroke: #59636e; stroke-width: 1.5 }
.dot { fill: #2f86d6; fill-opacity: .5 } .mean { stroke: #d9541e; stroke-width: 3 } .value { fill: #d9541e }
@media (prefers-color-scheme: dark) {
text { fill: #d1d7e0 } .dim { fill: #9198a1 } .grid { stroke: #3d444d } .one { stroke: #9198a1 }
.dot { fill: #58a6ff } .mean { stroke: #ff8c5a } .value { fill: #ff8c5a } }
"""


class Row(NamedTuple):
    """Ratios of LoopJAX's time to a rival's, of each workload."""

    label: str
    ratios: tuple[float, ...]


def rows() -> list[Row]:
    """The rows of the picture, from the files of results."""
    found = []
    for label, who, name in ROWS:
        workloads = _read(name)["workloads"]
        found.append(Row(label, tuple(one["ratios"][who]["median"] for one in workloads if who in one["ratios"])))
    return found


def machines() -> list[str]:
    """The machine, the versions and the days of each file of results."""
    lines = []
    for name in dict.fromkeys(name for _, _, name in ROWS):
        found = _read(name)
        where, days = found["environment"], sorted(one["date"][:10] for one in found["workloads"])
        what = "Held out" if name.endswith("held-out") else "Workloads"
        cores = f"{where['processors']} core{'s' * (where['processors'] > 1)} of a CPU"
        period = " to ".join(dict.fromkeys([days[0], days[-1]]))
        lines.append(f"{what}: {cores}, jax {where['jax']}, Python {where['python']}, measured {period}.")
    return lines


def picture() -> str:
    """The picture as SVG."""
    drawn = rows()
    bottom = TOP + ROW * len(drawn)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 74}" role="img">',
        "<title>Time of LoopJAX over the time of others</title>",
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="16">Time of LoopJAX / time of the other: left of 1, LoopJAX is faster</text>',
    ]
    for decade in range(int(LEAST), int(MOST) + 1):
        x = _place(10.0**decade)
        kind = "one" if decade == 0 else "grid"
        lines.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{bottom}"/>')
        lines.append(f'<text class="dim" x="{x}" y="{bottom + 16}" text-anchor="middle">{10.0**decade:g}</text>')
    for number, row in enumerate(drawn):
        middle = TOP + ROW * number + ROW // 2 - 4
        mean = geometric_mean(row.ratios)
        lines.append(f'<text x="{LEFT - 12}" y="{middle + 4}" text-anchor="end">{row.label}</text>')
        lines += [
            f'<circle class="dot" cx="{_place(ratio)}" cy="{middle + 4 * ((7 * i) % 5 - 2)}" r="3"/>'
            for i, ratio in enumerate(row.ratios)
        ]
        x = _place(mean)
        lines.append(f'<line class="mean" x1="{x}" x2="{x}" y1="{middle - 13}" y2="{middle + 13}"/>')
        lines.append(f'<text class="value" x="{WIDTH - RIGHT}" y="{middle + 4}" text-anchor="end">{mean:.2f}</text>')
    counts = ", ".join(str(len(row.ratios)) for row in drawn)
    lines.append(
        f'<text class="dim" x="12" y="{bottom + 34}">Dots: workloads ({counts}). Bars: geometric means.</text>'
    )
    for number, line in enumerate(machines()):
        lines.append(f'<text class="dim" x="12" y="{bottom + 50 + 16 * number}">{line}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def _place(ratio: float) -> float:
    share = (min(max(math.log10(ratio), LEAST), MOST) - LEAST) / (MOST - LEAST)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT - 50), 1)


if __name__ == "__main__":
    FILE.write_text(picture())
