"""The page on GPUs quotes what the file of results holds."""

import json
import re
from pathlib import Path
from statistics import geometric_mean

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gpu.md").read_text()
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "nvidia-h200-jax0.11.2.json").read_text())["workloads"]


def test_times_are_those_of_the_file():
    outcomes = {one["name"]: one["outcomes"] for one in RESULTS}
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) > 15
    for name, *quoted in rows:
        measured = [outcomes[name][who]["milliseconds"]["median"] for who in ("loopjax", "plain", "tuned")]
        assert quoted == [f"{one:.3g}" for one in measured]


def test_means_are_those_of_the_file():
    means = {
        who: geometric_mean(one["ratios"][who]["median"] for one in RESULTS if who in one["ratios"])
        for who in ("plain", "tuned")
    }
    text = " ".join(PAGE.split())
    assert f"of all {len(RESULTS)} workloads that were measured" in text
    assert f"takes {means['plain']:.2g} of the time of the first" in text
    assert f"{means['tuned']:.3g} times that of the second" in text
