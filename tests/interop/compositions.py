"""JAX's transformations as functions from a function of a vector to another one, and loops that they are applied to.

Each takes ``f`` of two numbers to a function of two numbers, so that they nest in any order. This command checks all
pairs, all triples of those that change no values, and other triples by chance, for all loops and settings::

    python -m tests.interop.compositions [--triples 40] [--seed 0] [--seconds S] [--page]

It takes about a quarter of an hour. What it finds is in ``tests/interop/results/``, a file for each version of JAX,
written after each composition; started again, it goes on (delete the file to start anew). ``--seconds`` stops it
earlier. ``--page`` only draws the tables of ``docs/compositions.md`` from these files.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import random
import sys
import time
from functools import cache
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax
import loopjax.tensor as at

RESULTS = pathlib.Path(__file__).with_name("results")
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "compositions.md"

X = np.array([1.0, 0.4], "float32")

FACTORS = np.array([1.0, 0.3], "float32")
"""Those of a batch: loops that stop by a value stop at different steps."""

N_STEPS = 4

ROWS = np.array([0.1, 0.2, 0.3, 0.4], "float32")


def custom_vjp(f):
    """``f`` with its gradient as a rule of its own."""
    g = jax.custom_vjp(f)
    g.defvjp(lambda x: jax.vjp(f, x), lambda pull, cotangent: pull(cotangent))
    return g


TRANSFORMS = {
    "jit": jax.jit,
    "vmap": lambda f: lambda x: jax.vmap(lambda k: f(x * k))(FACTORS).sum(0),
    "grad": lambda f: jax.grad(lambda x: jnp.sin(f(x)).sum()),
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.cos(x),))[1],
    "jacfwd": lambda f: lambda x: jax.jacfwd(f)(x) @ jnp.cos(x),
    "jacrev": lambda f: lambda x: jnp.cos(x) @ jax.jacrev(f)(x),
    "hessian": lambda f: lambda x: jax.hessian(lambda x: jnp.sin(f(x)).sum())(x) @ jnp.cos(x),
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](jnp.cos(x)),
    "checkpoint": jax.checkpoint,
    "scan": lambda f: lambda x: lax.scan(lambda c, _: (0.5 * f(c) + x, None), x, None, length=2)[0],
    "cond": lambda f: lambda x: lax.cond(x[0] > 0, f, jnp.sin, x),
    "custom_vjp": custom_vjp,
}

FORWARD = {"jvp", "jacfwd", "linearize"}
"""Transformations by forward mode, which JAX does not have of a ``custom_vjp``."""

RULED = {"grad", "jacrev", "hessian", "custom_vjp"}
"""Transformations that use the rule of a ``custom_vjp``, so that those around them see ordinary functions."""

PAIRS = [*itertools.product(TRANSFORMS, repeat=2)]
TRIPLES = [*itertools.product(TRANSFORMS, repeat=3)]


def is_defined(names):
    """Test if JAX has a composition: the last name is the innermost."""
    for place, name in enumerate(names):
        around = [outer for outer in reversed(names[:place]) if outer in FORWARD | RULED]
        if name == "custom_vjp" and around and around[0] in FORWARD:
            return False
    return True


def composed(names, f):
    """``f`` transformed by all, by the last name first."""
    for name in reversed(names):
        f = TRANSFORMS[name](f)
    return f


def plain(x):
    return loopjax.scan(lambda s: at.sin(s) + 0.1 * x, outputs_info=x, n_steps=N_STEPS)[0][-1]


def until(x):
    fn = lambda s: (0.7 * at.sin(s) + 0.1 * x, loopjax.until(s.sum() < 0.9))  # noqa: E731
    return loopjax.scan(fn, outputs_info=x, n_steps=N_STEPS)[0][-1]


def counted(x):
    fn = lambda t, s: ([t + 1, at.sin(s) + 0.1 * x], loopjax.until(t + 1 >= at.switch(x[0] > 0.5, 3, 2)))  # noqa: E731
    return loopjax.scan(fn, outputs_info=[at.constant(0), x], n_steps=N_STEPS)[0][1][-1]


def drawn(x):
    stream = loopjax.random.RandomStream(1)
    fn = lambda s: at.sin(s) + 0.1 * x * stream.uniform(dtype="float32")  # noqa: E731
    return loopjax.scan(fn, outputs_info=x, n_steps=N_STEPS)[0][-1]


def ragged(x):
    """Each of the two numbers as an example whose length its value decides."""
    fn = lambda row, s: at.sin(s) + row  # noqa: E731
    rows = at.outer(at.constant(ROWS), x)
    lengths = at.switch(x > 0.5, 3, 2)
    return loopjax.reduce(fn, rows, x, lengths=lengths, n_steps=N_STEPS)[0]


@cache
def draws():
    """The numbers that ``drawn`` draws."""
    with jax.ensure_compile_time_eval():
        stream = loopjax.random.RandomStream(1)
        f = loopjax.function([], loopjax.scan(lambda: stream.uniform(dtype="float32"), n_steps=N_STEPS)[0])
        return np.asarray(f())


LOOPS = {
    plain: lambda t, s, x: (jnp.sin(s) + 0.1 * x, False),
    until: lambda t, s, x: (0.7 * jnp.sin(s) + 0.1 * x, s.sum() < 0.9),
    counted: lambda t, s, x: (jnp.sin(s) + 0.1 * x, t + 1 >= jnp.where(x[0] > 0.5, 3, 2)),
    ragged: lambda t, s, x: (jnp.sin(s) + ROWS[t] * x, t + 1 >= jnp.where(x > 0.5, 3, 2)),
    drawn: lambda t, s, x: (jnp.sin(s) + 0.1 * x * draws()[t], False),
}
"""Loops and their steps in JAX: the number of the step, the state and the input to the next state and if it stops."""

SETTINGS = [(loop, dtype, dtype == "float64") for dtype in ("float64", "float32") for loop in LOOPS]
"""Loops, dtypes of their programs, and JAX's flag x64."""

