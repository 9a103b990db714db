"""``wrap_jax``: JAX functions of variables, in loops and gradients."""

import gc
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec

import loopjax
import loopjax.tensor as at
from loopjax import wrap_jax


def types(tree):
    return jax.tree.map(lambda variable: str(variable.type), tree)


class TestCall:
    def test_pytrees_in_and_out(self):
        x, y = at.dvector("x"), at.dscalar("y")

        def fn(given, *, scale):
            return {"sum": given["x"].sum() * given["y"], "both": (given["x"] * scale, None)}

        out = wrap_jax(fn)({"x": x, "y": y}, scale=3)
        assert types(out) == {"sum": "float64()", "both": ("float64(?,)", None)}
        f = loopjax.function([x, y], [out["sum"], out["both"][0]])
        total, scaled = f(np.arange(3.0), 2.0)
        assert float(total) == 6
        np.testing.assert_array_equal(scaled, [0, 3, 6])

    def test_static_arguments(self):
        x = at.dmatrix("x")

        def fn(x, axis, how, function):
            return function(getattr(jnp, how)(x, axis=axis))

        call = wrap_jax(fn)
        f = loopjax.function([x], [call(x, 0, "sum", jnp.sin), call(x, 1, "max", abs)])
        table = np.arange(6.0).reshape(2, 3)
        np.testing.assert_allclose(f(table)[0], np.sin(table.sum(0)))
        np.testing.assert_allclose(f(table)[1], table.max(1))

    def test_arrays_are_constants(self):
        x = at.dvector("x")
        out = wrap_jax(lambda x, w, v: x * w + v)(x, np.arange(3.0), jnp.ones(3, "float32"))
        np.testing.assert_array_equal(loopjax.function([x], out)(np.ones(3)), [1, 2, 3])

    def test_results_are_of_the_inferred_dtype(self):
        x = at.fscalar("x")
        out = wrap_jax(lambda x: (x * 2, 3.0, 4, x > 0))(x)
        got = loopjax.function([x], list(out), results="jax")(1.0)
        assert [str(array.dtype) for array in got] == [variable.dtype for variable in out]
        assert not any(array.weak_type for array in got)

    def test_no_arguments_and_one_result(self):
        out = wrap_jax(lambda: jnp.arange(3.0, dtype="float32"))()
        assert types(out) == "float32(3,)"
        np.testing.assert_array_equal(out.eval(), [0, 1, 2])


