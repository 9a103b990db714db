"""The page on rewrites names them all and quotes the file of measured effects."""

import json
import re
from pathlib import Path
from statistics import geometric_mean

from loopjax.rewrite.target import REWRITES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rewrites.md").read_text()
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "cpu-jax0.10.2-ablation.json").read_text())["workloads"]

REMOVED = {"constants", "complex_states", "dead_iterations"}
"""Rewrites that were measured and are no more."""

TOGETHER = {"`scan_cse`, `licm`, `dce`": "prune", "`loop_prologue`, `block_sampling`": "hoist"}
"""Rewrites that were one when they were measured."""


def test_the_page_has_the_table():
    table = PAGE.partition("| name | what it does |")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, flags=re.MULTILINE)) == REWRITES


def test_effects_are_those_of_the_file():
    rows = re.findall(r"^\| (.+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\w-]+) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) > 15
    for names, *quoted in rows:
        key = TOGETHER.get(names, names.strip("`"))
        assert names in TOGETHER or key in {*REWRITES, "none of them"}
        times = {one["name"]: one["without"][key]["time"]["median"] for one in RESULTS if key in one["without"]}
        most = max(times, key=times.get)
        mean = geometric_mean(times.values())
        assert quoted == [str(len(times)), f"{mean:.2f}", f"{times[most]:.2f}", most]


def test_every_measured_rewrite_is_in_the_table():
    measured = {name for one in RESULTS for name in one["without"]} - REMOVED
    quoted = re.findall(r"^\| (.+) \| \d+ \| [\d.]+ \| [\d.]+ \| [\w-]+ \|$", PAGE, flags=re.MULTILINE)
    assert measured == {TOGETHER.get(names, names.strip("`")) for names in quoted}