OPAQUE = [(loop, "float64", False) for loop in LOOPS]
"""Programs of 64 bits without the flag, each one primitive to JAX: a composition has one of them, in turn."""


@cache
def recorded(loop, dtype):
    """A loop as a function of JAX."""
    x = at.tensor(dtype, (None,), name="x")
    f = loopjax.to_jax([x], loop(x))
    return (lambda x: f(f.init(), x)[0]) if f.variables else f


@cache
def written(loop):
    """The same function in JAX, without a loop; steps after the last one do nothing."""

    def f(x):
        state, stopped = x, False
        for t in range(N_STEPS):
            after, stops = LOOPS[loop](t, state, x)
            state, stopped = jnp.where(stopped, state, after), stopped | stops
        return state

    return f


def values(names, functions):
    """The composition of each function at ``X``, in one program, compiled without optimizations: compiling takes most
    of the time."""
    x = X.astype(jnp.result_type(float))
    program = jax.jit(lambda x: [composed(names, f)(x) for f in functions]).lower(x)
    return program.compile(compiler_options={"xla_backend_optimization_level": "0"})(x)


def assert_equal(found, expected, x64):
    """Raise where two values differ by more than rounding, of float32 unless x64 is on."""
    assert found.dtype == ("float64" if x64 else "float32")
    np.testing.assert_allclose(found, expected, rtol=1e-9 if x64 else 2e-4, atol=1e-12 if x64 else 2e-5)


def check(names, loop, dtype, x64):
    """Raise where LoopJAX's loop and JAX's differ under a composition."""
    draws()
    with jax.enable_x64(x64):
        assert_equal(*values(names, [recorded(loop, dtype), written(loop)]), x64)


def settings(names):
    """Loops, dtypes and flags that a composition is checked with."""
    place = [*TRANSFORMS].index
    return [*SETTINGS, OPAQUE[(place(names[0]) + 3 * place(names[-1])) % len(OPAQUE)]]


def found(names, wanted):
    """Values of loops of LoopJAX with one flag, as functions that return or raise."""
    functions = [recorded(loop, dtype) for loop, dtype, _ in wanted]
    try:
        return [lambda value=value: value for value in values(names, functions)]
    except Exception:  # of some: one by one
        return [lambda f=f: values(names, [f])[0] for f in functions]


