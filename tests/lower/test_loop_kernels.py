"""Elementwise loops as kernels: values by Pallas's interpreter, and Mosaic's lowering for a GPU where JAX has it.

Neither needs a GPU. Up to jax 0.10, Mosaic GPU imports absl, which JAX does not install.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

import loopjax
import loopjax.tensor as at
from loopjax import Mode
from loopjax.lower import jit, loop_kernels
from loopjax.lower.loop_kernels import with_loop_kernels
from tests.planned import planned_for

RNG = np.random.default_rng(0)
KERNELS = Mode(loop_kernels=True)


def normal(*shape: int, dtype: str = "float32") -> Any:
    return jnp.asarray(RNG.normal(size=shape), dtype)


def counted(program: Any) -> tuple[int, int]:
    """The kernels and the loops of a program; kernels hold loops themselves."""
    names = [equation.primitive.name for equation in program.eqns]
    return sum(name in ("pallas_call", "mpmd_map", "core_map") or "vmap" in name for name in names), sum(
        name in ("scan", "while") for name in names
    )


def rows(step: Callable[[Any, Any], Any], **options: Any) -> Callable[[Any, Any], Any]:
    """A loop that stacks its state."""

    def run(xs: Any, h: Any) -> Any:
        def both(h: Any, x: Any) -> Any:
            h = step(h, x)
            return h, h

        return lax.scan(both, h, xs, **options)

    return run


def rnn(h: Any, x: Any) -> Any:
    return jnp.tanh(0.5 * h + x)


def several(xs: Any, h: Any) -> Any:
    """States of several dtypes, a number among them, and rows of each."""

    def step(carry: Any, x: Any) -> Any:
        a, b, n, flag, rate = carry
        new = jnp.where(flag, a + x * rate, jnp.exp(-b))
        after = (new, a * 0.3 - jnp.log1p(jnp.abs(b)), n * 3 + 1, (new > b) ^ flag, rate * 0.99 + 0.01)
        return after, (new, flag, n, jnp.expm1(b), jnp.isfinite(new), rate, lax.integer_pow(x + 9, -2))

    return lax.scan(step, (h, h * 0.5, jnp.arange(h.size, dtype="int32"), h > 0, jnp.float32(0.7)), xs)


def until(h: Any, xs: Any) -> Any:
    """A loop that writes its rows until one of its numbers is large."""

    def step(state: Any) -> Any:
        t, _, h, rows = state
        x = lax.dynamic_index_in_dim(xs, t, keepdims=False)
        rows = lax.dynamic_update_slice_in_dim(rows, (h * 0.9 + x)[None], t, 0)
        return t + 1, t * 2 > 30, h * 0.9 + x, rows

    first = jnp.int32(0), jnp.bool_(False), h, jnp.full(xs.shape, 7, xs.dtype)
    return lax.while_loop(lambda state: (state[0] < xs.shape[0]) & ~state[1], step, first)


def integers(xs: Any, h: Any) -> Any:
    return lax.scan(lambda h, x: (jnp.maximum(h * 1664525 + x, -x) ^ (h & 255), h > 3), h, xs)


def gradient(xs: Any, h: Any) -> Any:
    return jax.grad(lambda xs, h: (rows(rnn)(xs, h)[1] ** 2).sum(), (0, 1))(xs, h)


def remade(xs: Any, h: Any) -> Any:
    return jax.grad(lambda xs, h: (rows(jax.checkpoint(rnn))(xs, h)[1] ** 2).sum(), (0, 1))(xs, h)


def functions(h: Any, x: Any) -> Any:
    """All functions of the tables but ``sqrt``, which Mosaic has a rule for from jax 0.11 on."""
    h = jnp.cos(x) * lax.erf(h) + jnp.log(jnp.abs(h) + 1) + jax.nn.sigmoid(x) + jnp.arctan2(h, 1 + x * x) - jnp.sin(h)
    h = h + lax.rsqrt(1 + h * h) + jnp.exp2(-x * x) + jnp.sign(x) * jnp.clip(h, -1, 1) + jax.nn.softplus(x)
    return jnp.minimum(h, x) + lax.square(h) / (2 + x**3 * x**2) - jnp.where(jnp.isnan(h) | ~(h != x), h, -h)


LOOPS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "rows": (rows(rnn), (normal(18, 5), normal(5)), 1),
    "whole blocks": (rows(rnn), (normal(3, 256), normal(256)), 1),
    "rest of a block": (rows(rnn), (normal(3, 4, 33), normal(4, 33)), 1),
    "as many steps as elements": (until, (normal(128), normal(128, 128)), 1),
    "reversed": (rows(rnn, reverse=True), (normal(10, 130), normal(130)), 1),
    "carried": (lambda h: lax.fori_loop(0, 5, lambda _, h: h * 0.99 + jnp.sin(h), h), (normal(7),), 1),
    "number": (rows(rnn), (normal(5), normal()), 1),
    "number, one step": (rows(rnn), (normal(1), normal()), 1),
    "several": (several, (normal(3, 40), normal(40)), 1),
    "integers": (integers, (jnp.arange(15, dtype="int32").reshape(3, 5), jnp.arange(5, dtype="int32")), 1),
    "functions": (rows(functions), (normal(1, 5), normal(5)), 1),
    "gradient": (gradient, (normal(3, 5), normal(5)), 2),
    "gradient, computed again": (remade, (normal(3, 5), normal(5)), 2),
    "until": (until, (normal(5), normal(40, 5)), 1),
    "until, a number": (until, (normal(), normal(9)), 1),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_kernel_computes_what_the_loop_does(name):
    function, arrays, kernels = LOOPS[name]
    program = jax.make_jaxpr(function)(*arrays)
    new = with_loop_kernels(program, interpret=True)
    assert counted(new) == (kernels, 0)
    for got, expected in zip(jax.jit(jaxpr_as_fun(new))(*arrays), jax.jit(jaxpr_as_fun(program))(*arrays), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", LOOPS)
def test_mosaic_lowers_the_kernel(name):
    pytest.importorskip("jax.experimental.pallas.mosaic_gpu", exc_type=ImportError)
    function, arrays, kernels = LOOPS[name]
    program = jax.make_jaxpr(function)(*arrays)
    new = with_loop_kernels(program, interpret=False)  # keeps a loop that does not lower
    assert counted(new)[1] == counted(program)[1] - kernels
    text = jax.jit(jaxpr_as_fun(new)).trace(*arrays).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("mosaic_gpu") >= kernels


def test_float64_and_wide_integers_in_kernels():
    with jax.enable_x64(True):
        for dtype, step in [("float64", rnn), ("int64", lambda h, x: h * 1664525 + x)]:
            arrays = (normal(3, 5) * 9).astype(dtype), normal(5).astype(dtype)
            program = jax.make_jaxpr(rows(step))(*arrays)
            new = with_loop_kernels(program, interpret=True)
            assert counted(new) == (1, 0)
            for got, expected in zip(
                jax.jit(jaxpr_as_fun(new))(*arrays), jax.jit(jaxpr_as_fun(program))(*arrays), strict=True
            ):
                np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [jnp.log1p, jnp.expm1])
def test_rules_are_accurate_to_a_few_units_in_the_last_place(function, dtype):
    with jax.enable_x64(True):
        sizes = np.logspace(-12, 1, 200)
        x = jnp.asarray([*sizes, *-sizes, 0.0, -0.0, jnp.inf, -jnp.inf, jnp.nan, -1.0, 80.0, -80.0, 1e30], dtype)
        program = jax.make_jaxpr(lambda x: lax.fori_loop(0, 1, lambda _, x: function(x), x))(x)
        got = np.asarray(jax.jit(jaxpr_as_fun(with_loop_kernels(program, interpret=True)))(x)[0])
        with np.errstate(all="ignore"):
            wide = getattr(np, function.__name__)(np.asarray(x, np.longdouble))
        np.testing.assert_allclose(got, wide.astype(dtype), rtol=4 * float(jnp.finfo(dtype).eps))
        np.testing.assert_array_equal(np.signbit(got[400:402]), [False, True])


MATRIX, T = normal(5, 5), jnp.arange(7)
KEPT = {
    "product": rows(lambda h, x: jnp.tanh(MATRIX @ h + x)),
    "sum": rows(lambda h, x: h / (1 + (h * h).sum()) + x),
    "rolled": rows(lambda h, x: jnp.roll(h, 1) + x),
    "reversed elements": rows(lambda h, x: h[::-1] + x),
    "picked": rows(lambda h, x: h + x[1]),
    "by position": rows(lambda h, x: h + lax.dynamic_index_in_dim(h, jnp.argmax(x), keepdims=False)),
    "array of constants": rows(lambda h, x: h * jnp.arange(5.0) + x),
    "floor": rows(lambda h, x: jnp.floor(h) + x),
    "whole number": rows(lambda h, x: (h + x).astype("int32").astype("float32")),
    "quotient of integers": lambda xs, h: lax.scan(lambda n, x: (lax.div(n, 3) + 1, x), jnp.arange(5), xs),
    "parts of rows": lambda xs, h: lax.scan(lambda h, t: (h + lax.dynamic_slice(xs, (t, 0), (1, 1))[0, 0], None), h, T),
    "rows and array": lambda xs, h: lax.scan(lambda h, t: (h + xs[t] + xs[:, 0].sum(), None), h, T),
    "rows and elements": lambda _, h: lax.scan(lambda s, t: (s + lax.dynamic_index_in_dim(h, t)[0], h * s), 0.0, T),
    "written constants": lambda xs, h: lax.scan(
        lambda h, t: (lax.dynamic_slice(lax.dynamic_update_slice(xs, h[None], (t, 0)), (6 - t, 0), (1, 5))[0], h), h, T
    ),
    "two sizes": lambda xs, h: lax.scan(lambda two, x: ((two[0] + x, two[1] * 2), None), (h, h[:3]), xs),
    "draw": rows(lambda h, x: h + x * jax.random.normal(jax.random.key(0), h.shape)),
    "print": rows(lambda h, x: (jax.debug.print("{}", x[0]), h + x)[1]),
    "callback": rows(lambda h, x: h + jax.pure_callback(np.sin, x, x)),
    "transposed": lambda xs, h: rows(lambda h, x: h.T + x)(jnp.stack([xs] * 5, 1), jnp.stack([h] * 5)),
}


@pytest.mark.parametrize("name", KEPT)
def test_other_loops_are_left_as_they_are(name):
    program = jax.make_jaxpr(KEPT[name])(normal(7, 5), normal(5))
    assert counted(with_loop_kernels(program, interpret=True)) == (0, 1)


def test_a_loop_that_reads_what_it_wrote_is_left_as_it_is():
    def step(t: Any, rows: Any) -> Any:
        before = lax.dynamic_index_in_dim(rows, t, keepdims=False)
        return lax.dynamic_update_slice_in_dim(rows, (before * 0.9)[None], t + 1, 0)

    program = jax.make_jaxpr(lambda rows, n: lax.fori_loop(0, n, step, rows))(normal(9, 5), 8)
    assert counted(with_loop_kernels(program, interpret=True)) == (0, 1)


@pytest.mark.parametrize(("row", "read"), [(-1, 0), (0, 0), (4, 4), (5, 4)])
def test_rows_beyond_the_ends_are_those_at_the_ends(row, read):
    assert loop_kernels._within(np.int32(row), 5) == read  # the interpreter would read so by itself


def test_an_inner_loop_becomes_a_kernel():
    def outer(h: Any, xs: Any) -> Any:
        h = lax.fori_loop(0, 3, lambda _, h: jnp.tanh(h) * 0.9, h)
        return MATRIX @ h, h

    xs, h = normal(3, 5), normal(5)
    program = jax.make_jaxpr(lambda xs, h: lax.scan(outer, h, xs))(xs, h)
    new = with_loop_kernels(program, interpret=True)
    assert "pallas_call" in str(new)
    for got, expected in zip(jax.jit(jaxpr_as_fun(new))(xs, h), jax.jit(jaxpr_as_fun(program))(xs, h), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_loops_are_not_planned_for_a_backend_that_pallas_lacks(monkeypatch):
    available: Any = loop_kernels.is_available
    monkeypatch.setitem(sys.modules, "jax.experimental.pallas.mosaic_gpu", None)
    assert available.__wrapped__()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not available.__wrapped__()


def test_where_pallas_lacks_its_backend_the_loop_stays(monkeypatch):
    def lacks(*_: Any) -> Any:
        raise ImportError

    monkeypatch.setattr(loop_kernels, "_launched", lacks)
    program = jax.make_jaxpr(rows(rnn))(normal(7, 5), normal(5))
    assert counted(with_loop_kernels(program, interpret=False)) == (0, 1)


X, H, S, N = at.fmatrix("x"), at.fvector("h"), at.fscalar("s"), at.iscalar("n")


def scanned(step: Callable[..., Any], **options: Any) -> Any:
    return loopjax.scan(step, return_updates=False, **options)


STACK = scanned(lambda x, h: at.tanh(0.5 * h + x), sequences=[X], outputs_info=[H])
PAIR = scanned(
    lambda x, a, b, s: (at.exp(-at.sqr(a)) + b * s, at.switch(a > b, x, b * 0.5)),
    sequences=[X],
    outputs_info=[H, H * 2],
    non_sequences=[S],
)
UNTIL = scanned(lambda x, y, h: (h * 0.9 + x, loopjax.until(y > 1.5)), sequences=[X, X[:, 0]], outputs_info=[H])
TAPS = scanned(
    lambda x, a, b: at.tanh(a * 0.5 + b * 0.3 + x),
    sequences=[X],
    outputs_info=[{"initial": at.stack([H, H * 2]), "taps": [-2, -1]}],
)
COUNTED = scanned(lambda h: at.tanh(0.5 * h + 1), outputs_info=[H], n_steps=N)
PRODUCT = scanned(lambda x, h: at.tanh(h.sum() + x), sequences=[X], outputs_info=[H])

PROGRAMS = {
    "stack": ([X, H], [STACK], [1]),
    "last": ([X, H], [STACK[-1]], [1]),
    "gradient": ([X, H], loopjax.grad(at.sqr(STACK).sum(), [X, H]), [1]),
    "pair": ([X, H, S], list(PAIR), [1]),
    "gradient of the pair": ([X, H, S], loopjax.grad((PAIR[0] * PAIR[1]).sum(), [X, H]), [1]),
    "gradient of a number": ([X, H, S], loopjax.grad((PAIR[0] * PAIR[1]).sum(), [S]), [4]),
    "until": ([X, H], [UNTIL], [1]),
    "taps": ([X, H], [TAPS], [1]),
    "counted": ([N, H], [COUNTED[-1]], [1]),
    "sum": ([X, H], [PRODUCT], [4]),
}
VALUES = {X: RNG.normal(size=(4, 5)), H: RNG.normal(size=5), S: np.asarray(0.3), N: np.asarray(19)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_functions_ask_for_kernels(name, monkeypatch):
    """They run one step an iteration where they become kernels, and several where they do not."""
    inputs, outputs, unrolls = PROGRAMS[name]
    values = [VALUES[one].astype(one.dtype) for one in inputs]
    expected = loopjax.function(inputs, outputs, mode="FAST_COMPILE")(*values)
    found = list[Any]()
    monkeypatch.setitem(jit.PASSES, "loop_kernels", (lambda one: found.append(with_loop_kernels(one)) or found[-1],))
    function = loopjax.function(inputs, outputs, mode=KERNELS)
    with planned_for("gpu"):
        got = function(*values)
    plans = [loop.plan for loop in loopjax.explain(function).loops]
    assert [plan.unroll for plan in plans] == unrolls
    assert all(("one kernel" in plan.reason) == (unrolls == [1]) for plan in plans if plan.kind == "scan")
    assert any("pallas_call" in str(program) for program in found) == (unrolls == [1])
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


def test_where_xla_refuses_kernels_loops_are_planned_without_them(monkeypatch):
    def refuses(_: Any) -> Any:
        raise jax.errors.JaxRuntimeError

    monkeypatch.setitem(jit.PASSES, "loop_kernels", (refuses,))
    values = [VALUES[one].astype(one.dtype) for one in (X, H)]
    function = loopjax.function([X, H], STACK, mode=KERNELS)
    with planned_for("gpu"):
        got = function(*values)
    np.testing.assert_allclose(got, loopjax.function([X, H], STACK, mode="FAST_COMPILE")(*values), rtol=1e-6)
    assert [loop.plan.unroll for loop in loopjax.explain(function).loops] == [4]


def test_programs_that_jax_traces_are_planned_without_kernels():
    values = [VALUES[one].astype(one.dtype) for one in (X, H)]
    with planned_for("gpu"):
        texts = [str(jax.make_jaxpr(loopjax.to_jax([X, H], STACK, mode=mode))(*values)) for mode in (KERNELS, Mode())]
    assert texts[0] == texts[1]


def test_only_a_mode_that_asks_for_kernels_gets_them_and_only_on_a_gpu(monkeypatch):
    def fails(_: Any) -> Any:
        raise AssertionError

    monkeypatch.setitem(jit.PASSES, "loop_kernels", (fails,))
    values = [VALUES[one].astype(one.dtype) for one in (X, H)]
    loopjax.function([X, H], STACK, mode=KERNELS)(*values)
    with planned_for("gpu"):
        loopjax.function([X, H], STACK)(*values)
        loopjax.function([X, H], STACK, mode=KERNELS, check="index")(*values)
        with pytest.raises(AssertionError):
            loopjax.function([X, H], STACK, mode=KERNELS)(*values)
