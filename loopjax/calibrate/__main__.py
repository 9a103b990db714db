"""``python -m loopjax.calibrate``: measures the constants of the cost model, and the regret of its decisions.

Prints both as tables; ``--write`` replaces the table of constants of this backend in the package.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from loopjax.calibrate import constants
from loopjax.calibrate.bodies import generate
from loopjax.calibrate.regret import Regret, measured
from loopjax.rewrite.cost_model import Constants, read_constants, table_path

REPORTED = 1.15
"""Regret from which a loop is listed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m loopjax.calibrate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first generated loop (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=400.0, help="for generated loops (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few constants and one loop: a test, no measurement")
    parser.add_argument("--write", action="store_true", help="replace the constants of this backend in the package")
    options = parser.parse_args(arguments)
    if options.write and options.quick:
        parser.error("--write keeps what is measured, and --quick measures too little; leave one of them out")
    backend = jax.default_backend()
    with jax.enable_x64(True):
        if backend == "cpu":
            found = constants.measured(options.quick)
            print(_constants(found, read_constants(backend)), flush=True)
            if options.write:
                table_path(backend).write_text(found.to_json())
                print(f"written: {table_path(backend)}")
        else:
            print(f"no constants of the model are fitted on a {backend}: its thresholds are in rewrite/gpu_unroll.py")
        regrets = list(_regrets(options.seed, 0.0 if options.quick else options.seconds))
    print(summary(regrets))
    return 0


def _constants(found: Constants, present: Constants) -> str:
    lines = [f"{found.machine}, jax {found.jax}, {found.date}: nanoseconds, residual, in the package"]
    for name, one in found.values.items():
        before = present.values.get(name, one)
        lines.append(f"{name:24} {one.value:8.3f} {one.residual:6.2f} {before.value:8.3f}")
    return "\n".join(lines)


def _regrets(seed: int, seconds: float) -> Iterator[Regret]:
    """Measure loops for some seconds, at least one, and print those where the model chose wrongly."""
    start = time.perf_counter()
    while True:
        one = measured(generate(np.random.default_rng(seed)))
        clear: Any = jax.clear_caches
        clear()
        if one.regret > REPORTED:
            print(
                f"{seed}: {one.regret:.2f} times that of {one.best}, {one.plain:.2f} of plain: {one.body}", flush=True
            )
        yield one
        seed += 1
        if time.perf_counter() - start > seconds:
            return


def summary(regrets: Sequence[Regret]) -> str:
    """The quantiles of regrets and of ratios to the plain loop."""
    rows = {
        "time chosen over that of the best alternative": [one.regret for one in regrets],
        "the same, no unroll factor forced": [one.unforced for one in regrets],
        "over that of the plain loop": [one.plain for one in regrets],
    }
    lines = [f"{len(regrets)} generated loops: median, 95th percentile, most, geometric mean"]
    for name, values in rows.items():
        middle, high, most = np.quantile(values, [0.5, 0.95, 1.0])
        lines.append(f"{name:48} {middle:.2f} {high:.2f} {most:.2f} {math.exp(np.mean(np.log(values))):.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
