"""Programs without 64-bit values are plain JAX where x64 is off; others say what they cannot do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.experimental import checkify

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError

VALUES = np.array([0.3, 0.9, 0.5, 0.7], "float32")


@pytest.fixture(autouse=True)
def flag():
    with jax.enable_x64(False):
        yield


def names_of(jaxpr):
    """The names of all primitives in a jaxpr, and the dtypes of all values."""
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        found.update(str(one.aval.dtype) for one in (*equation.invars, *equation.outvars) if hasattr(one.aval, "dtype"))
        for parameter in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda one: hasattr(one, "eqns")):
            inner = getattr(parameter, "jaxpr", parameter)
            found |= names_of(inner) if hasattr(inner, "eqns") else set()
    return found


def is_plain(f, *args):
    found = names_of(jax.make_jaxpr(f)(*args).jaxpr)
    return not any(name.startswith("loopjax") or name.endswith("64") for name in found - {"complex64"})


def start(value=0.0):
    return at.constant(value, dtype="float32")


def taps(x):
    return loopjax.scan(
        lambda a, b, h, g: 0.3 * h + 0.2 * g + a * b,
        sequences={"input": x, "taps": [-1, 1]},
        outputs_info={"initial": at.zeros(2, dtype="float32"), "taps": [-1, -2]},
    )[0]


def stopped(x):
    fn = lambda t, s: ([t + 1, at.sin(s) + x], loopjax.until((t > 1) & (s.sum() < 9)))  # noqa: E731
    (count, states), _ = loopjax.scan(fn, outputs_info=[at.constant(0), x], n_steps=9)
    return states[-1] + count[-1]


def nested(x):
    inner = lambda a: loopjax.scan(lambda b, h: h * a + b, x, start())[0][-1]  # noqa: E731
    return loopjax.scan(inner, x)[0]


def wrapped(x):
    fn = loopjax.wrap_jax(lambda a, b: jnp.tanh(a) * b)
    return loopjax.scan(fn, x, start(1.0))[0]


def of_lengths(x):
    rows = at.stack([x, x * 2], axis=1)
    return loopjax.scan(lambda a, h: at.tanh(a + h), rows, at.zeros(2, dtype="float32"), lengths=np.array([2, 4]))[0]


PROGRAMS = {
    "taps": taps,
    "until": stopped,
    "nested": nested,
    "wrap_jax": wrapped,
    "lengths": of_lengths,
    "sum of an until loop": lambda x: loopjax.scan(
        lambda a, h: (h + a, loopjax.until(h > 0.5)), sequences=x, outputs_info=start()
    )[0].sum(),
    "gradient": lambda x: loopjax.grad(stopped(x).sum(), x),
    "checkpoint": lambda x: loopjax.grad(
        loopjax.scan(lambda a, h: at.sin(h + a), x, start(), checkpoint="sqrt")[0][-1], x
    ),
    "truncated": lambda x: loopjax.scan(lambda a, h: at.sin(h + a), x, start(), truncate_gradient=2)[0][-1],
    "positions": lambda x: x[at.argmax(x)] * at.sort(x)[0] + x[at.argsort(x)[1:]].sum() + at.cumsum(x > 0.5)[-1],
    "mask": lambda x: (x[x > 0.4] ** 2).sum(),
    "range": lambda x: loopjax.scan(lambda i, h: h + x[i] * i, at.arange(x.shape[0]), start())[0][-1],
    "count since the last": lambda x: loopjax.scan(
        lambda a, n, m: [at.switch(a > 0.5, n + 1, 0), at.switch(a > 0.5, m, m - 2)],
        sequences=x,
        outputs_info=[at.constant(0), at.constant(0)],
    )[0][0].astype("float32"),
    "remainder": lambda x: loopjax.scan(
        lambda i, h: [(3 * i + 1) % 7, h * x[0] + i], outputs_info=[at.constant(2), start()], n_steps=5
    )[0][1][-1],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_float32_program_is_plain_jax(program):
    x = at.fvector("x")
    out = PROGRAMS[program](x)
    f = loopjax.to_jax([x], out)
    assert is_plain(f, VALUES)
    assert is_plain(jax.grad(lambda x: f(x).sum()), VALUES)
    np.testing.assert_allclose(f(VALUES), loopjax.function([x], out)(VALUES), rtol=1e-6)


def test_state_and_draws():
    stream, x = loopjax.random.RandomStream(3), at.fvector("x")
    count, weights = loopjax.shared(0, name="count"), loopjax.shared(np.ones(4, "f"), name="weights")
    fn = lambda n, h: [n + at.switch(h > 0, 1, 0), h * 0.5 + stream.normal(dtype="float32")]  # noqa: E731
    (accepted, h), updates = loopjax.scan(fn, outputs_info=[at.constant(0), start()], n_steps=6)
    cost = (weights * x).sum() * h[-1]
    slope = loopjax.grad(cost, weights)
    updates = {**updates, count: count + 1, weights: weights - 0.1 * slope / (1 + count.astype("float32"))}
    f = loopjax.to_jax([x], [cost, accepted[-1]], updates)
    assert is_plain(f, f.init(), VALUES)
    outputs, state = jax.jit(f)(f.init(), VALUES)
    expected = loopjax.function([x], [cost, accepted[-1]], updates=updates)(VALUES)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    assert state["count"] == count.get_value() == 1


def test_a_traced_number_of_steps():
    x, n = at.fvector("x"), at.lscalar("n")
    f = loopjax.to_jax([x, n], loopjax.scan(lambda h: h * 0.9, outputs_info=x, n_steps=n)[0][-1])
    assert is_plain(f, VALUES, 5)
    np.testing.assert_allclose(jax.jit(f)(VALUES, 5), VALUES * 0.9**5, rtol=1e-6)


class TestWhatNeeds64Bits:
    """Integers keep their digits: a program whose numbers may be larger than int32 is computed in 64 bits."""

    @pytest.mark.parametrize(
        ("program", "expected"),
        [
            (lambda n: (n * n) % 1000, 100_003**2 % 1000),
            (lambda n: (at.arange(100_000) * 3).sum() % 1000 + 0 * n, 3 * sum(range(100_000)) % 1000),
            (lambda n: loopjax.scan(lambda s: s * 3, outputs_info=n, n_steps=20)[0][-1] % 1000, 100_003 * 3**20 % 1000),
            (lambda n: loopjax.scan(lambda s: s + n, outputs_info=n, n_steps=50_000)[0][-1] % 1000, 50_001 * 3 % 1000),
            (
                lambda n: loopjax.scan(lambda s: at.switch(s > 0, s * 9, 0), outputs_info=n, n_steps=9)[0][-1] % 7,
                100_003 * 9**9 % 7,
            ),
            (lambda n: loopjax.scan(lambda i: n * i, at.arange(99_999))[0].sum() % 997, 100_003 * 4_999_850_001 % 997),
        ],
    )
    def test_integers(self, program, expected):
        n = at.lscalar("n")
        f = loopjax.to_jax([n], program(n))
        assert jax.jit(f)(100_003) == expected
        assert not is_plain(f, 100_003)

    def test_integers_that_are_not_traced(self):
        n = at.lscalar("n")
        f = loopjax.to_jax([n], (n + 1) % 1000)
        assert is_plain(f, 5)
        assert jax.jit(lambda: f(2**40 + 7))() == (2**40 + 8) % 1000

    def test_checkify_and_export_say_so(self):
        x = at.dvector("x")
        f = loopjax.to_jax([x], at.log(x).sum())
        with pytest.raises(UnsupportedError, match=r"checkify cannot look into a program .* turn jax_enable_x64 on"):
            checkify.checkify(f, errors=checkify.float_checks)(VALUES)
        with pytest.raises(UnsupportedError, match=r"for one platform .* got cpu, cuda; export each by itself"):
            export.export(jax.jit(f), platforms=("cpu", "cuda"))(VALUES)
        single = export.export(jax.jit(f), platforms=("cpu",))(VALUES)
        np.testing.assert_allclose(single.call(VALUES), np.log(VALUES).sum(), rtol=1e-6)


class TestTools:
    """What JAX's tools see of a float32 program."""

    def program(self):
        x = at.fvector("x")
        return loopjax.to_jax([x], loopjax.scan(lambda a, h: h * 0.5 + at.log(a), x, start())[0][-1])

    @pytest.mark.parametrize("wrap", [lambda f: f, jax.grad, jax.jit])
    def test_checkify(self, wrap):
        checked = checkify.checkify(wrap(self.program()), errors=checkify.float_checks)
        assert checked(VALUES)[0].get() is None
        assert "nan generated by primitive: log" in checked(-VALUES)[0].get()

    @pytest.mark.parametrize("wrap", [lambda f: f, jax.grad])
    def test_export(self, wrap):
        f = wrap(self.program())
        exported = export.export(jax.jit(f), platforms=("cpu", "cuda", "tpu"))(VALUES)
        np.testing.assert_allclose(exported.call(VALUES), f(VALUES), rtol=1e-6)

    def test_policies(self):
        f = jax.checkpoint(self.program(), policy=jax.checkpoint_policies.everything_saveable)
        jaxpr = jax.make_jaxpr(jax.grad(f))(VALUES)
        assert str(jaxpr).count(" log ") == 1  # nothing is computed again
        assert str(jax.make_jaxpr(jax.grad(jax.checkpoint(self.program())))(VALUES)).count(" log ") > 0

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
    def test_key_reuse(self, wrap, dtype):
        stream = loopjax.random.RandomStream(3)
        fn = lambda h: h * 0.9 + stream.normal(dtype=dtype)  # noqa: E731
        h, updates = loopjax.scan(fn, outputs_info=at.constant(0.0, dtype=dtype), n_steps=4)
        f = loopjax.to_jax([], h[-1] + stream.uniform(dtype=dtype), updates)
        with jax.debug_key_reuse(True):
            state = f.init()
            for _ in range(3):
                before, (_, state) = state, wrap(f)(state)
            with pytest.raises(jax.errors.KeyReuseError):
                wrap(f)(before)


@pytest.mark.parametrize(
    "draw",
    [
        lambda stream: stream.poisson(30.0, size=99, dtype="int32"),
        lambda stream: stream.binomial(40, 0.3, size=99, dtype="int32"),
        lambda stream: stream.negative_binomial(5, 0.3, size=99, dtype="int32"),
        lambda stream: stream.integers(0, 100, size=99, dtype="int32"),
        lambda stream: stream.choice(np.arange(9, dtype="float32"), size=99),
        lambda stream: stream.standard_gamma(2.0, size=99, dtype="float32"),
        lambda stream: stream.categorical(np.ones(5, "float32") / 5, size=99),
    ],
)
def test_draws_are_the_same_with_x64_on(draw):
    out = draw(loopjax.random.RandomStream(5))
    f = loopjax.to_jax([], out)
    np.testing.assert_allclose(f(f.init())[0], loopjax.function([], out)(), rtol=1e-6)