class TestSizes:
    def test_known_sizes_are_inferred(self):
        x = at.tensor("float64", (2, None), name="x")
        assert types(wrap_jax(lambda x: (x.T, x.sum(1), jnp.concatenate([x, x])))(x)) == (
            "float64(?, 2)",
            "float64(2,)",
            "float64(4, ?)",
        )

    def test_sizes_that_only_the_call_knows(self):
        x, y = at.dvector("x"), at.dvector("y")
        out = wrap_jax(lambda x, y: (x + y, jnp.outer(x, y)[: x.shape[0] // 2]))(x, y)
        assert types(out) == ("float64(?,)", "float64(?, ?)")
        total, part = loopjax.function([x, y], list(out))(np.arange(4.0), np.ones(4))
        assert total.shape == (4,)
        assert part.shape == (2, 4)

    def test_sizes_that_weights_decide_are_inferred(self):
        x, y = at.fmatrix("x"), at.fmatrix("y")
        assert types(wrap_jax(lambda x: (x, x @ EIGHT))(x)) == ("float32(?, 8)", "float32(?, 3)")
        assert types(wrap_jax(lambda x: lax.scan(lambda h, r: (jnp.tanh(r @ EIGHT + h), h), jnp.zeros(3), x))(x)) == (
            "float32(3,)",
            "float32(?, 3)",
        )
        assert types(wrap_jax(Layer(np.ones((5, 2), "float32")))(x)) == "float32(?, 2)"
        assert types(wrap_jax(jax.jit(partial(jnp.matmul, b=EIGHT)))(x)) == "float32(?, 3)"
        assert types(wrap_jax(lambda x, y: (x + y, x.reshape(-1, 4)))(x, y)) == ("float32(?, ?)", "float32(?, 4)")
        few = wrap_jax(lambda x: (x[: x.shape[0] // 100], x.reshape(2, -1)))(x)
        assert types(few) == ("float32(?, ?)", "float32(2, ?)")
        f = loopjax.function([x], list(few))
        assert f(np.ones((300, 1), "float32"))[0].shape == (3, 1)

    def test_a_number_of_dimensions_that_depends_on_sizes_is_refused_at_the_call(self):
        x = at.dvector("x")
        f = loopjax.function([x], wrap_jax(lambda x: x.reshape(3, 1) if x.shape[0] == 3 else x)(x))
        assert f(np.ones(4)).shape == (4,)
        with pytest.raises(ValueError, match=r"expected float64\(\?,\), got float64\(3, 1\) \[test_wrap_jax.py:\d+\]"):
            f(np.ones(3))


class TestErrors:
    def test_an_error_of_the_function_has_its_line_and_the_users(self):
        x = at.tensor("float64", (3,), name="x")

        def wrong(x):
            return x @ jnp.ones(4)

        with pytest.raises(
            TypeError, match=r"wrong: the function \[.*:\d+\] raised TypeError on \(float64\(3,\)\): .*\[test_wrap_jax"
        ):
            wrap_jax(wrong)(x)

    def test_python_that_needs_a_value(self):
        x = at.dscalar("x")
        with pytest.raises(TypeError, match=r"raised TracerBoolConversionError on \(float64\(\)\).*\[test_wrap_jax.py"):
            wrap_jax(lambda x: x if x > 0 else -x)(x)

    def test_sizes_that_do_not_fit_at_the_call(self):
        x = at.dvector("x")
        f = loopjax.function([x], wrap_jax(lambda x: x.reshape(2, -1).sum())(x))
        assert float(f(np.ones(4))) == 4
        with pytest.raises(TypeError, match=r"raised TypeError on \(float64\(3,\)\): .*\[test_wrap_jax.py:\d+\]"):
            f(np.ones(3))

    def test_what_cannot_be_an_argument(self):
        x = at.dscalar("x")
        with pytest.raises(TypeError, match="mine: an argument of type set is neither a variable, an array nor hash"):
            wrap_jax(lambda x, s: x, name="mine")(x, {1})
        with pytest.raises(TypeError, match="fn is int 3; expected a function of arrays"):
            wrap_jax(3)


class TestInPrograms:
    def test_in_a_loop_and_its_gradient(self):
        xs, w = at.dmatrix("xs"), at.dmatrix("w")

        def cell(h, x, w):
            return jnp.tanh(h @ w) + x

        step = wrap_jax(cell)
        h, _ = loopjax.scan(lambda x, h, w: step(h, x, w), xs, at.zeros(3, dtype="float64"), w)
        f = loopjax.function([xs, w], [h[-1], *loopjax.grad((h**2).sum(), [xs, w])])

        def plain(xs, w):
            h, hs = jnp.zeros(3), []
            for x in xs:
                h = cell(h, x, w)
                hs.append(h)
            return jnp.stack(hs)

        rng = np.random.default_rng(0)
        given = rng.normal(size=(5, 3)), rng.normal(size=(3, 3))
        with jax.enable_x64(True):
            wanted = [plain(*given)[-1], *jax.grad(lambda *a: (plain(*a) ** 2).sum(), argnums=(0, 1))(*given)]
        for one, other in zip(f(*given), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)

    def test_in_a_map_that_runs_all_steps_at_once(self):
        x = at.dvector("x")
        out, _ = loopjax.map(wrap_jax(lambda v: jnp.where(v > 1, v, jnp.sin(v))), x)
        values = np.array([0.5, 2.0, 1.0])
        np.testing.assert_allclose(loopjax.function([x], out)(values), np.where(values > 1, values, np.sin(values)))

    def test_forward_mode_and_second_order(self):
        x = at.dscalar("x")
        y = wrap_jax(jnp.sin)(x)
        f = loopjax.function(
            [x], [loopjax.Rop(y, x, at.constant(2.0, dtype="float64")), loopjax.grad(loopjax.grad(y, x), x)]
        )
        np.testing.assert_allclose(f(0.3), [2 * np.cos(0.3), -np.sin(0.3)], rtol=1e-14)

    def test_a_rule_of_its_own_is_used(self):
        @jax.custom_vjp
        def straight(x):
            return jnp.round(x)

        straight.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))
        x = at.dvector("x")
        f = loopjax.function([x], loopjax.grad((wrap_jax(straight)(x) * x).sum(), x))
        np.testing.assert_allclose(f(np.array([0.4, 1.7])), [0.4, 3.7])

    def test_equal_calls_are_computed_once(self):
        x = at.dscalar("x")
        traced = []

        def fn(x, n):
            traced.append(n)
            return x * n

        call = wrap_jax(fn)
        merged = loopjax.function([x], [call(x, 1), call(x, 1), call(x, 1.0), call(x, True), wrap_jax(fn)(x, 1)])
        assert len(merged.graph.applies) == 3
        assert [float(value) for value in merged(2.0)] == [2] * 5

    def test_through_to_jax(self):
        x = at.dvector("x")
        f = loopjax.to_jax([x], wrap_jax(lambda x: jnp.cumsum(x)[jnp.argmax(x)])(x))
        values = jnp.array([1.0, 3.0, 2.0])
        np.testing.assert_allclose(jax.jit(jax.grad(f))(values), [1, 1, 0])
        np.testing.assert_allclose(jax.vmap(f)(jnp.stack([values, -values])), [4, -1])

    def test_names_and_source(self):
        x = at.dscalar("x")
        assert wrap_jax(jnp.sin, name="mine")(x).owner.op.name == "mine"
        assert wrap_jax(jnp.sin).__name__ == "sin"


class TestX64:
    """Which dtype an array has that the function creates without one."""

    @pytest.mark.parametrize(
        ("flag", "x64", "given", "wanted"),
        [
            (False, None, "float32", "float32"),
            (True, None, "float32", "float64"),
            (False, None, "float64", "float64"),
            (False, None, "int64", "float64"),
            (False, True, "float32", "float64"),
            (True, False, "float32", "float32"),
        ],
    )
    def test_it_is_the_callers(self, flag, x64, given, wanted):
        x = at.tensor(given, shape=(2,), name="x")
        with jax.enable_x64(flag):
            made = wrap_jax(lambda x: jnp.zeros(2) + 1, x64=x64)(x)
        assert made.dtype == wanted
        f = loopjax.function([x], made, results="jax")
        for _ in range(2):
            assert str(f(np.ones(2, given)).dtype) == wanted

    def test_gradients_and_rules_of_a_function_in_32_bits(self):
        x = at.fvector("x")
        norm = wrap_jax(lambda x: jnp.sqrt((x**2).sum() + jnp.ones(())) + jax.nn.relu(x).sum(), x64=False)
        value = np.array([0.5, -2.0], "float32")
        found = loopjax.function([x], loopjax.grad(norm(x), x), results="jax")(value)
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, value / np.sqrt(5.25) + [1, 0], rtol=1e-6)


class TestCollectives:
    def test_they_reduce_over_an_axis_of_vmap(self):
        x = at.fmatrix("x")
        step = wrap_jax(lambda x_t, h: 0.5 * h + lax.pmean(x_t, "devices"), name="mean")
        h, _ = loopjax.scan(step, x, at.zeros(x.shape[1], "float32"))
        assert types(step(x, x)) == "float32(?, ?)"
        values = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
        wanted = np.zeros(3)
        for row in values.mean(0):
            wanted = 0.5 * wanted + row
        found = jax.jit(jax.vmap(loopjax.to_jax([x], h[-1]), axis_name="devices"))(values)
        np.testing.assert_allclose(found, np.tile(wanted, (4, 1)), rtol=1e-5)

    def test_gradients_within_shard_map(self):
        x = at.fmatrix("x")
        f = loopjax.to_jax([x], wrap_jax(lambda x: lax.psum(x, "devices") ** 2)(x).sum())
        mesh = jax.make_mesh((1,), ("devices",))
        mapped = jax.shard_map(f, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec())
        values = np.ones((2, 3), "float32")
        np.testing.assert_allclose(jax.jit(jax.grad(mapped))(values), 2 * values, rtol=1e-6)

    def test_an_axis_that_is_not_bound(self):
        x = at.fvector("x")
        total = wrap_jax(lambda x: lax.psum(x, "devices"), name="total")(x)
        with pytest.raises(
            loopjax.errors.UnsupportedError, match=r"total \[test_wrap_jax.py:\d+\] communicates over .*devices"
        ):
            loopjax.function([x], total)(np.ones(2, "float32"))

    def test_sizes_that_the_axis_decides(self):
        x = at.fvector("x")
        with pytest.raises(ValueError, match="results have sizes that depend on how large axis 'devices' is"):
            wrap_jax(lambda x: lax.all_gather(x, "devices"))(x)
        assert types(wrap_jax(lambda x: lax.all_gather(x, "devices").max(0))(x)) == "float32(?,)"


EIGHT = np.ones((8, 3), "float32")


class Layer:
    """An object with weights."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, x):
        return x @ self.weights


class Held:
    """Stands for a data set that a function holds."""


def test_a_function_and_what_it_holds_can_be_collected():
    def use():
        data, x = Held(), at.dvector("x")
        wrap_jax(lambda a: (a * 2, data)[0])(x)
        return weakref.ref(data)

    references = [use() for _ in range(5)]
    jax.clear_caches()
    gc.collect()
    assert [reference() for reference in references] == [None] * 5


def test_a_host_callback_runs_once_a_call():
    calls = []

    def host(a):
        calls.append(1)
        return np.asarray(a) * 2

    def through_host(a):
        return jax.pure_callback(host, jax.ShapeDtypeStruct(a.shape, a.dtype), a, vmap_method="sequential")

    w = loopjax.shared(np.ones(2))
    f = loopjax.function([], wrap_jax(through_host)(w))
    counts = []
    for _ in range(4):
        np.testing.assert_array_equal(f(), [2, 2])
        counts.append(len(calls))
    assert counts == [1, 2, 3, 4]
    out, _ = loopjax.scan(lambda h: wrap_jax(through_host)(h), outputs_info=w, n_steps=3)
    g = loopjax.function([], out[-1])
    calls.clear()
    np.testing.assert_array_equal(g(), [8, 8])
    assert len(calls) == 3


@pytest.mark.parametrize("fn", [lambda v: v if v.sum() > 0 else -v, lambda v: v.no_method()])
def test_only_errors_of_sizes_advise_on_sizes(fn):
    with pytest.raises((TypeError, ValueError), match=r"the function .* raised") as caught:
        loopjax.wrap_jax(fn)(at.dvector("x"))
    assert "specify_shape" not in str(caught.value)
