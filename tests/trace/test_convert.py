"""Values on the way into a program: what keeps its dtype and digits, and what is refused. JAX's x64 flag is off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.trace.convert import holds

LINE = r" \[test_convert.py:\d+\](\n|$)"
THIRD = 1 / 3


def value(output, *pairs):
    """The output for pairs of an input and its value, as NumPy has it."""
    return np.asarray(loopjax.function([one for one, _ in pairs], output)(*(array for _, array in pairs)))


def in_loop(step, **arguments):
    return loopjax.scan(step, **{"n_steps": 1, **arguments})[0]


def after_update(new):
    shared = loopjax.shared(np.zeros(np.shape(new)))
    loopjax.function([], updates={shared: new})()
    return shared.get_value()


def after_setting(new):
    shared = loopjax.shared(np.zeros(np.shape(new)))
    shared.set_value(new)
    return shared.get_value()


def by_default(number):
    d = at.tensor("float64", (None,) * np.ndim(number), name="d")
    return np.asarray(loopjax.function([loopjax.In(d, value=number)], d * 1)())


def as_argument(number):
    d = at.tensor("float64", (None,) * np.ndim(number), name="d")
    return value(d * 1, (d, number))


def given(number):
    d = at.tensor("float64", (None,) * np.ndim(number), name="d")
    return np.asarray(loopjax.function([], d * 1, givens={d: number})())


def times_one(number):
    return value(at.constant(np.ones(np.shape(number))) * number)


def drawn(number):
    stream = at.random.RandomStream(1)
    return value(stream.normal(number, 0.0, size=np.shape(number) or None, dtype="float64"))


WAYS_IN = [after_setting, after_update, as_argument, by_default, given, times_one, drawn]


class TestDigits:
    @pytest.mark.parametrize("way", WAYS_IN)
    @pytest.mark.parametrize("wrap", [float, np.float64, lambda x: [x, -x], lambda x: (x, -x)])
    def test_float64_is_never_cut_to_float32(self, way, wrap):
        assert not jax.config.jax_enable_x64
        np.testing.assert_array_equal(way(wrap(THIRD)), np.asarray(wrap(THIRD)))

    def test_numbers_in_loops(self):
        d = at.dscalar("d")
        for stack in (
            in_loop(lambda h: h * d, outputs_info=THIRD),
            in_loop(lambda a: a * d, non_sequences=THIRD),
            in_loop(lambda: d * THIRD),
        ):
            assert value(stack, (d, 1.0)) == [THIRD]

    def test_integers_of_64_bits(self):
        w = loopjax.shared(np.zeros(2, "uint64"))
        w.set_value([2**64 - 1, 2])
        assert w.get_value().tolist() == [2**64 - 1, 2]
        u = at.uscalar("u")
        assert value(u + (2**63 + 1), (u, 1)) == 2**63 + 2


class TestStrength:
    @pytest.mark.parametrize("dtype", ["float64", "int8", "uint16", "float16", "complex64"])
    def test_numpy_scalars_keep_their_dtype(self, dtype):
        one, n, f = np.dtype(dtype).type(1), at.iscalar("n"), at.fvector("f")
        with jax.enable_x64(True):
            wanted = str(jnp.promote_types("float32", dtype))
        kept = [
            at.as_variable(one),
            at.constant(one),
            at.alloc(one, n, 2),
            at.full((n,), one),
            in_loop(lambda h: h * 2, outputs_info=one),
            in_loop(lambda a: a * 2, non_sequences=one),
            loopjax.shared(one),
            at.as_variable([one, one]),
        ]
        assert {variable.dtype for variable in kept} == {dtype}
        assert {(f * one).dtype, (one * f).dtype, (f + np.array(one)).dtype, (f * [one]).dtype} == {wanted}

    def test_python_numbers_do_not(self):
        f, i = at.fvector("f"), at.ivector("i")
        assert {(f * 2.5).dtype, (f * 2).dtype, (f + True).dtype, at.clip(f, 0, 1.5).dtype} == {"float32"}
        assert in_loop(lambda k: i * k, non_sequences=2).dtype == "int32"

    def test_a_whole_numpy_exponent_is_repeated_multiplication(self):
        x = at.dvector("x")
        slope = loopjax.grad((x ** np.float32(2)).sum(), x)
        assert value(slope, (x, [-3.0, 0.0])).tolist() == [-6.0, 0.0]
        assert (at.fvector() ** np.float64(2)).dtype == "float64"


class TestRefused:
    @pytest.mark.parametrize(
        ("number", "dtype", "error"),
        [
            (300, "int8", OverflowError),
            ([1, 300], "int8", OverflowError),
            (np.array([300]), "int8", OverflowError),
            (-1, "uint8", OverflowError),
            (2**24 + 1, "float32", TypeError),
            (2**53 + 1, "float64", TypeError),
            (2049, "float16", TypeError),
            (1e300, "float32", TypeError),
            (2.5, "int64", TypeError),
            (np.nan, "int64", TypeError),
            (1 + 2j, "float64", TypeError),
            (2, "bool", TypeError),
        ],
    )
    def test_a_dtype_that_does_not_hold_the_value(self, number, dtype, error):
        for make in (lambda: at.constant(number, dtype=dtype), lambda: loopjax.shared(number, dtype=dtype)):
            with pytest.raises(error, match=f"{dtype} does not hold .*{LINE}"):
                make()
        if not np.ndim(number):
            with pytest.raises(error, match="does not hold"):
                at.full((3,), number, dtype)
            with pytest.raises(TypeError):
                loopjax.function([(x := at.scalar(dtype=dtype))], x)(number)
            with pytest.raises(TypeError):
                loopjax.shared(np.zeros((), dtype)).set_value(number)

    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            (2**25, "float32"),
            ([0.1, np.inf], "float16"),
            (2.0, "int8"),
            (1 + 0j, "float32"),
            (1, "bool"),
            (-128, "int8"),
        ],
    )
    def test_a_dtype_that_does(self, data, dtype):
        assert holds(np.asarray(data), dtype)
        np.testing.assert_array_equal(at.constant(data, dtype=dtype).data, np.asarray(data).real.astype(dtype))

    @pytest.mark.parametrize("integer", [2**64, -(2**63) - 1, [2**64], [2**63, -1]])
    def test_integers_of_more_than_64_bits(self, integer):
        for make in (at.as_variable, at.constant, loopjax.shared, lambda v: at.lscalar() + v):
            with pytest.raises(OverflowError, match="does not fit into 64 bits; write it as a float"):
                make(integer)

    def test_an_integer_that_meets_integers(self):
        with pytest.raises(OverflowError, match=rf"9223372036854775808 does not fit into int64{LINE}"):
            at.lscalar() + 2**63

    def test_masked_arrays(self):
        masked = np.ma.masked_array([1.0, 2.0], mask=[0, 1])
        x, w = at.dvector("x"), loopjax.shared(np.zeros(2))
        ways = [
            at.as_variable,
            at.constant,
            loopjax.shared,
            w.set_value,
            loopjax.function([x], x),
            lambda v: loopjax.function([loopjax.In(x, value=v)], x),
            lambda v: x + v,
            lambda v: at.stack([x, v]),
            lambda v: at.as_variable([v, v]),
            lambda v: x[v > 1],
            lambda v: in_loop(lambda a: a, sequences=v),
            lambda v: in_loop(lambda a: a, outputs_info=v),
            lambda v: in_loop(lambda a: a, non_sequences=v),
            lambda v: loopjax.function([], x, givens={x: v}),
            lambda v: loopjax.function([], updates={w: v}),
        ]
        for way in ways:
            with pytest.raises(TypeError, match=r"fill it with .filled\(value\)"):
                way(masked)
        assert w.get_value().tolist() == [0.0, 0.0]

    def test_a_cast_that_drops_the_imaginary_part(self):
        z = at.zvector("z")
        for cast in (
            lambda: z.astype("float64"),
            lambda: at.cast(2j, "float32"),
            lambda: z.sum(dtype="float64"),
            lambda: at.mean(z, acc_dtype="float64"),
        ):
            with pytest.raises(TypeError, match=rf"would drop the imaginary part; write x.real.*{LINE}"):
                cast()
        assert value(at.cast(z, "bool"), (z, [1j, 0j])).tolist() == [True, False]

    def test_a_broadcast_pattern_for_a_shape(self):
        with pytest.raises(TypeError, match=r"shape holds False; .* broadcast pattern write shape=\(None, 1\)"):
            at.TensorType("float64", (False, True))("x")

    def test_arguments_cut_where_downcasts_are_allowed(self):
        for dtype, wanted in (("int64", 4), ("uint8", 4), ("int32", 4)):
            n = at.scalar("n", dtype=dtype)
            f = loopjax.function([n], n * 2, allow_input_downcast=True)
            assert [int(f(number)) for number in (2.7, 2.7, 2, np.float32(2.5))] == [wanted] * 4
        b = at.scalar("b", dtype="bool")
        f = loopjax.function([b], at.switch(b, 10.0, 20.0), allow_input_downcast=True)
        assert [float(f(number)) for number in (1.0, 0.0, 1, 0, True)] == [10.0, 20.0, 10.0, 20.0, 10.0]
