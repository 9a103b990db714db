"""Export with symbolic sizes: one file for many shapes, beside the function itself at each of them."""

import jax
import numpy as np
import pytest
from jax import export

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError

RNG = np.random.default_rng(0)
SIZES = [{"n": 3, "m": 2}, {"n": 7, "m": 1}, {"n": 12, "m": 6}]


def scan(step, sequences=(), initial=None, others=(), **options):
    """The output of a loop that starts from a float64."""
    return loopjax.scan(step, sequences, np.float64(0) if initial is None else initial, others, **options)[0]


def prefix():
    x = at.dvector("x")
    h = scan(lambda x, h: x + 0.5 * h, x)
    return [x], [h, h[-1], h.sum() / x.shape[0], h[2:], h[::2]], ["n"]


def batch():
    x, W = at.dtensor3("x"), at.dmatrix("W")
    h = scan(lambda x, h, W: at.tanh(x + h @ W), x, at.zeros((x.shape[1], W.shape[0]), dtype="float64"), W)
    return [x, W], [h[-1], loopjax.grad((h**2).mean(), W)], ["n, m, 3", "3, 3"]


def taps():
    x, p = at.dvector("x"), at.dvector("p")
    start = {"initial": np.array([1.0, 2.0]), "taps": [-1, -2]}
    h = scan(lambda x, a, b, p: x + p[0] * a - p[1] * b, x, start, p)
    return [x, p], [h, loopjax.grad((h**2).sum(), p)], ["n", "2"]


def taps_of_a_sequence():
    x = at.dvector("x")
    return [x], scan(lambda old, new, h: old * new + 0.5 * h, {"input": x, "taps": [-1, 0]}), ["n"]


def far_tap():
    x = at.dvector("x")
    h = scan(lambda x, a, b: x + 0.5 * a - 0.3 * b, x, {"initial": np.arange(12.0), "taps": [-1, -12]})
    return [x], [h, loopjax.grad(h.sum(), x)], ["n"]


def nested():
    x, p = at.dmatrix("x"), at.dscalar("p")
    h = scan(lambda row, a, p: a + scan(lambda v, s, p: p * s + v, row, None, p)[-1], x, None, p)
    return [x, p], [h, loopjax.grad((h**2).sum(), p)], ["n, m", ""]


def nested_map():
    x = at.dmatrix("x")
    rows, _ = loopjax.scan(lambda row: scan(lambda v, s: 0.5 * s + v, row), x)
    last, _ = loopjax.scan(lambda row: row.max(), x)
    return [x], [rows, last[-1]], ["n, m"]


def until():
    x = at.dvector("x")
    h = scan(lambda h, x: (h + x**2, loopjax.until((h + x**2).sum() > 20)), None, at.zeros_like(x), x, n_steps=50)
    return [x], [h[-1], loopjax.grad(h[-1].sum(), x)], ["n"]


def until_over_a_sequence():
    x = at.dvector("x")
    h = scan(lambda x, h: (h + x**2, loopjax.until(h + x**2 > 2)), x)
    return [x], [h[-1], h.sum(), loopjax.grad(h[-1], x)], ["n"]


