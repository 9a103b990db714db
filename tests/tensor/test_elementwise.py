"""Elementwise ops against NumPy and SciPy, and the dtype that operands meet in."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import loopjax
import loopjax.tensor as at

FLOATS = ("float32", "float64")
INTS = ("int32", "int64")

ALL = np.array([-2.75, -2.5, -1.5, -0.5, 0.0, 0.3, 0.5, 1.5, 2.5, 3.0])
POSITIVE = np.array([0.1, 0.5, 1.0, 1.5, 2.5, 7.0])
UNIT = np.array([-0.9, -0.5, 0.0, 0.25, 0.7])
OPEN_UNIT = np.array([0.1, 0.3, 0.5, 0.9])
ABOVE_ONE = np.array([1.1, 2.0, 7.5])
SPECIAL = np.array([-np.inf, -1.0, 0.0, np.inf, np.nan])
WHOLE = np.array([-7, -2, -1, 0, 1, 3, 9])
BITS = np.array([True, False])


@pytest.fixture
def float64():
    """floatX is float64 for one test."""
    loopjax.config.floatX = "float64"
    yield
    loopjax.config.floatX = None


def run(op, *arrays):
    """The op through the whole pipeline, on inputs of unknown sizes, checked to have the dtype that was inferred."""
    inputs = [at.tensor(array.dtype, (None,) * array.ndim) for array in arrays]
    outputs = op(*inputs)
    result = loopjax.function(inputs, outputs)(*arrays)
    assert result.dtype == outputs.dtype
    return np.asarray(result)


def assert_close(found, wanted, ulps=8):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    tolerance = ulps * np.finfo(found.dtype).eps if found.dtype.kind in "fc" else 0
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


UNARY = [
    ("neg", np.negative, ALL),
    ("abs", np.abs, ALL),
    ("sign", np.sign, ALL),
    ("identity", np.positive, ALL),
    ("exp", np.exp, ALL),
    ("exp2", np.exp2, ALL),
    ("expm1", np.expm1, ALL),
    ("log", np.log, POSITIVE),
    ("log2", np.log2, POSITIVE),
    ("log10", np.log10, POSITIVE),
    ("log1p", np.log1p, POSITIVE),
    ("sqrt", np.sqrt, POSITIVE),
    ("sqr", np.square, ALL),
    ("reciprocal", np.reciprocal, POSITIVE),
    ("deg2rad", np.deg2rad, ALL),
    ("rad2deg", np.rad2deg, ALL),
    ("sin", np.sin, ALL),
    ("cos", np.cos, ALL),
    ("tan", np.tan, UNIT),
    ("arcsin", np.arcsin, UNIT),
    ("arccos", np.arccos, UNIT),
    ("arctan", np.arctan, ALL),
    ("sinh", np.sinh, ALL),
    ("cosh", np.cosh, ALL),
    ("tanh", np.tanh, ALL),
    ("arcsinh", np.arcsinh, ALL),
    ("arccosh", np.arccosh, ABOVE_ONE),
    ("arctanh", np.arctanh, UNIT),
    ("sigmoid", scipy.special.expit, ALL),
    ("softplus", lambda x: np.logaddexp(x, 0), ALL),
    ("relu", lambda x: np.maximum(x, 0), ALL),
    ("floor", np.floor, ALL),
    ("ceil", np.ceil, ALL),
    ("trunc", np.trunc, ALL),
    ("round", np.rint, ALL),
    ("rint", np.rint, ALL),
    ("round_half_away_from_zero", lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5), ALL),
    ("isnan", np.isnan, SPECIAL),
    ("isinf", np.isinf, SPECIAL),
    ("isfinite", np.isfinite, SPECIAL),
    ("real", np.real, ALL),
    ("imag", np.imag, ALL),
    ("conj", np.conj, ALL),
    ("angle", np.angle, ALL),
    ("logical_not", np.logical_not, ALL),
    ("disconnected_grad", np.positive, ALL),
    ("zero_grad", np.positive, ALL),
]


def run_in_floats(op, *arrays):
    """The op on float32 and float64, in one program."""
    inputs = {dtype: [at.tensor(dtype, (None,) * np.ndim(array)) for array in arrays] for dtype in FLOATS}
    given = {dtype: [np.asarray(array, dtype) for array in arrays] for dtype in FLOATS}
    outputs = [op(*inputs[dtype]) for dtype in FLOATS]
    f = loopjax.function([one for dtype in FLOATS for one in inputs[dtype]], outputs)
    found = f(*(one for dtype in FLOATS for one in given[dtype]))
    assert [one.dtype for one in found] == [one.dtype for one in outputs]
    return zip(found, given.values(), strict=True)


@pytest.mark.parametrize(("name", "reference", "values"), UNARY, ids=[row[0] for row in UNARY])
def test_unary_on_floats(name, reference, values):
    for found, (x,) in run_in_floats(getattr(at, name), values):
        assert found.dtype == reference(x).dtype
        assert_close(np.asarray(found), reference(x))


KEEPS_INTEGERS = {"neg", "abs", "sign", "identity", "sqr", "relu", "real", "imag", "conj", "disconnected_grad"}
KEEPS_INTEGERS |= {"zero_grad"}
PREDICATES = {"isnan", "isinf", "isfinite", "logical_not"}
ON_INTEGERS = [row for row in UNARY if row[2] is ALL]


@pytest.mark.parametrize(("name", "reference", "values"), ON_INTEGERS, ids=[row[0] for row in ON_INTEGERS])
def test_unary_on_integers(name, reference, values):
    x = np.array([-2, -1, 0, 1, 3], "int32")
    found = run(getattr(at, name), x)
    if name in KEEPS_INTEGERS | PREDICATES:
        wanted = reference(x)
        assert found.dtype == wanted.dtype
    else:
        wanted = reference(x.astype("float32"))
        assert found.dtype == "float32"
    assert_close(found, wanted)


def test_an_integer_becomes_a_float_of_dtype_floatx(float64):
    assert run(at.exp, np.array([1, 2])).dtype == "float64"
    assert (at.lscalar() / at.lscalar()).dtype == "float64"


BINARY = [
    ("add", np.add, ALL, ALL[::-1]),
    ("sub", np.subtract, ALL, ALL[::-1]),
    ("mul", np.multiply, ALL, ALL[::-1]),
    ("true_div", np.true_divide, ALL, POSITIVE[0]),
    ("floor_div", np.floor_divide, ALL, np.float64(-0.7)),
    ("mod", np.mod, ALL, np.float64(-0.75)),
    ("mod", np.mod, ALL, np.float64(0.75)),
    ("pow", np.power, POSITIVE, POSITIVE[::-1]),
    ("maximum", np.maximum, SPECIAL, SPECIAL[::-1]),
    ("minimum", np.minimum, SPECIAL, SPECIAL[::-1]),
    ("arctan2", np.arctan2, ALL, ALL[::-1]),
    ("hypot", np.hypot, ALL, ALL[::-1]),
    ("logaddexp", np.logaddexp, ALL, ALL[::-1]),
    ("eq", np.equal, SPECIAL, SPECIAL[::-1]),
    ("neq", np.not_equal, SPECIAL, SPECIAL[::-1]),
    ("lt", np.less, ALL, ALL[::-1]),
    ("le", np.less_equal, ALL, ALL[::-1]),
    ("gt", np.greater, ALL, ALL[::-1]),
    ("ge", np.greater_equal, ALL, ALL[::-1]),
    ("logical_and", np.logical_and, ALL, ALL[::-1]),
    ("logical_or", np.logical_or, ALL, ALL[::-1]),
    ("logical_xor", np.logical_xor, ALL, ALL[::-1]),
    ("second", lambda x, y: np.broadcast_to(y, x.shape), ALL, np.float64(2.5)),
    ("isclose", np.isclose, np.array([1.0, 1.0, np.inf, np.nan, 1.0]), np.array([1.000001, 1.1, np.inf, np.nan, 1.0])),
]


@pytest.mark.parametrize(("name", "reference", "x", "y"), BINARY, ids=[row[0] for row in BINARY])
def test_binary_on_floats(name, reference, x, y):
    for found, given in run_in_floats(getattr(at, name), x, y):
        assert found.dtype == reference(*given).dtype
        assert_close(np.asarray(found), reference(*given))


WHOLE_BINARY = [
    ("add", np.add),
    ("sub", np.subtract),
    ("mul", np.multiply),
    ("floor_div", np.floor_divide),
    ("int_div", np.floor_divide),
    ("mod", np.mod),
    ("maximum", np.maximum),
    ("minimum", np.minimum),
    ("eq", np.equal),
    ("lt", np.less),
    ("and_", np.bitwise_and),
    ("or_", np.bitwise_or),
    ("xor", np.bitwise_xor),
]


@pytest.mark.parametrize("dtype", [*INTS, "int8", "uint8"])
@pytest.mark.parametrize(("name", "reference"), WHOLE_BINARY, ids=[row[0] for row in WHOLE_BINARY])
def test_binary_on_integers(name, reference, dtype):
    x = np.abs(WHOLE).astype(dtype) if dtype == "uint8" else WHOLE.astype(dtype)
    y = np.array([2, 3, 1, 4, 3, 2, 5], dtype)
    wanted = reference(x, y)
    found = run(getattr(at, name), x, y)
    assert found.dtype == wanted.dtype
    assert_close(found, wanted)


def test_shifts_and_inversion():
    x, y = np.array([-8, -1, 0, 5, 12], "int32"), np.array([1, 2, 3, 2, 1], "int32")
    assert_close(run(at.left_shift, x, y), x << y)
    assert_close(run(at.right_shift, x, y), x >> y)
    assert_close(run(at.invert, x), ~x)
    assert_close(run(at.invert, BITS), ~BITS)
    assert_close(run(at.bitwise_and, BITS, BITS[::-1]), BITS & BITS[::-1])


def test_true_division_of_integers_is_of_dtype_floatx():
    x, y = np.array([7, -7]), np.array([2, 2])
    found = run(at.true_div, x, y)
    assert found.dtype == "float32"
    assert_close(found, np.array([3.5, -3.5], "float32"))


OPERATORS = [
    ("+", lambda x, y: x + y),
    ("-", lambda x, y: x - y),
    ("*", lambda x, y: x * y),
    ("/", lambda x, y: x / y),
    ("//", lambda x, y: x // y),
    ("%", lambda x, y: x % y),
    ("**", lambda x, y: x**y),
    ("<", lambda x, y: x < y),
    ("<=", lambda x, y: x <= y),
    (">", lambda x, y: x > y),
    (">=", lambda x, y: x >= y),
    ("divmod 0", lambda x, y: divmod(x, y)[0]),
    ("divmod 1", lambda x, y: divmod(x, y)[1]),
]


@pytest.mark.parametrize(("symbol", "operator"), OPERATORS, ids=[row[0] for row in OPERATORS])
def test_operators_and_their_reflections(symbol, operator):
    x = POSITIVE.astype("float32")
    assert_close(run(operator, x, x[::-1]), operator(x, x[::-1]))
    assert_close(run(lambda v: operator(v, 2), x), operator(x, np.float32(2)))
    assert_close(run(lambda v: operator(2.5, v), x), operator(np.float32(2.5), x))
    assert_close(run(lambda v: operator(x[::-1], v), x), operator(x[::-1], x))


def test_operators_on_integers_and_one_operand():
    x = np.array([6, 3, 5])
    for operator in (
        lambda v: v & 3,
        lambda v: 3 & v,
        lambda v: v | 8,
        lambda v: 8 | v,
        lambda v: v ^ 1,
        lambda v: 1 ^ v,
        lambda v: v << 2,
        lambda v: 2 << v,
        lambda v: v >> 1,
        lambda v: 64 >> v,
        lambda v: ~v,
        lambda v: -v,
        lambda v: +v,
        lambda v: abs(-v),
    ):
        assert_close(run(operator, x), operator(x))


def test_equality_of_variables_is_identity():
    x, y = at.vector(), at.vector()
    assert x == x
    assert (x == y) is False


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("sgn", "sign"),
        ("square", "sqr"),
        ("abs_", "abs"),
        ("absolute", "abs"),
        ("int_div", "floor_div"),
        ("divide", "true_div"),
        ("where", "switch"),
        ("bitwise_and", "and_"),
        ("bitwise_or", "or_"),
        ("bitwise_xor", "xor"),
        ("bitwise_not", "invert"),
        ("acos", "arccos"),
        ("asin", "arcsin"),
        ("atan", "arctan"),
        ("atan2", "arctan2"),
        ("acosh", "arccosh"),
        ("asinh", "arcsinh"),
        ("atanh", "arctanh"),
        ("amax", "max"),
        ("amin", "min"),
        ("digamma", "psi"),
        ("expit", "sigmoid"),
        ("log1pexp", "softplus"),
    ],
)
def test_other_spellings(alias, name):
    assert getattr(at, alias) is getattr(at, name)


# Powers


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 2.0, 0.5, -1.5, 3.0, 70, np.int64(2), np.float64(0.5)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_pow_with_a_number(exponent, dtype):
    x = np.array([0.5, 1.0, 1.5], dtype)
    found = run(lambda v: v**exponent, x)
    assert found.dtype == ("float64" if isinstance(exponent, np.float64) else dtype)
    np.testing.assert_allclose(found, x.astype("float64") ** exponent, rtol=50 * np.finfo(dtype).eps)


def test_pow_of_integers():
    x = np.array([-3, 0, 2, 5])
    assert_close(run(lambda v: v**3, x), x**3)
    assert_close(run(lambda v, w: v**w, x, np.array([2, 3, 1, 0])), x ** np.array([2, 3, 1, 0]))
    assert run(lambda v: v**2.0, x).dtype == "float32"
    with pytest.raises(ValueError, match=r"no negative powers.*\[test_elementwise\.py:\d+\](\n|$)"):
        at.lscalar() ** -1
    with pytest.raises(ValueError, match="no negative powers"):
        at.lscalar() ** np.int64(-1)


def test_negative_powers_of_integers_are_truncated():
    x, y = np.array([2, -2, 1, -1, -1, 0, 3]), np.array([-1, -3, -5, -5, -4, -1, 4])
    wanted = np.trunc([float(a) ** int(b) if a else 0.0 for a, b in zip(x, y, strict=True)])
    np.testing.assert_array_equal(run(at.pow, x, y), wanted)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16"])
def test_integers_divided_by_zero(dtype):
    x, y = (part.ravel().astype(dtype) for part in np.meshgrid([0, 5, 100, 127], [0, 1, 3, 7]))
    with np.errstate(divide="ignore"):
        for op in (np.floor_divide, np.mod):
            np.testing.assert_array_equal(run(at.floor_div if op is np.floor_divide else at.mod, x, y), op(x, y))
    n = at.lscalar()
    assert loopjax.function([n], at.zeros((4 // n, 2)).shape[0])(0) == 0
    stack, _ = loopjax.scan(lambda i, total: total + 7 // i, at.arange(3), at.constant(0))
    assert loopjax.function([], stack)().tolist() == [0, 7, 10]


@pytest.mark.parametrize("exponent", [0.5, 1.5, 4.5, -0.5, -1.5, -2.5])
def test_powers_by_a_square_root_are_those_of_jax(exponent):
    x = at.dvector()
    values = np.array([0.0, -0.0, 1, 2.5, -1, np.inf, -np.inf, np.nan, 1e-60, 1e60])
    power = x**exponent
    slope = loopjax.grad(power.sum(), x)
    found = loopjax.function([x], [power, slope, loopjax.grad(slope[3], x)[3]])(values)
    slopes = jax.vmap(jax.grad(lambda x: jnp.power(x, exponent)))
    with jax.enable_x64(True):
        wanted = [jnp.power(values, exponent), slopes(values), jax.grad(lambda x: slopes(x)[3])(values)[3]]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-15)


def test_high_derivatives_of_a_whole_power_are_exact_at_zero():
    for exponent in (2, 2.0):
        x = at.dscalar()
        first = loopjax.grad(x**exponent, x)
        third = loopjax.grad(loopjax.grad(first, x), x)
        assert [float(value) for value in loopjax.function([x], [first, third])(0.0)] == [0.0, 0.0]


# Choosing, casting, rounding


def test_switch():
    condition, x, y = np.array([True, False, True]), np.array([1.0, 2.0, 3.0]), np.array([-1.0, -2.0, -3.0])
    assert_close(run(at.switch, condition, x, y), np.where(condition, x, y))
    assert_close(run(lambda c: at.switch(c, 1, 0), condition), np.array([1, 0, 1]))
    assert_close(run(lambda n, a: at.switch(n, a, 0), np.array([0, 2, -1]), x), np.array([0.0, 2.0, 3.0]))


def test_the_numbers_of_a_switch_stay_weak():
    sign = at.switch(at.bvector() > 0, 1, -1)
    assert (at.fvector() * sign).dtype == "float32"
    assert (at.bvector() * sign).dtype == "int8"
    with jax.enable_x64(True):
        assert (jnp.zeros(1, "int8") * jnp.where(True, 1, -1)).dtype == "int8"


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0.5, 2.0), (None, 1.0), (-1.0, None), (None, None)])
def test_clip(low, high):
    x = ALL.astype("float32")
    wanted = x if low is None and high is None else np.clip(x, low, high)
    found = run(lambda v: at.clip(v, low, high), x)
    assert found.dtype == "float32"
    assert_close(found, wanted)


def test_clip_by_arrays():
    x, low, high = ALL, np.full(10, -1.0), np.linspace(0, 1, 10)
    assert_close(run(at.clip, x, low, high), np.clip(x, low, high))


@pytest.mark.parametrize("given", ["float32", "float64", "int32", "int64", "bool", "uint8"])
@pytest.mark.parametrize("wanted", ["float32", "float64", "int32", "int64", "bool", "complex64"])
def test_cast(given, wanted):
    x = np.array([0, 1, 2, 7]).astype(given)
    found = run(lambda v: v.astype(wanted), x)
    assert found.dtype == wanted
    assert_close(found, x.astype(wanted))


def test_cast_truncates_and_takes_any_spelling_of_a_dtype():
    x = ALL
    assert_close(run(lambda v: at.cast(v, int), x), x.astype(int))
    assert at.cast(at.lscalar(), "floatX").dtype == loopjax.config.floatX
    assert at.cast(at.lscalar(), np.float32).dtype == "float32"
    v = at.dvector()
    assert at.cast(v, "float64") is v
    with pytest.raises(TypeError, match=r"drop the imaginary part; write x\.real"):
        at.cast(np.complex64(2 + 1j), "float64")


def test_round_modes():
    x = ALL
    assert_close(run(lambda v: v.round(), x), np.rint(x))
    assert_close(run(lambda v: at.round(v, "half_away_from_zero"), x), np.trunc(x + np.copysign(0.5, x)))
    with pytest.raises(ValueError, match=r"round: mode.*\[test_elementwise\.py:\d+\](\n|$)"):
        at.round(at.dscalar(), "up")


def test_complex_numbers():
    z = np.array([1 + 2j, -0.5 - 1j, 3j])
    for name, reference in [
        ("abs", np.abs),
        ("real", np.real),
        ("imag", np.imag),
        ("conj", np.conj),
        ("angle", np.angle),
        ("exp", np.exp),
        ("sqr", np.square),
    ]:
        found = run(getattr(at, name), z)
        assert found.dtype == reference(z).dtype
        assert_close(found, reference(z))
    assert_close(run(at.mul, z, ALL[:3]), z * ALL[:3])


@pytest.mark.parametrize(("dtype", "result"), [("float32", "complex64"), ("float64", "complex128"), ("int32", None)])
def test_complex_of_two_parts(dtype, result):
    x, y = np.array([1, -2, 3], dtype), np.array([0, 4, -5], dtype)
    found = run(at.complex, x, y)
    assert found.dtype == (result or "complex" + str(2 * int(loopjax.config.floatX[5:])))
    assert_close(found, x + 1j * y)
    with pytest.raises(TypeError, match=r"real numbers are expected, got complex128.*\[test_elementwise\.py:\d+\]"):
        at.complex(at.zvector(), 1.0)


def test_isclose_and_allclose_options():
    x, y = np.array([1.0, np.nan]), np.array([1.05, np.nan])
    for options in ({}, {"rtol": 0.1}, {"atol": 0.1}, {"equal_nan": True}, {"rtol": 0.1, "equal_nan": True}):
        assert_close(run(lambda a, b, o=options: at.isclose(a, b, **o), x, y), np.isclose(x, y, **options))
        assert run(lambda a, b, o=options: at.allclose(a, b, **o), x, y) == np.allclose(x, y, **options)


# Broadcasting


SHAPES = [((3,), (3,)), ((), (3,)), ((2, 3), ()), ((2, 1), (1, 3)), ((1, 3), (2, 3)), ((3,), (2, 3)), ((0, 1), (1, 4))]


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_known_sizes_of_one_broadcast(left, right):
    x, y = at.tensor("float64", left), at.tensor("float64", right)
    out = x + y
    a, b = np.ones(left), np.full(right, 2.0)
    assert out.type.shape == np.broadcast_shapes(left, right)
    assert_close(np.asarray(out.eval({x: a, y: b})), a + b)


def test_an_unknown_size_that_is_one_does_not_broadcast():
    x, y = at.dvector("x"), at.dvector("y")
    f = loopjax.function([x, y], x * y)
    assert_close(np.asarray(f([2.0], [3.0])), np.array([6.0]))
    with pytest.raises(ValueError, match=r"mul: .*does not broadcast.*\[test_elementwise\.py:\d+\](\n|$)"):
        f([2.0], [3.0, 4.0])
    with pytest.raises(ValueError, match=r"mul: .*\[test_elementwise\.py:\d+\](\n|$)"):
        f([2.0, 3.0, 5.0], [3.0, 4.0])


def test_an_unknown_size_broadcasts_once_it_is_promised_to_be_one():
    x, y = at.dvector(), at.dvector()
    f = loopjax.function([x, y], at.addbroadcast(x, 0) * y)
    assert_close(np.asarray(f([2.0], [3.0, 4.0])), np.array([6.0, 8.0]))


def test_shapes_that_do_not_fit_name_the_line():
    with pytest.raises(ValueError, match=r"add: .*\(2,\).*\(3,\).*\[test_elementwise\.py:\d+\](\n|$)"):
        at.tensor("float32", (2,)) + at.tensor("float32", (3,))


@pytest.mark.parametrize(
    ("op", "dtypes"),
    [
        (at.and_, ("float32", "float32")),
        (at.left_shift, ("bool", "bool")),
        (at.invert, ("float64",)),
        (at.neg, ("bool",)),
        (at.sub, ("bool", "bool")),
        (at.floor_div, ("bool", "bool")),
        (at.mod, ("complex64", "complex64")),
        (at.floor, ("complex64",)),
        (at.sqr, ("bool",)),
    ],
)
def test_an_op_refuses_dtypes_it_has_no_meaning_for(op, dtypes):
    with pytest.raises(
        TypeError, match=rf"{op.__name__}: .* expected, got {dtypes[0]}.*\[test_elementwise\.py:\d+\](\n|$)"
    ):
        op(*(at.tensor(dtype, (2,)) for dtype in dtypes))


def test_an_op_refuses_a_random_key():
    key = loopjax.shared(jax.random.key(0))
    with pytest.raises(TypeError, match=r"key cannot be computed with.*\[test_elementwise\.py:\d+\](\n|$)"):
        key + 1


# Promotion: JAX's lattice, with weak numbers


DTYPES = ("bool", "int8", "int32", "int64", "uint8", "uint64", "float32", "float64", "complex64", "complex128")


@pytest.mark.parametrize("left", DTYPES)
@pytest.mark.parametrize("right", DTYPES)
def test_two_arrays_meet_as_in_jax(left, right):
    with jax.enable_x64(True):
        wanted = (jnp.zeros(1, left) + jnp.zeros(1, right)).dtype
    assert (at.tensor(left, (1,)) + at.tensor(right, (1,))).dtype == wanted
    assert at.join(0, at.tensor(left, (1,)), at.tensor(right, (1,))).dtype == wanted
    assert at.switch(at.bscalar(), at.tensor(left, (1,)), at.tensor(right, (1,))).dtype == wanted


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [2, 2.5, True])
def test_a_number_takes_the_dtype_of_the_array_it_meets(dtype, number):
    found = at.tensor(dtype, (1,)) + number
    weaker = {bool: 0, int: 1}.get(type(number), 2)
    rank = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}[np.dtype(dtype).kind]
    wanted = dtype if weaker <= rank else {1: "int64", 2: "float32"}[weaker]
    assert found.dtype == wanted


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [np.sqrt(2), np.float32(2), np.int64(2), np.int8(2), np.bool_(True)])
def test_a_numpy_scalar_meets_arrays_as_in_jax(dtype, number):
    with jax.enable_x64(True):
        wanted = (jnp.zeros(1, dtype) + number).dtype
    assert {(at.tensor(dtype, (1,)) + number).dtype, (number + at.tensor(dtype, (1,))).dtype} == {str(wanted)}


def test_promotion_through_the_pipeline():
    x = np.array([1.5, 2.5], "float32")
    for op, dtype in [
        (lambda v: v + at.constant(1), "float32"),
        (lambda v: v * 2.5, "float32"),
        (lambda v: v * np.sqrt(2), "float64"),
        (lambda v: v + np.arange(2), "float32"),
        (lambda v: v * at.constant(np.float64(2)), "float64"),
        (lambda v: v * np.ones(2), "float64"),
        (lambda v: v * at.exp(1), "float32"),
        (lambda v: v * (at.as_variable(1.5) + 2), "float32"),
    ]:
        found = run(op, x)
        assert found.dtype == dtype
        assert_close(found, np.asarray(op(at.constant(x)).eval()))


def test_a_number_keeps_its_digits_until_it_meets_an_array():
    assert float(run(lambda v: v * 0.1, np.array(1.0))) == 0.1
    assert float(run(lambda v: v + np.pi, np.array(0.0))) == np.pi


def test_an_integer_that_meets_a_float64_keeps_its_digits():
    x, y = np.array([2**40 + 1, 3]), np.array([0.5, 0.25])
    np.testing.assert_array_equal(run(at.add, x, y), x + y)
    np.testing.assert_array_equal(run(at.true_div, x, y), x / y)


def test_constants_of_numbers_are_strong():
    assert at.constant(2).dtype == "int64"
    assert at.constant(2.0).dtype == "float32"
    assert (at.constant(2) + at.tensor("int8", ())).dtype == "int64"
    assert at.as_tensor_variable(2.5).dtype == "float32"
    assert at.constant([1, 2]).dtype == "int64"
    assert at.constant(2.0, dtype="float16").dtype == "float16"


def test_a_dtype_is_settled_when_the_graph_is_built(float64):
    x = at.lscalar()
    outputs = [at.exp(x), x * 2.5, x / 2, at.exp(1) + x, at.exp(at.as_variable(1) + 1) * 1]
    f = loopjax.function([x], outputs)
    loopjax.config.floatX = "float32"
    found = f(2)
    assert [one.dtype for one in found] == ["float64"] * 5
    np.testing.assert_allclose(found, [np.exp(2), 5.0, 1.0, np.e + 2, np.exp(2)], rtol=1e-15)


def test_constants_of_numbers_follow_floatx(float64):
    assert at.constant(2.0).dtype == "float64"
    assert (at.tensor("float32", ()) * 2.0).dtype == "float32"
    assert (at.tensor("int64", ()) * 2.0).dtype == "float64"
    assert at.vector().dtype == "float64"


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(OverflowError, match=r"300 does not fit into int8 \[test_elementwise\.py:\d+\](\n|$)"):
        at.bscalar() + 300
    with pytest.raises(OverflowError, match=r"1e\+300 does not fit into float32 \[test_elementwise\.py:\d+\](\n|$)"):
        at.fscalar() * 1e300


def test_floatx_takes_known_dtypes_only():
    with pytest.raises(ValueError, match="floatX is one of"):
        loopjax.config.floatX = "int32"
    assert loopjax.config.floatX == "float32"


POINTWISE = sorted(
    name
    for name in at.__all__
    if inspect.isfunction(function := getattr(at, name)) and "/" in str(inspect.signature(function))
)
INTEGER_ONLY = {"and_", "or_", "xor", "invert", "left_shift", "right_shift"}
INTEGER_ONLY |= {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"}


class TestHelp:
    """Ops that are registered in one line look like functions that are written out."""

    def test_signatures_name_the_parameters(self):
        shown = {name: str(inspect.signature(getattr(at, name))) for name in ("tanh", "add", "switch", "betainc")}
        variable = "loopjax.ir.graph.Variable"
        any_ = "typing.Any"
        assert {name: text.replace(any_, "Any").replace(variable, "Variable") for name, text in shown.items()} == {
            "tanh": "(x: Any, /) -> Variable",
            "add": "(x: Any, y: Any, /, *more: Any) -> Variable",
            "switch": "(condition: Any, x: Any, y: Any, /) -> Variable",
            "betainc": "(a: Any, b: Any, x: Any, /) -> Variable",
        }

    @pytest.mark.parametrize("name", ["add", "mul", "maximum", "minimum", "and_", "or_", "xor"])
    def test_more_operands_are_taken_from_left_to_right(self, name):
        op, (x, y, z) = getattr(at, name), np.array([[12, 10, 7], [5, 6, 6], [1, 3, 2]])
        np.testing.assert_array_equal(op(x, y, z).eval(), op(op(x, y), z).eval())
        assert op(at.tensor("int8", ()), 1, 2, 3).dtype == "int8"
        with pytest.raises(TypeError, match=rf"^{name}\(x, y, more\) missing 1 required .* 'y' \[test_elementwise"):
            op(x)

    @pytest.mark.parametrize("operands", [(True,), (True, 1.0), (True, 1.0, 2.0, 3.0)])
    def test_a_switch_names_the_operand_that_is_missing(self, operands):
        wrong = r"takes 3 positional arguments but 4" if len(operands) == 4 else r"missing \d required .* 'y'"
        with pytest.raises(TypeError, match=rf"^switch\(condition, x, y\) {wrong}.* \[test_elementwise"):
            at.switch(*operands)

    @pytest.mark.parametrize("values", [(), (1.0, 2.0)])
    def test_another_number_of_arguments_is_refused(self, values):
        with pytest.raises(TypeError, match="positional argument"):
            at.tanh(*values)

    def test_docstrings_say_what_an_op_accepts_and_gives(self):
        found = {name: inspect.getdoc(getattr(at, name)) for name in ("mod", "eq", "abs", "gammainc", "floor")}
        assert "Real numbers of shapes that broadcast." in found["mod"]
        assert "and dtype bool." in found["eq"]
        assert "and the dtype of a complex number's parts." in found["abs"]
        assert "the common dtype, floatX where no input is a float." in found["gammainc"]
        assert "derivatives are zero" in found["floor"]

    @pytest.mark.parametrize("name", POINTWISE)
    def test_the_errors_of_docstrings_are_raised(self, name):
        op, dtype = getattr(at, name), "int8" if name in INTEGER_ONLY else "float32"
        takes = len(inspect.signature(op).parameters)
        with pytest.raises(TypeError):
            op(*[object()] * takes)
        raises = inspect.getdoc(op).partition("Raises")[2]
        assert ("ValueError" in raises) == (takes > 1)
        if takes > 1:
            with pytest.raises(ValueError, match="do not broadcast"):
                op(*[at.tensor(dtype, (size,)) for size in range(2, 2 + takes)])
        if "OverflowError" in raises:
            with pytest.raises(OverflowError, match="does not fit"):
                op(*[at.tensor("int8", ())] * (takes - 1), 1000)


def test_derivatives_of_softplus():
    """The slope is a logistic function, as far as floats reach; of any order."""
    x = at.dvector("x")
    slope = loopjax.grad(at.softplus(x).sum(), x)
    points = np.array([-1000.0, -40.0, -1.0, 0.0, 3.0, 1000.0, np.nan, np.inf, -np.inf])
    first, second = loopjax.function([x], [slope, loopjax.grad(slope.sum(), x)])(points)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-points))
    np.testing.assert_allclose(first, expected, rtol=1e-14)
    np.testing.assert_allclose(second, expected * (1 - expected), rtol=1e-13)