def outcome(names):
    """The row of a composition: how many settings passed, and what failed. Refused where JAX refuses the functions that
    are written in it."""
    draws()
    with jax.enable_x64(True):
        try:
            expected = dict(zip(LOOPS, values(names, [written(loop) for loop in LOOPS]), strict=True))
        except Exception as failure:
            return {"passed": 0, "refused": f"{type(failure).__name__}: {str(failure)[:300]}", "failed": {}}
    failed = {}
    for x64 in (True, False):
        wanted = [one for one in settings(names) if one[2] == x64]
        with jax.enable_x64(x64):
            for (loop, dtype, _), value in zip(wanted, found(names, wanted), strict=True):
                try:
                    assert_equal(value(), expected[loop], x64)
                except Exception as failure:
                    failed[f"{loop.__name__} {dtype} x64={x64}"] = f"{type(failure).__name__}: {str(failure)[:300]}"
    return {"passed": len(settings(names)) - len(failed), "refused": "", "failed": failed}


def compositions(triples, seed):
    """All that the table has, in its order."""
    inner = [*itertools.product(("custom_vjp", "checkpoint", "scan", "cond"), repeat=3)]
    rest = [names for names in TRIPLES if names not in inner]
    return [*PAIRS, *inner, *random.Random(seed).sample(rest, triples)]


def environment():
    """Versions that a table is of."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": metadata.version("jaxlib"),
        "numpy": np.__version__,
    }


def title(names):
    return " of ".join(names)


def run(triples, seed, seconds):
    """Go through the table, from where the file ends, and save each row. Returns the rows."""
    path = RESULTS / f"compositions-jax{jax.__version__}.json"
    result = json.loads(path.read_text()) if path.exists() else {"environment": environment(), "rows": {}}
    if result["environment"] != environment():
        raise SystemExit(f"{path} is of other versions: {result['environment']}")
    start = time.monotonic()
    for names in compositions(triples, seed):
        if title(names) in result["rows"]:
            continue
        if time.monotonic() - start > seconds:
            break
        row = result["rows"][title(names)] = outcome(names)
        for which, error in row["failed"].items():
            print(title(names), which, error, flush=True)
        text = json.dumps(result, indent=1)
        path.with_suffix(".new").write_text(text + "\n")
        os.replace(path.with_suffix(".new"), path)
    return result["rows"]


def counts(rows):
    """How many settings passed, failed, and are of compositions that JAX refuses."""
    each = len(SETTINGS) + 1
    passed = sum(row["passed"] for row in rows)
    refused = each * sum(bool(row["refused"]) for row in rows)
    return passed, sum(len(row["failed"]) for row in rows), refused


def table(result):
    """A result as Markdown: the sums, and a square of the pairs."""
    where, rows = result["environment"], result["rows"]
    lines = [f"## jax {where['jax']}, Python {where['python']}, NumPy {where['numpy']}", ""]
    lines += ["| | compositions | passed | failed | refused by JAX |", "|---|---|---|---|---|"]
    for kind, depth in (("pairs", 2), ("triples", 3)):
        of_kind = [row for name, row in rows.items() if len(name.split(" of ")) == depth]
        passed, failed, refused = counts(of_kind)
        lines.append(f"| {kind} | {len(of_kind)} | {passed} | {failed} | {refused} |")
    lines += ["", "| outer, inner | " + " | ".join(TRANSFORMS) + " |", "|---" * (len(TRANSFORMS) + 1) + "|"]
    for outer in TRANSFORMS:
        cells = [rows.get(title((outer, inner))) for inner in TRANSFORMS]
        text = ["" if row is None else "refused" if row["refused"] else str(row["passed"]) for row in cells]
        lines.append(f"| {outer} | " + " | ".join(text) + " |")
    return "\n".join(lines) + "\n"


def page(text):
    """The page with tables of all files, from its first one on."""
    head = text[: text.index("## jax ")] if "## jax " in text else text
    files = sorted(RESULTS.glob("compositions-jax*.json"))
    return head + "\n".join(table(json.loads(path.read_text())) for path in files)


def main():
    """Run the table, print what fails and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--triples", type=int, default=40, help="triples by chance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these, and save")
    parser.add_argument("--page", action="store_true", help="only draw the tables of the page")
    asked = parser.parse_args()
    if asked.page:
        PAGE.write_text(page(PAGE.read_text()))
        return False
    rows = run(asked.triples, asked.seed, asked.seconds)
    passed, failed, refused = counts(rows.values())
    print(f"{len(rows)} compositions: {passed} passed, {failed} failed, {refused} refused by JAX")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