def lengths_by_arithmetic():
    x, y = at.dvector("x"), at.dvector("y")
    n = x.shape[0]
    h = scan(lambda i, h, x: h + x[i] * x[-1 - i], at.arange(n), None, x)
    pairs = scan(lambda x, y, h: h + x * y, [x, y])
    wide, _ = loopjax.scan(lambda i, x: x[i : i + 3].sum(), at.arange(n - 2), None, x)
    return (
        [x, y],
        [h, pairs, wide, x[n // 2], x[: n // 2], at.switch(n > 5, x, -x), at.switch(at.eq(n, 7), x, -x)],
        [
            "n",
            "2*m",
        ],
    )


def plain_ops():
    x, y = at.dmatrix("x"), at.dmatrix("y")
    moved = [x.reshape((x.shape[0] * x.shape[1],)), at.concatenate([x, x]), at.roll(x, 1, 0), at.tile(x, (2, 1))]
    reduced = [x.mean(), x.argmax(1), at.cumsum(x, 0), x[x > 0].sum()]
    return [x, y], [*moved, *reduced, x @ y, at.set_subtensor(x[0], 1.0)], ["n, m", "m, n"]


PROGRAMS = [
    *(prefix, batch, taps, taps_of_a_sequence, far_tap, nested, nested_map, until, until_over_a_sequence),
    *(lengths_by_arithmetic, plain_ops),
]


def structs(inputs, specs, *constraints):
    scope = export.SymbolicScope(constraints)
    pairs = zip(inputs, specs, strict=True)
    return [jax.ShapeDtypeStruct(export.symbolic_shape(spec, scope=scope), x.dtype) for x, spec in pairs]


def arguments(inputs, specs, sizes):
    shapes = [tuple(eval(f"({spec or ''},)" if spec else "()", {}, sizes)) for spec in specs]
    return [RNG.normal(size=shape).astype(x.dtype) for x, shape in zip(inputs, shapes, strict=True)]


def assert_same(found, expected, rtol=1e-10):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("program", PROGRAMS)
def test_one_file_serves_all_sizes(tmp_path, program):
    inputs, outputs, specs = program()
    f = loopjax.function(inputs, outputs)
    f.export(tmp_path / "f.npz", structs(inputs, specs, "n >= 3"))
    loaded = loopjax.load(tmp_path / "f.npz")
    for sizes in SIZES:
        args = arguments(inputs, specs, sizes)
        assert_same(loaded(*args), f(*args))


def test_state_of_a_symbolic_program(tmp_path):
    x, last = at.dvector("x"), loopjax.shared(1.0, name="last", dtype="float64")
    h = scan(lambda x, h: x + 0.5 * h, x, last)
    f = loopjax.function([x], h, updates={last: h[-1]})
    f.export(tmp_path / "f.npz", structs([x], ["n"]))
    loaded = loopjax.load(tmp_path / "f.npz")
    for count in (4, 1, 9):
        values = RNG.normal(size=count)
        assert_same(loaded(values), f(values))


def test_jax_exports_the_function_and_its_derivative():
    x = at.fmatrix("x")
    h = scan(lambda x, h: at.tanh(x + 0.5 * h), x, at.zeros_like(x[0]))
    pure = loopjax.to_jax([x], h[-1].sum() + x.shape[0])
    for function, spec in [(pure, "n, d"), (jax.grad(pure), "n, d"), (jax.vmap(pure), "b, n, d")]:
        args = jax.ShapeDtypeStruct(export.symbolic_shape(spec), "float32")
        exported = export.deserialize(export.export(jax.jit(function))(args).serialize())
        for shape in [(2, 2, 3), (1, 5, 1)]:
            value = RNG.normal(size=shape[-args.ndim :]).astype("float32")
            assert_same(exported.call(value), function(value), rtol=1e-5)


def test_reverse_mode_of_a_loaded_program(tmp_path):
    x = at.dvector("x")
    f = loopjax.function([x], (scan(lambda x, h: x * h + 1.0, x) ** 2).sum())
    f.export(tmp_path / "f.npz", structs([x], ["n"]), derivatives="reverse")
    loaded = loopjax.load(tmp_path / "f.npz")
    with jax.enable_x64(True):
        for count in (2, 5):
            value = jax.numpy.asarray(RNG.normal(size=count))
            assert_same(jax.grad(loaded)(value), jax.grad(f)(value))


def test_what_no_constraint_tells_is_refused(tmp_path):
    x = at.dvector("x")
    h = scan(lambda x, h: x + h, x)
    f = loopjax.function([x], h[-2:], name="f")
    with pytest.raises(UnsupportedError, match=r"'n' < '2' is inconclusive.*constraints=\['n >= 3'\].*test_symbolic"):
        f.export(tmp_path / "f.npz", structs([x], ["n"]))
    f.export(tmp_path / "f.npz", structs([x], ["n"], "n >= 2"))
    assert_same(loopjax.load(tmp_path / "f.npz")([1.0, 2.0, 3.0]), np.array([3.0, 6.0]))
    pair = scan(lambda old, new, h: old + new + h, {"input": x, "taps": [-1, 0]})
    with pytest.raises(UnsupportedError, match=r"g: .*'n - 1' >= '1' is inconclusive.*constraints="):
        loopjax.function([x], pair, name="g").export(tmp_path / "g.npz", structs([x], ["n"]))
    with pytest.raises(UnsupportedError, match=r"index: .*'n' > '3' is inconclusive"):
        loopjax.function([x], x[3]).export(tmp_path / "g.npz", structs([x], ["n"]))


def test_what_needs_a_number_is_refused(tmp_path):
    x, p = at.dvector("x"), at.dscalar("p")
    h = scan(lambda x, h, p: x + p * h, x, None, p, checkpoint="sqrt")
    with pytest.raises(UnsupportedError, match=r"checkpoint=sqrt stores states by the number of steps.* symbolic n"):
        loopjax.function([x, p], loopjax.grad(h[-1], p)).export(tmp_path / "f.npz", structs([x, p], ["n", ""]))
    pure = loopjax.to_jax([x], x * 2)
    with pytest.raises(UnsupportedError, match=r"symbolic size, and .* 64-bit values .*enable_x64"):
        export.export(jax.jit(pure))(*structs([at.fvector()], ["n"]))


def test_calls_with_sizes_that_do_not_fit(tmp_path):
    x, y = at.dvector("x"), at.dvector("y")
    f = loopjax.function([x, y], x * y, name="f")
    f.export(tmp_path / "f.npz", structs([x, y], ["n", "n"]))
    loaded = loopjax.load(tmp_path / "f.npz")
    with pytest.raises(ValueError, match=r"f: .*inconsistency between dimension size"):
        loaded(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"f: .*Expected value >= 1"):
        loaded(np.ones(0), np.ones(0))
