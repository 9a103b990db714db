"""Loops of small arrays as functions of XLA, by the call that XLA's compiled text shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from loopjax.lower import small_loops
from loopjax.lower.small_loops import LARGEST_BYTES, PRIMITIVES, inner_equations, outlined

ATTRIBUTE = "xla_cpu_small_call"
STEPS = 5


def compiled(function: Callable[..., Any], *arrays: Any) -> tuple[Any, str]:
    """The result of the outlined program and XLA's text of it."""
    run = jax.jit(jaxpr_as_fun(outlined(jax.make_jaxpr(function)(*arrays))))
    return run(*arrays), run.lower(*arrays).compile().as_text()


def looped(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A loop whose carry has more bytes than XLA makes one function of by itself."""
    return lambda x: lax.fori_loop(0, STEPS, lambda _, carry: (step(carry[0]), carry[1] * 0.5 + 1), (x, jnp.ones(400)))


def floats(x: Any) -> Any:
    """Functions of one value, kept near 0.5."""
    unit = [*("acos", "asin", "atanh", "erf_inv"), *("sin", "cos", "tan", "sinh", "cosh", "asinh", "atan", "exp2")]
    others = ["exp", "expm1", "tanh", "logistic", "erf", "erfc", "lgamma", "digamma", "log", "log1p", "sqrt", "rsqrt"]
    more = ["cbrt", "square", "abs", "neg", "sign", "floor", "ceil", "round", "is_finite", "reciprocal"]
    values = [getattr(lax, name)(x) for name in [*unit, *others, *more]]
    values += [lax.acosh(x + 1), lax.atan2(x, 1 - x), x**x, lax.nextafter(x, x + 1), lax.clamp(0.1, x, 0.9), x**3]
    values += [lax.reduce_precision(x, 8, 10), lax.rem(x, x * 0.3), lax.max(x, 1 - x), lax.min(x, 1 - x), x / (1 + x)]
    total = sum(jnp.where(jnp.isfinite(value), value, 0).astype(x.dtype) for value in values)
    return 0.5 + 0.4 * jnp.tanh(0.01 * total)


def integers(x: Any) -> Any:
    n = (x * 100).astype("int32")
    n = (n << 2) ^ (n >> 1) | (n & 5) + lax.shift_right_logical(n, jnp.int32(1)) - lax.clz(n) * lax.population_count(n)
    n = jnp.where((n > 3) & ~(n == 5) | (n <= 9) ^ (n != 2) | (n >= 1) & (n < 4), n, n % 7)
    bits = lax.bitcast_convert_type(n, "float32")
    return jnp.where(jnp.isnan(bits), x, (n % 100).astype(x.dtype) / 100)


def moves(x: Any) -> Any:
    padded = lax.pad(x, jnp.zeros((), x.dtype), [(1, 1, 0)])
    y = jnp.concatenate([x[3:], x[:3]])[::-1] + padded[1:-1] + x[jnp.arange(x.size)[::-1] * 3 % x.size]
    y = y + lax.dynamic_slice(padded, (jnp.argmax(x) % 2,), x.shape) + sum(jnp.split(jnp.tile(x, 2), 2))
    y = lax.dynamic_update_slice(y, y[:1] * 0.5, (jnp.argmin(x),))
    square = y[: y.size // 2 * 2].reshape(2, -1).T
    y = y + jnp.broadcast_to(square.sum(1, keepdims=True).sum(), y.shape) + lax.optimization_barrier(y)
    return 0.5 + 0.4 * jnp.sin(y)


def reductions(x: Any) -> Any:
    total = x.sum() + x.max() - x.min() + x.prod() + (x > 0.5).all() + (x > 0.2).any() + jnp.bitwise_xor.reduce(x > 0.4)
    y = jnp.cumsum(x) + jnp.cumprod(x) + lax.cummax(x) + lax.cummin(x) + lax.cumlogsumexp(x)
    return 0.5 + 0.4 * jnp.sin(y + total)


def draws(x: Any) -> Any:
    key = jax.random.fold_in(jax.random.key(0), x.sum().astype("int32"))
    one, other = jax.random.split(jax.random.clone(key))
    return 0.5 + 0.1 * jax.random.normal(one, x.shape) + 0.1 * jax.random.uniform(other, x.shape)


def nested(x: Any) -> Any:
    x = lax.cond(x[0] > 0.5, lambda x: x * 0.9, lambda x: x + 0.1, x)
    x = lax.while_loop(lambda x: x[0] < 0.9, lambda x: x * 1.1, x)
    return jax.checkpoint(lambda x: lax.scan(lambda c, y: (c * 0.9 + y * 0.1, c), x, x)[1][-1])(x)


def products(x: Any) -> Any:
    tiny = jnp.outer(x[:3], x[:3]) @ x[:9].reshape(3, 3)
    return 0.5 + 0.01 * (jnp.outer(x, x) @ x) + tiny.sum() * 0.01


def writes(x: Any) -> Any:
    place = jnp.argmax(x)
    x = x.at[place].add(0.1).at[place - 1].set(0.5).at[place].multiply(0.9).at[0].max(0.2).at[1].min(0.8)
    square = jnp.stack([x, lax.stop_gradient(x) * 0.5])
    return square.at[:, place].add(x[:2]).at[1].set(x)[0]


def writes_of_several_places(x: Any) -> Any:
    places = jnp.stack([jnp.argmax(x), jnp.argmin(x), jnp.argmax(x), x.size + 3, -2])
    x = x.at[places].add(0.01 * jnp.arange(5)).at[places].min(0.8).at[places].max(0.2).at[places].multiply(0.9)
    x = x.at[places].set(jnp.linspace(0.3, 0.6, 5)).at[jnp.arange(20)].add(0.01)
    square = jnp.stack([x, x * 0.5, x * 0.25]).at[jnp.array([2, 0]), places[:2]].add(0.1)
    square = square.at[:, places[:4].reshape(2, 2)].add(0.01 * jnp.arange(12.0).reshape(3, 2, 2).astype(x.dtype))
    rows = places[:2] % 3
    square = jax.checkpoint(lambda x: lax.cond(x[0, 0] > 0.5, lambda x: x.at[rows].add(0.1), jnp.sin, x))(square)
    return square.at[jnp.array([2, 1]), 3:].set(square[:2, 3:]).sum(0) / 2


BODIES = (writes, writes_of_several_places, floats, integers, moves, reductions, draws, nested, products)


@pytest.mark.parametrize(
    ("body", "dtype"),
    [*((body, "float64") for body in BODIES), *((body, "float32") for body in (floats, draws, nested))],
)
def test_what_needs_no_library_becomes_one_function(body: Callable[[Any], Any], dtype: str) -> None:
    program = looped(body)
    with jax.enable_x64(dtype == "float64"):
        x = jnp.linspace(0.1, 0.9, 23, dtype=dtype)
        (result, _), text = compiled(program, x)
        expected, _ = jax.jit(program)(x)
    assert ATTRIBUTE in text
    np.testing.assert_allclose(result, expected, rtol=1e-4 if dtype == "float32" else 1e-10)


def test_every_primitive_of_the_list_is_tried() -> None:
    x = jnp.linspace(0.1, 0.9, 23)
    traced = [jax.make_jaxpr(looped(body))(x) for body in BODIES]
    tried = {equation.primitive.name for one in traced for top in one.eqns for equation in [top, *inner_equations(top)]}
    # Names of other versions of JAX, what JAX makes of derivatives and of keys, and the mark of a function.
    rest = {"acosh", "add_any", "copy", "copy_p", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"}
    rest |= {
        "expand_dims",
        "name",
        "pjit",
        "jit",
        "remat2",
        "random_unwrap",
        "random_wrap",
        "threefry2x32",
        "xla_metadata_value",
        "scan",
        "while",
        *("log2", "one_minus_square", "split", "unstack"),
    }
    assert PRIMITIVES - tried - rest == set()


@pytest.mark.parametrize(
    "step",
    [
        jnp.sort,
        lambda x: jnp.linalg.cholesky(jnp.outer(x, x) + jnp.eye(x.size))[0],
        lambda x: (jnp.outer(x, x) @ jnp.outer(x, x))[0] * 0.1,
        lambda x: x.at[jnp.arange(100)].add(0.1),
        lambda x: x * 0.9 + jnp.tile(x, 512).sum() * 1e-4,
        lambda x: jax.pure_callback(lambda x: x, x, x, vmap_method="sequential"),
        lambda x: jnp.tile(x, LARGEST_BYTES // x.nbytes + 1)[: x.size] * 0.9,
    ],
)
def test_what_needs_a_library_or_is_large_is_left_to_xla(step: Callable[[Any], Any]) -> None:
    x = jnp.linspace(0.1, 0.9, 8)
    program = jax.make_jaxpr(looped(step))(x)
    assert outlined(program) is program


def test_writes_of_few_places_into_a_large_array() -> None:
    """They are in place, as one write is."""

    def program(x: Any, places: Any) -> Any:
        def step(x: Any, place: Any) -> Any:
            near = (place + 97 * jnp.arange(8)) % x.size
            return x.at[near].add(0.1 * x[near]), x[place]

        return lax.scan(step, x, places)

    x, places = jnp.linspace(0.1, 0.9, 2 * LARGEST_BYTES // 4), jnp.arange(500) * 1237 % 1000
    result, text = compiled(program, x, places)
    assert ATTRIBUTE in text
    for found, expected in zip(result, program(x, places), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_small_loop_within_a_loop_that_is_left_and_one_whose_first_result_nobody_reads() -> None:
    def program(x: Any) -> Any:
        def outer(x: Any, _: Any) -> Any:
            ordered = jnp.sort(x)
            _, inner = lax.fori_loop(0, STEPS, lambda _, c: (c[0] + 1, c[1] * 0.9 + ordered), (x, x))
            return inner, inner.sum()

        return lax.scan(outer, x, None, length=3)[1]

    x = jnp.linspace(0.1, 0.9, 100)
    result, text = compiled(program, x)
    assert ATTRIBUTE in text
    np.testing.assert_allclose(result[0], program(x), rtol=1e-12)


def _smoothed(mode: Any = None) -> Any:
    x, total = at.dvector("x"), loopjax.shared(np.zeros(100), "total")
    (states, sums), _ = loopjax.scan(
        lambda s, t: (at.tanh(s * 0.9 + x), t + s), outputs_info=[x, at.zeros_like(x)], n_steps=20
    )
    cost = sums[-1].sum()
    return loopjax.function(
        [x], [states[-1], loopjax.grad(cost, x)], updates={total: total + sums[-1]}, mode=mode
    ), total


def test_functions_outline_their_loops_unless_the_rewrite_is_left_out() -> None:
    x = np.linspace(0.1, 0.9, 100)
    (run, total), (left, other) = _smoothed(), _smoothed(Mode().excluding("small_loops"))
    assert ATTRIBUTE in run.compile(x).as_text()
    assert ATTRIBUTE not in left.lower(x).as_text()
    for _ in range(3):
        for ours, theirs in zip(run(x), left(x), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(total.get_value(), other.get_value(), rtol=1e-12)


def test_what_xla_cannot_compile_into_one_function_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_loops, "PRIMITIVES", PRIMITIVES | {"sort"})
    x = at.dvector("x")
    states, _ = loopjax.scan(lambda s: at.sort(s * 0.9 - x), outputs_info=[x], n_steps=5)
    run = loopjax.function([x], states[-1])
    value = expected = np.linspace(0.1, 0.9, 100)
    for _ in range(5):
        expected = np.sort(expected * 0.9 - value)
    np.testing.assert_allclose(run(value), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "step",
    [
        lambda c, x, n: (c[0] * 0, c[1] * 0.9 + x),
        lambda c, x, n: (c[0] | -1, c[1] * 0.9 + x * jnp.sin(jnp.arange(4.0))),
        lambda c, x, n: (c[0], c[1] * 0.9 + jnp.where(jnp.arange(4) >= 0, 1.0, x)),
        lambda c, x, n: (c[0], c[1] * (x**0) + (n - n)),
    ],
)
@pytest.mark.parametrize("steps", [1, 4])
def test_parameters_that_xla_finds_useless_are_read_all_the_same(step: Any, steps: int) -> None:
    """XLA ends the process where such a function has a parameter that nothing reads."""

    def program(x: Any, n: Any) -> Any:
        return lax.fori_loop(0, steps, lambda _, c: step(c, x, n), (n, jnp.cos(jnp.arange(4.0))))

    arguments = jnp.linspace(0.1, 0.9, 4), jnp.arange(4)
    results, text = compiled(program, *arguments)
    assert ATTRIBUTE in text
    for result, expected in zip(results, program(*arguments), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("results", [[0], [1], [2]])
def test_any_result_keeps_the_parameters(results: Sequence[int]) -> None:
    """Also where JAX drops all others: a key, complex numbers."""

    def program(key: Any, x: Any) -> Any:
        def step(_: Any, c: Any) -> Any:
            return jax.random.fold_in(c[0], 1), c[1] * 1j, c[2] * 0.9

        found = lax.fori_loop(0, 4, step, (key, x + 1j, x))
        return [jax.random.key_data(found[i]) if i == 0 else found[i] for i in results]

    arguments = jax.random.key(0), jnp.linspace(0.1, 0.9, 4)
    (result,), text = compiled(program, *arguments)
    assert ATTRIBUTE in text
    np.testing.assert_allclose(result, program(*arguments)[0], rtol=1e-6)


def test_what_jax_traces_is_left_alone() -> None:
    x = at.dvector("x")
    states, _ = loopjax.scan(lambda s: at.tanh(s * 0.9 + x), outputs_info=[x], n_steps=20)
    function, plain = loopjax.function([x], states[-1]), loopjax.to_jax([x], states[-1])
    value = jnp.linspace(0.1, 0.9, 100)
    for run in (function, plain):
        assert "xla_metadata" not in str(jax.make_jaxpr(run)(value))
        batch = jax.vmap(run)(jnp.stack([value, value + 1]))
        np.testing.assert_allclose(batch[1], function(value + 1), rtol=1e-6)


def test_a_loop_within_the_functions_of_a_linear_solve() -> None:
    """Their parameter is a named tuple of programs."""

    def solved(a: Any, b: Any) -> Any:
        return jax.scipy.sparse.linalg.cg(lambda x: a * x, b)[0]

    a, b = at.dvector("a"), at.dvector("b")
    run = loopjax.function([a, b], loopjax.wrap_jax(solved)(a, b))
    np.testing.assert_allclose(run(np.array([2.0, 4.0]), np.array([1.0, 1.0])), [0.5, 0.25], rtol=1e-5)


def test_a_call_within_a_program_that_jax_traces_is_left_alone() -> None:
    x = at.dvector("x")
    states, _ = loopjax.scan(lambda s: at.tanh(s * 0.9 + x), outputs_info=[x], n_steps=20)
    run = loopjax.function([x], states[-1])
    value = np.linspace(0.1, 0.9, 100)
    with jax.enable_x64(True):
        assert "xla_metadata" not in str(jax.make_jaxpr(lambda y: y + run(value))(value))
    assert ATTRIBUTE in run.compile(value).as_text()
