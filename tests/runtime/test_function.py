"""function: inputs, outputs, updates, givens, stages, and what a call checks."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import MissingInputError, UnsupportedError, UnusedInputError
from tests.compilations import Counting

LINE = r" \[test_function.py:\d+\](\n|$)"


class TestForms:
    def test_outputs_come_back_as_they_were_given(self):
        x = at.dscalar("x")
        assert float(loopjax.function([x], x + 1)(1.0)) == 2.0
        assert [float(v) for v in loopjax.function([x], [x, x + 1])(1.0)] == [1.0, 2.0]
        found = loopjax.function([x], {"a": x, "b": loopjax.Out(x * 3)})(2.0)
        assert {key: float(value) for key, value in found.items()} == {"a": 2.0, "b": 6.0}
        assert loopjax.function([x], None, on_unused_input="ignore")(1.0) == []
        assert float(loopjax.function([], 3)()) == 3.0

    def test_results_are_jax_arrays_that_numpy_reads(self):
        x = at.fvector("x")
        for result in loopjax.function([x], [x, x * 2, at.constant([1.0])])([1.0, 2.0]):
            assert isinstance(result, jax.Array)
            assert isinstance(np.asarray(result), np.ndarray)

    def test_keys_of_a_dict_are_strings(self):
        with pytest.raises(TypeError, match=r"string keys, got \[1\]"):
            loopjax.function([], {1: at.constant(1)})


class TestInputs:
    def test_by_name_with_defaults(self):
        x, y = at.dscalar("x"), at.dscalar("y")
        f = loopjax.function([x, loopjax.In(y, value=10.0, name="why")], x - y)
        assert float(f(1.0)) == -9.0
        assert float(f(1.0, 2.0)) == -1.0
        assert float(f(why=3.0, x=4.0)) == 1.0

    @pytest.mark.parametrize(
        ("args", "kwargs", "message"),
        [
            ((), {}, r"is missing \['x'\]"),
            ((1.0, 2.0, 3.0), {}, "takes 2 inputs .* got 3"),
            ((1.0,), {"z": 1.0}, "has no input 'z'"),
            ((1.0,), {"x": 1.0}, "'x' by position and by name"),
        ],
    )
    def test_missing_extra_unknown_and_double(self, args, kwargs, message):
        x, y = at.dscalar("x"), at.dscalar("y")
        f = loopjax.function([x, loopjax.In(y, value=1.0)], x + y)
        with pytest.raises(TypeError, match=message):
            f(*args, **kwargs)

    @pytest.mark.parametrize(
        ("make", "value", "error"),
        [
            (at.dvector, 1.0, r"input 'x' \[test_function.py:\d+\]: expected 1 dimensions .* got float64\(\)"),
            (at.fvector, np.ones(2), r"expected float32, got float64\(2,\), which would lose precision"),
            (at.ivector, np.ones(2, "int64"), "expected int32, got int64"),
            (at.ivector, [1.5], "expected int32"),
            (at.bvector, [300], "expected int8"),
            (at.fvector, np.ones(2, "int64"), "expected float32, got int64"),
            (at.dvector, "text", "expected float64"),
            (at.dvector, [[1.0], [2.0, 3.0]], "expected float64"),
        ],
    )
    def test_values_that_do_not_fit(self, make, value, error):
        x = make("x")
        with pytest.raises(TypeError, match=error):
            loopjax.function([x], x)(value)

    def test_python_values_convert(self):
        x, k = at.fmatrix("x"), at.bscalar("k")
        found = loopjax.function([x, k], x * k)([[1, 2], [3, 4]], 100)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, [[100, 200], [300, 400]])

    def test_jax_arrays_are_widened_exactly(self):
        y = at.dvector("y")
        found = loopjax.function([y], y * 2)(jnp.array([16777217], jnp.int32))
        assert float(np.asarray(found)[0]) == 33554434.0

    def test_downcasts_where_allowed(self):
        x = at.fvector("x")
        assert loopjax.function([x], x, allow_input_downcast=True)(np.ones(2)).dtype == np.float32
        assert loopjax.function([loopjax.In(x, allow_downcast=True)], x)(np.ones(2)).dtype == np.float32

    def test_static_shapes_are_checked(self):
        x = at.tensor("float64", shape=(None, 3), name="x")
        with pytest.raises(ValueError, match=r"input 'x'.* expected shape float64\(\?, 3\), got float64\(2, 4\)"):
            loopjax.function([x], x)(np.ones((2, 4)))

    def test_an_inner_expression_cuts_the_graph(self):
        x = at.dscalar("x")
        y = x * 2
        assert float(loopjax.function([y], y + 1)(10.0)) == 11.0

    def test_missing_unused_and_double(self):
        x, y = at.dscalar("x"), at.dscalar("y")
        with pytest.raises(MissingInputError, match=r"needs <y: float64\(\)> \[test_function.py:\d+\]"):
            loopjax.function([x], x + y)
        with pytest.raises(UnusedInputError, match="<y: float64"):
            loopjax.function([x, y], x)
        with pytest.warns(UserWarning, match="is not used"):
            loopjax.function([x, y], x, on_unused_input="warn")
        with pytest.raises(UnusedInputError, match=r"\[test_function.py:\d+\] is not used .* remove it, or pass"):
            loopjax.function([x, y], x)
        with pytest.warns(UserWarning, match="is not used") as caught:
            loopjax.function([x, y], x, on_unused_input="warn")
        assert caught[0].filename == __file__
        assert float(loopjax.function([x, y], x, on_unused_input="ignore")(1.0, 2.0)) == 1.0
        with pytest.raises(ValueError, match=rf"on_unused_input is 'raise', .* not 'never'{LINE}"):
            loopjax.function([x], x, on_unused_input="never")

    def test_arguments_that_are_no_variables(self):
        x, a = at.dscalar("x"), loopjax.shared(1, name="a")
        with pytest.raises(
            ValueError,
            match=rf"twice: inputs holds .*<x.* more than once; expected each once, list each once{LINE}",
        ):
            loopjax.function([x, x], x, name="twice")
        with pytest.raises(TypeError, match=rf"function: inputs is a list of variables, got <x.*; write \[<x.*{LINE}"):
            loopjax.function(x, x)
        with pytest.raises(TypeError, match=rf"inputs holds str 'x'; expected a variable or In.*{LINE}"):
            loopjax.function(["x"], x)
        with pytest.raises(TypeError, match=rf"<shared a: int64\(\)>, which is shared.* use givens{LINE}"):
            loopjax.function([a], a)
        with pytest.raises(TypeError, match=rf"expected a variable, a number or an array, got object.*{LINE}"):
            loopjax.function([x], object())
        with pytest.raises(ValueError, match=rf"check is 'index', 'nan', 'inf' or None, not 'bounds'{LINE}"):
            loopjax.function([x], x, check="bounds")

    @pytest.mark.parametrize("kind", ["None", "text", "object", "symbol", "list"])
    def test_what_is_no_value_names_the_input(self, kind):
        value = {"None": None, "text": "1.0", "object": object(), "symbol": at.dvector("y"), "list": [None]}[kind]
        x = at.dvector("x")
        with pytest.raises(TypeError, match=r"input 'x' \[test_function.py:\d+\]: expected .*, got"):
            loopjax.function([x], x)(value)

    def test_an_input_without_a_name_is_named_by_its_place(self):
        f = loopjax.function([at.dscalar(), at.dvector()], 1, on_unused_input="ignore", name="f")
        with pytest.raises(TypeError, match=r"input 1 \[test_function.py:\d+\]: expected 1 dimensions"):
            f(1.0, 2.0)
        with pytest.raises(TypeError, match=r"f is missing \['input 1'\]"):
            f(1.0)

    def test_defaults_and_strictness(self):
        x, r, rate = at.dvector("x"), at.dscalar("r"), loopjax.shared(2.0, dtype="float64")
        f = loopjax.function([loopjax.In(x, value=[1.0, 2.0]), loopjax.In(r, value=rate)], x * r)
        np.testing.assert_array_equal(f(), [2, 4])
        rate.set_value(3.0)
        np.testing.assert_array_equal(f([5.0]), [15])
        with pytest.raises(TypeError, match=r"input 'x'.* is strict: expected an array of type float64"):
            loopjax.function([loopjax.In(x, strict=True)], x)([1.0])


class TestUpdates:
    def test_simultaneous(self):
        a, b = loopjax.shared(1), loopjax.shared(2)
        f = loopjax.function([], updates=[(a, b), (b, a)])
        f()
        assert (int(a.get_value()), int(b.get_value())) == (2, 1)

    def test_defaults_apply_unless_overridden_or_refused(self):
        a = loopjax.shared(1)
        a.default_update = a * 2
        loopjax.function([], a)()
        assert int(a.get_value()) == 2
        loopjax.function([], a, no_default_updates=True)()
        assert int(a.get_value()) == 2
        loopjax.function([], a, updates={a: a + 5})()
        assert int(a.get_value()) == 7

    def test_types(self):
        a, x = loopjax.shared(1, name="a"), at.dscalar("x")
        with pytest.raises(TypeError, match=r"update of <shared a: int64\(\)>.* is float64\(\)"):
            loopjax.function([x], updates={a: x})
        with pytest.raises(TypeError, match=r"update of <shared a"):
            loopjax.function([], updates={a: 1.5})
        with pytest.raises(TypeError, match="keyed by shared variables"):
            loopjax.function([x], updates={x: x})
        with pytest.raises(
            ValueError, match=rf"updates has two new values for <shared a: int64\(\)>; expected one, give one{LINE}"
        ):
            loopjax.function([], updates=[(a, a), (a, a + 1)])
        with pytest.raises(TypeError, match=r"is float64\(\); expected int64\(\). Cast it with .astype\('int64'\)"):
            loopjax.function([x], updates={a: x})

    def test_an_update_of_other_dimensions_is_not_to_be_cast(self):
        a, x = loopjax.shared(1, name="a"), at.lvector("x")
        message = rf"is int64\(\?,\); expected int64\(\). Give a value of 0 dimensions, int64\(\) .*{LINE}"
        with pytest.raises(TypeError, match=message):
            loopjax.function([x], updates={a: x})

    def test_accept_inplace_gives_the_same_values(self):
        a = loopjax.shared(np.arange(4.0))
        f = loopjax.function([], a.sum(), updates={a: a + 1}, accept_inplace=True)
        assert [float(f()) for _ in range(3)] == [6.0, 10.0, 14.0]
        np.testing.assert_array_equal(a.get_value(), np.arange(4.0) + 3)

    def test_a_call_without_updates_does_not_wait(self, monkeypatch):
        x = at.fvector("x")
        f = loopjax.function([x], x * 2)
        array_type = type(f([1.0]))

        def waited(array):
            raise AssertionError

        monkeypatch.setattr(array_type, "block_until_ready", waited)
        result = f([1.0])
        monkeypatch.undo()
        np.testing.assert_array_equal(result, [2])

    def test_a_call_with_updates_waits_for_a_result_of_its_executable(self, monkeypatch):
        x = at.fvector("x")
        a, b = loopjax.shared(np.zeros(1, "float32")), loopjax.shared(np.zeros(1, "float32"))
        array_type, waits = type(a.value), []
        for updates in ({a: x}, {a: x * 2}, {a: x * 2, b: x * 3}, {a: x * 2, b: x * 2}, {a: b, b: x * 2}):
            f = loopjax.function([x], [], updates=updates)
            f(np.ones(1, "float32"))
            waits.clear()
            with monkeypatch.context() as patch:
                patch.setattr(array_type, "block_until_ready", lambda array: waits.append(array))
                f(np.ones(1, "float32"))
            assert waits

    def test_get_shared_and_repr(self):
        a, x = loopjax.shared(1, name="a"), at.lscalar("x")
        f = loopjax.function([x], a + x, name="plus")
        assert f.get_shared() == [a]
        assert repr(f) == "<plus(x)>"


class TestGivens:
    def test_replace_throughout_and_at_once(self):
        x, y = at.dscalar("x"), at.dscalar("y")
        f = loopjax.function([x, y], x - 2 * y, givens={x: y, y: x})
        assert float(f(1.0, 10.0)) == 8.0

    def test_shared_for_input_and_types(self):
        x, data = at.dvector("x"), loopjax.shared(np.arange(3.0))
        assert float(loopjax.function([], x.sum(), givens=[(x, data)])()) == 3.0
        with pytest.raises(TypeError, match=r"givens replaces <x: float64\(\?,\)> by int64\(\?,\)"):
            loopjax.function([], x.sum(), givens={x: loopjax.shared(np.arange(3))})
        cast = loopjax.function([], x.sum(), givens={x: loopjax.shared(np.arange(3))}, rebuild_strict=False)
        assert float(cast()) == 3.0

    def test_refusals(self):
        x, y, h = at.dvector("x"), at.dvector("y"), at.dscalar("h")
        with pytest.raises(
            ValueError, match=rf"givens replaces <x: float64\(\?,\)> twice; expected one value, give it once{LINE}"
        ):
            loopjax.function([x], x * 2, givens=[(x, y), (x, y)])
        with pytest.raises(TypeError, match=rf"givens replaces variables; expected one, got str 'x'; write .*{LINE}"):
            loopjax.function([x], x * 2, givens={"x": y})
        message = rf"<x.*> by float64\(\); expected float64\(\?,\). Give a value of 1 dimensions, float64.*{LINE}"
        with pytest.raises(TypeError, match=message):
            loopjax.function([h], x * 2, givens={x: h})
        with pytest.raises(MissingInputError, match="<y: float64"):
            loopjax.function([x], x * 2, givens={x: y})

    def test_clone_replace(self):
        x, y = at.dscalar("x"), at.dscalar("y")
        z = loopjax.clone_replace(x**2 + x, {x: y * 2})
        assert float(z.eval({y: 3.0})) == 42.0


class TestStages:
    def test_a_length_computed_on_the_device_ends_a_stage(self):
        x = at.dvector("x")
        n = (x > 0).sum()
        f = loopjax.function([x], at.arange(n) * 2)
        assert len(f.stages) == 2
        np.testing.assert_array_equal(f([1.0, -1.0, 2.0]), [0, 2])
        np.testing.assert_array_equal(f([-1.0]), np.zeros(0))

    def test_lengths_the_host_computes_end_none(self):
        x, k, s = at.dvector("x"), at.iscalar("k"), loopjax.shared(2)
        n = at.minimum(k // 2 + x.shape[0] - 1, 100) * s
        f = loopjax.function([x, k], [at.zeros(n), x[: k // 2], x.reshape([n // n, -1])])
        assert len(f.stages) == 1
        zeros, part, reshaped = f(np.arange(5.0), 6)
        assert zeros.shape == (14,)
        np.testing.assert_array_equal(part, [0, 1, 2])
        assert reshaped.shape == (1, 5)

    def test_until_feeds_another_scan(self):
        m = at.dscalar("m")
        start = at.constant(1.0, dtype="float64")
        powers, _ = loopjax.scan(lambda p: (p * 2, loopjax.until(p * 2 > m)), outputs_info=start, n_steps=5_000)
        sums, _ = loopjax.scan(lambda a, b: a + b, sequences=powers, outputs_info=at.constant(0.0, dtype="float64"))
        f = loopjax.function([m], [sums, powers])
        assert len(f.stages) == 2
        found, rows = f(45.0)
        np.testing.assert_array_equal(found, np.cumsum([2, 4, 8, 16, 32, 64]))
        np.testing.assert_array_equal(rows, [2, 4, 8, 16, 32, 64])
        assert len(f.lower(45.0)) == 2

    def test_a_length_that_is_the_same_compiles_once(self):
        k = at.iscalar("k")
        f = Counting(loopjax.function([k], at.arange(k)))
        for length in (3, 4, 3, 4):
            np.testing.assert_array_equal(f(length), np.arange(length))
        assert f.count == 2

    def test_a_length_captured_by_a_loop(self):
        n, x = at.iscalar("n"), at.dvector("x")
        out, _ = loopjax.scan(lambda a: at.ones(n, dtype="float64") * a, sequences=x)
        np.testing.assert_array_equal(loopjax.function([n, x], out)(2, [1.0, 3.0]), [[1, 1], [3, 3]])


class TestOneCompilationForManyLengths:
    def test_power(self):
        A, k = at.fvector("A"), at.iscalar("k")
        out, _ = loopjax.scan(lambda p, A: p * A, outputs_info=at.ones_like(A), non_sequences=A, n_steps=k)
        f = loopjax.function([A, k], out[-1])
        counting = Counting(f)
        value = np.linspace(0.9, 1.01, 64, dtype="float32")
        for steps in [*range(1, 40), 500, 999, 1000]:
            expected = value.astype("float64") ** steps
            np.testing.assert_allclose(counting(value, steps), expected, rtol=2e-4, atol=1e-30)
        assert counting.count == 1
        sizes = {f.lower(value, n).compile().memory_analysis().temp_size_in_bytes for n in (1, 1000)}
        assert len(sizes) == 1


class TestTypes:
    def test_64_bits_whatever_the_flag(self):
        assert not jax.config.jax_enable_x64
        x, k = at.dvector("x"), at.lvector("k")
        a, b = loopjax.function([x, k], [x * (1 / 3), k + 2**40])([1.0], [1])
        assert (a.dtype, b.dtype) == (np.float64, np.int64)
        assert float(np.asarray(a)[0]) == 1 / 3
        assert int(np.asarray(b)[0]) == 2**40 + 1
        assert jnp.ones(1).dtype == np.float32

    def test_a_float32_program_holds_no_64_bit_array(self):
        u, h0, W = at.fmatrix("u"), at.fvector("h0"), at.fmatrix("W")
        out, _ = loopjax.scan(lambda u, h: at.tanh(at.dot(h, W) * 0.5 + u), sequences=u, outputs_info=h0)
        cost = (out**2).mean()
        f = loopjax.function([u, h0, W], [cost, *loopjax.grad(cost, [W, h0])])
        text = f.lower(np.ones((6, 3), "f4"), np.ones(3, "f4"), np.ones((3, 3), "f4")).compile().as_text()
        assert "f32[" in text
        for wide in ("f64[", "s64[", "u64["):
            assert not [line for line in text.splitlines() if wide in line.replace(f"{wide}]", "")]


class TestUnderJax:
    def test_a_pure_function_inlines(self):
        x = at.fvector("x")
        f = loopjax.function([x], (x**2).sum())
        np.testing.assert_allclose(jax.jit(lambda v: f(v) + 1)(jnp.arange(3.0)), 6.0)
        np.testing.assert_allclose(jax.grad(f)(jnp.arange(3.0)), [0, 2, 4])

    def test_state_is_refused(self):
        x, a = at.fscalar("x"), loopjax.shared(1.0)
        f = loopjax.function([x], x * a, updates={a: a + 1})
        with pytest.raises(UnsupportedError, match="while JAX traces"):
            jax.jit(f)(1.0)
        g = loopjax.function([], updates={a: a + 1})
        with pytest.raises(UnsupportedError, match="tracer"):
            jax.jit(g)()
        assert float(a.get_value()) == 1.0

    def test_several_stages_are_refused(self):
        x = at.dvector("x")
        f = loopjax.function([x], at.arange((x > 0).sum()), name="staged")
        with pytest.raises(UnsupportedError, match=r"staged: arange \[test_function.py:\d+\] needs a length that gt"):
            jax.jit(f)(np.ones(3))

    @pytest.mark.parametrize("read", [lambda out: out, lambda out: at.zeros(out.shape[0])])
    def test_a_length_that_jax_traces_is_refused(self, read):
        k, x = at.iscalar("k"), at.fscalar("x")
        out, _ = loopjax.scan(lambda h: h * x, outputs_info=at.constant(1.0), n_steps=k)
        f = loopjax.function([k, x], read(out), name="power", on_unused_input="ignore")
        message = r"power: input 'k' \[test_function.py:\d+\] decides .* and JAX traces it; .* static_argnums"
        with pytest.raises(UnsupportedError, match=message):
            jax.jit(f)(3, 2.0)
        np.testing.assert_allclose(jax.jit(f, static_argnums=0)(3, 2.0), f(3, 2.0))

    def test_a_trip_count_that_nothing_else_needs_may_be_traced(self):
        k, x = at.iscalar("k"), at.fscalar("x")
        out, _ = loopjax.scan(lambda h: h * x, outputs_info=at.constant(1.0), n_steps=k)
        f = loopjax.function([k, x], out[-1])
        np.testing.assert_allclose(jax.jit(f)(3, 2.0), 8)
        np.testing.assert_allclose(jax.grad(f, argnums=1)(3, 2.0), 12)

    def test_vmap(self):
        x = at.fvector("x")
        out, _ = loopjax.scan(lambda a, h: a + h, sequences=x, outputs_info=0.0)
        table = np.arange(6.0, dtype="float32").reshape(2, 3)
        np.testing.assert_allclose(jax.vmap(loopjax.function([x], out))(table), np.cumsum(table, axis=1))


class TestUserErrors:
    def test_truth_length_and_iteration(self):
        x = at.dvector("x")
        with pytest.raises(TypeError, match="no truth value"):
            bool(x > 0)
        with pytest.raises(TypeError, match=r"no len\(\)"):
            len(x)
        with pytest.raises(TypeError, match="unknown length; expected a known one, loop over it with scan"):
            list(x)

    def test_size_one_found_at_run_time_does_not_broadcast(self):
        x, y = at.dvector("x"), at.dvector("y")
        f = loopjax.function([x, y], x + y)
        with pytest.raises(ValueError, match=r"add: shapes .* do not fit.*\[test_function.py:\d+\]"):
            f([1.0], [1.0, 2.0])


def test_mode_and_profile_change_nothing():
    x = at.dscalar("x")
    f = loopjax.function([x], x * 2, mode="FAST_RUN", profile=True)
    assert float(f(2.0)) == 4.0


def test_eval_names_what_is_missing():
    x, y = at.dscalar("x"), at.dscalar("y")
    with pytest.raises(MissingInputError, match=r"needs <y: float64\(\)> \[test_function.py:\d+\]"):
        (x + y).eval({x: 1.0})
    with pytest.raises(TypeError, match=r"input 'x' .* expected 0 dimensions .* got float64\(1,\)"):
        x.eval({x: [1.0]})


def test_eval():
    x, a = at.dscalar("x"), loopjax.shared(1)
    a.default_update = a + 1
    assert float((x * a).eval({x: 4.0})) == 4.0
    assert int(a.get_value()) == 1


def test_allow_downcast_false_keeps_values():
    x = at.fscalar("x")
    exact = loopjax.function([x], x, allow_input_downcast=False)
    assert float(exact(0.5)) == 0.5
    with pytest.raises(TypeError, match=rf"input 'x' .*expected float32, got float64\(\), which would lose.*{LINE}"):
        exact(0.1)
    with pytest.raises(TypeError, match="would lose precision"):
        loopjax.function([loopjax.In(x, allow_downcast=False)], x, allow_input_downcast=True)(0.1)
    assert float(loopjax.function([x], x)(0.1)) == float(np.float32(0.1))


def test_inputs_that_are_no_list():
    x, y = at.dscalar("x"), at.dscalar("y")
    for inputs, kind in (({x, y}, "set"), ({x: 1, y: 2}, "dict"), ("xy", "str")):
        with pytest.raises(TypeError, match=rf"inputs is a list of variables, .*got {kind} .*write \[x, y\]{LINE}"):
            loopjax.function(inputs, x + y)
    with pytest.raises(TypeError, match=rf"inputs holds <constant 3.*whose value no call can give.*{LINE}"):
        loopjax.function([x, at.constant(3.0)], x)


def test_a_result_that_fits_in_no_memory():
    n = at.lscalar("n")
    f = loopjax.function([n], at.zeros(n, "float64"))
    for length in (2**40, 2**60):
        with pytest.raises(MemoryError, match=r"look at the lengths that it is made of \[test_function.py:\d+\]"):
            f(length)
    assert f(3).shape == (3,)


def test_the_compiled_program_takes_arguments_and_state():
    x, w = at.dvector("x"), loopjax.shared(np.array([2.0, 3.0]))
    f = loopjax.function([x], (x * w).sum())
    with jax.enable_x64(True):
        (found,) = f.compile([1.0, 2.0])(np.array([1.0, 2.0]), w.get_value())
    assert float(found) == 8
    v = at.dvector("v")
    assert len(loopjax.function([v], at.sort(v[v > 0]), lengths="exact").compile([1.0, -1.0])) == 2


def test_both_checks():
    x, i = at.dvector("x"), at.lscalar("i")
    f = loopjax.function([x, i], at.log(x[i]), check=("nan", "index"))
    assert float(f([1.0, 2.0], 0)) == 0.0
    with pytest.raises(FloatingPointError, match="log"):
        f([1.0, -2.0], 1)
    with pytest.raises(IndexError, match="out of bounds"):
        f([1.0, 2.0], 2)


def test_a_function_is_called_as_any_object_is():
    x, y = at.dvectors("x", "y")
    f = loopjax.function([x, y], x + 2 * y)

    class Traced(type(f)):
        calls = 0

        def __call__(self, *args, **kwargs):
            self.calls += 1
            return super().__call__(*args, **kwargs)

    traced, call = Traced(f.program), f.__call__
    for _ in range(3):
        for one in (f, call, traced, functools.partial(f)):
            np.testing.assert_array_equal(one([1.0], y=[2.0]), [5.0])
    assert traced.calls == 3
    assert str(inspect.signature(f)) == "(*args, **kwargs)"
