"""Tables of PyTensor programs and PyMC models: ``python -m benchmarks.pytensor programs|models [NAMES] [--save]``.

Each row compares values and gradients with PyTensor's reference (programs) or default mode (models), and times the
first result, with compilation, and a call. Modes that refuse a program say so.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytensor

import loopjax.pytensor
from benchmarks.environment import environment, label
from benchmarks.table import markdown

RESULTS = Path(__file__).parents[1] / "results"

Row = dict[str, Any]


def timed(call: Callable[[], Any], seconds: float = 0.2) -> float:
    """The least time of a call, in milliseconds."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        jax.block_until_ready(call())
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def error(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """The greatest difference, relative where values are greater than 1."""
    pairs = [(np.asarray(one, float), np.asarray(other, float)) for one, other in zip(found, expected, strict=True)]
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)), initial=0.0)) for a, b in pairs)


def measured(make: Callable[[], Callable[..., Any]], args: Sequence[Any], expected: Sequence[Any]) -> Row:
    """Error, time to the first result and time of a call; or the kind of error that the mode raises."""
    start = time.perf_counter()
    try:
        f = make()
        found = f(*args)
        jax.block_until_ready(found)
    except Exception as failed:
        return {"refused": type(failed).__name__, "text": str(failed)[:200]}
    first = time.perf_counter() - start
    return {"error": error(found, expected), "first_s": first, "call_ms": timed(lambda: f(*args))}


MODES = {"LoopJAX": loopjax.pytensor.mode(), "Numba": "NUMBA", "JAX": "JAX"}
"""The modes of the table of programs."""


def program_row(name: str, keys: Sequence[str]) -> dict[str, Row]:
    """A program in each mode: its value and gradient in one function."""
    from benchmarks.pytensor.programs import PROGRAMS

    made = PROGRAMS[name]()
    outputs = [made.cost, *(pytensor.gradient.grad(made.cost, made.wrt) if made.wrt else [])]

    def compiled(mode: Any) -> Callable[..., Any]:
        f = pytensor.function(made.inputs, outputs, mode=mode, on_unused_input="ignore")
        f.trust_input = True
        return f

    args = [np.asarray(one) for one in made.args]
    expected = compiled("FAST_COMPILE")(*args)
    return {key: measured(lambda mode=MODES[key]: compiled(mode), args, expected) for key in keys}


def model_row(name: str) -> dict[str, Row]:
    """A model's log density and gradient as a JAX function, through LoopJAX and PyTensor, and in LoopJAX's mode."""
    from pymc.sampling.jax import get_jaxified_logp

    from benchmarks.pytensor.models import MODELS

    model = MODELS[name]()
    rng = np.random.default_rng(1)
    point = {key: np.asarray(v + 0.1 * rng.normal(size=np.shape(v))) for key, v in model.initial_point().items()}
    expected = [model.compile_logp()(point), model.compile_dlogp()(point)]
    arrays = [jax.numpy.asarray(point[variable.name]) for variable in model.value_vars]

    def jitted() -> Callable[..., Any]:
        density = jax.jit(jax.value_and_grad(get_jaxified_logp(model)))

        def both(*args: Any) -> list[Any]:
            value, gradient = density(list(args))
            return [value, jax.numpy.concatenate([one.ravel() for one in gradient])]

        return both

    def in_mode() -> Callable[..., Any]:
        value, gradient = model.compile_logp(), model.compile_dlogp()
        return lambda *_: [value(point), gradient(point)]

    signs = [-expected[0], -expected[1]] if _is_negated(jitted, arrays, expected) else expected
    with loopjax.pytensor.pymc():
        rows = {"mode": measured(in_mode, arrays, expected), "LoopJAX": measured(jitted, arrays, signs)}
    return {**rows, "JAX": measured(jitted, arrays, signs)}


def _is_negated(make: Callable[[], Callable[..., Any]], arrays: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Test for versions of PyMC whose function returns the negative log density."""
    with loopjax.pytensor.pymc():
        return bool(np.sign(make()(*arrays)[0]) != np.sign(expected[0]))


def cell(row: Row) -> str:
    """A row's figures in one cell."""
    if "refused" in row:
        return f"refuses ({row['refused']})"
    return f"{row['error']:.0e}, {row['first_s']:.1f} s, {row['call_ms']:.3f} ms"


def save(kind: str, name: str, row: dict[str, Row]) -> None:
    """Add a row's modes to the file of results of this machine and these versions."""
    path = RESULTS / f"{label()}-pytensor-{kind}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    rows[name] = {**rows.get(name, {}), **row}
    versions = {one: version(one) for one in ("pytensor", "numba")}
    path.write_text(json.dumps({"environment": {**environment(), **versions}, "rows": rows}, indent=1) + "\n")


def main() -> None:
    """Print the table, row by row, and save it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["programs", "models"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--modes", nargs="*", choices=list(MODES), default=list(MODES))
    parser.add_argument("--save", action="store_true", help="add the rows to the file of results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.kind == "programs":
        from benchmarks.pytensor.programs import PROGRAMS as KNOWN
    else:
        from benchmarks.pytensor.models import MODELS as KNOWN
    rows: dict[str, dict[str, Row]] = {}
    for name in options.names or KNOWN:
        rows[name] = program_row(name, options.modes) if options.kind == "programs" else model_row(name)
        if options.save:
            save(options.kind, name, rows[name])
        print(name, *(f"{key}: {cell(row)}" for key, row in rows[name].items()), sep=" | ", flush=True)
    keys = list(next(iter(rows.values())))
    print(markdown(["", *keys], [[name, *(cell(row[key]) for key in keys)] for name, row in rows.items()]))
    both = [row for row in rows.values() if all("call_ms" in row.get(key, {}) for key in ("LoopJAX", "JAX"))]
    ratios = [row["LoopJAX"]["call_ms"] / row["JAX"]["call_ms"] for row in both]
    if ratios:
        print(
            f"LoopJAX over JAX where both run: median {np.median(ratios):.2f}, worst {max(ratios):.2f}, of {len(both)}"
        )


if __name__ == "__main__":
    main()
