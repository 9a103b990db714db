"""``to_jax``: the same values as ``function``, under JAX's transformations, with its x64 on and off."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import loopjax
import loopjax.tensor as at
from examples import guide as programs
from loopjax.errors import UnsupportedError

BOTH = pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])


@pytest.fixture
def flag(x64):
    with jax.enable_x64(x64):
        yield x64


def same(got, wanted, x64=False):
    """Equal to the rounding of float32, or of float64 where x64 is on and the program in float64."""
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        wide = x64 and np.asarray(other).dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-12 if wide else 3e-6, atol=1e-14 if wide else 1e-7)


class Recorded:
    """A function that a program of the guide makes: what it is made of, and the arguments of its first call."""

    def __init__(self, inputs, outputs, updates):
        self.inputs, self.outputs, self.updates = list(inputs), outputs, updates
        self.args = None

    @property
    def static(self):
        return tuple(i for i, arg in enumerate(self.args) if isinstance(arg, int) and self.inputs[i].type.is_integer)

    @property
    def moving(self):
        """The position of the first float array, if there is one."""
        floats = [i for i, variable in enumerate(self.inputs) if variable.type.is_float]
        return floats[0] if floats else None

    def pair(self, outputs=None):
        """The program through ``to_jax``, always with a state, and through ``function``."""
        outputs = self.outputs if outputs is None else outputs
        f = loopjax.to_jax(self.inputs, outputs, self.updates, on_unused_input="ignore")
        with_state = f if f.variables else lambda state, *args: (f(*args), state)
        function = loopjax.function(self.inputs, outputs, updates=self.updates, on_unused_input="ignore")
        return f.init(), with_state, function

    def cost(self):
        """A float scalar that depends on the float input, if there is one."""
        outputs = self.outputs if isinstance(self.outputs, list) else [self.outputs]
        terms = [at.sum(at.sin(out)) for out in outputs if out.type.is_float]
        return functools.reduce(lambda a, b: a + b, terms) if terms else None


class Called(Exception):
    """The call of a function that was waited for; nothing of it has run."""


def record(program, monkeypatch):
    """The function of a guide's program that has its name, and the arguments of its first call."""

    class Recording(programs._Timed):
        def __call__(self, *args):
            if self.name != program.name:
                return super().__call__(*args)
            self.recorded.args = args
            raise Called(self.recorded)

    def timed(inputs, outputs, name, updates=None):
        one = Recording(loopjax.function(inputs, outputs, updates=updates, name=name))
        one.name, one.recorded = name, Recorded(inputs, outputs, updates)
        return one

    monkeypatch.setattr(programs, "_timed", timed)
    monkeypatch.setattr(programs, "DRAWS", 2)
    with pytest.raises(Called) as call:
        program.run()
    (found,) = call.value.args
    if program.name == "until":
        found.outputs = found.outputs[-1]
    if program.name == "checkpoints":
        found.outputs = found.outputs[0]
    return found


@pytest.mark.usefixtures("flag")
@pytest.mark.parametrize(
    ("program", "x64"),
    [(program, number % 2 == 0) for number, program in enumerate(programs.PROGRAMS)],
    ids=lambda one: one.name if isinstance(one, programs.Program) else f"x{32 + 32 * one}",
)
class TestGuide:
    """Each program of the guide is the same through ``to_jax``, with x64 on for every other one."""

    def test_jit_and_state(self, program, x64, monkeypatch):
        recorded = record(program, monkeypatch)
        state, f, function = recorded.pair()
        outputs, after = jax.jit(f, static_argnums=[1 + i for i in recorded.static])(state, *recorded.args)
        same(outputs, function(*recorded.args), x64)
        same(after, recorded.pair()[0], x64)
        if not x64:
            assert {str(leaf.dtype) for leaf in jax.tree.leaves(outputs)} <= {"float32", "int32"}

    def test_vmap(self, program, x64, monkeypatch):
        recorded = record(program, monkeypatch)
        state, f, function = recorded.pair()
        place = recorded.moving
        if place is None:
            outputs, _ = jax.vmap(f, in_axes=None, axis_size=2)(state, *recorded.args)
            same(jax.tree.map(lambda leaf: leaf[1], outputs), function(*recorded.args), x64)
            return
        values = np.asarray(recorded.args[place], recorded.inputs[place].dtype)
        table = np.stack([values, values / 2])
        axes = [None] * (1 + len(recorded.args))
        axes[1 + place] = 0
        args = [*recorded.args[:place], table, *recorded.args[place + 1 :]]
        outputs, _ = jax.vmap(f, in_axes=axes)(state, *args)
        for row in range(2):
            loopjax.to_jax(recorded.inputs, recorded.outputs, recorded.updates, on_unused_input="ignore").store(state)
            args[place] = table[row]
            same(jax.tree.map(lambda leaf, row=row: leaf[row], outputs), function(*args), x64)

    def test_inside_scan(self, program, x64, monkeypatch):
        recorded = record(program, monkeypatch)
        state, f, function = recorded.pair()
        place = recorded.moving
        values = np.zeros(3) if place is None else np.asarray(recorded.args[place], recorded.inputs[place].dtype)
        xs = np.stack([values, values / 2, values / 3])

        def arguments(x):
            return [x if i == place else arg for i, arg in enumerate(recorded.args)]

        after, stacked = lax.scan(lambda state, x: f(state, *arguments(x))[::-1], state, xs)
        for row in range(3):
            same(jax.tree.map(lambda leaf, row=row: leaf[row], stacked), function(*arguments(xs[row])), x64)
        same(after, recorded.pair()[0], x64)

    def test_grad_and_jvp(self, program, x64, monkeypatch):
        recorded = record(program, monkeypatch)
        place, cost = recorded.moving, recorded.cost()
        if place is None or cost is None:
            pytest.skip("no float input or output")
        x = recorded.inputs[place]
        state, f, _ = recorded.pair(cost)
        wanted_gradient = loopjax.grad(cost, x, disconnected_inputs="ignore")
        gradient = loopjax.function(
            recorded.inputs, wanted_gradient, no_default_updates=True, on_unused_input="ignore"
        )(*recorded.args)
        args = list(recorded.args)
        values = jnp.asarray(np.asarray(args[place], x.dtype))

        def of_x(values):
            return f(state, *args[:place], values, *args[place + 1 :])[0]

        same(jax.grad(of_x)(values), gradient, x64)
        same(jax.jit(jax.grad(jax.checkpoint(of_x)))(values), gradient, x64)
        tangent = jnp.cos(values)
        _, moved = jax.jvp(of_x, (values,), (tangent,))
        np.testing.assert_allclose(moved, np.vdot(gradient, tangent), rtol=1e-12 if x64 else 1e-5, atol=1e-7)


@BOTH
@pytest.mark.usefixtures("flag")
class TestX64:
    """Programs wider than JAX's flag allows, through ops whose own rules read that flag."""

    def program(self):
        x = at.dvector("x")
        h, _ = loopjax.scan(
            lambda v, h: at.sin(h) * 1.1 + v, sequences=x, outputs_info=at.constant(0.5, dtype="float64")
        )
        solved = at.linalg.solve(at.eye(3, dtype="float64") * 2 + at.outer(h, h), h)
        best = at.argmax(h)
        return x, h[best] + (at.cumsum(solved) * h).sum() + at.sort(h)[0] * h[
            at.as_tensor_variable([0, 2])
        ].sum() + best

    VALUES = (0.3, -0.8, 0.6)

    @staticmethod
    def plain(x):
        h, hs = 0.5, []
        for v in x:
            h = jnp.sin(h) * 1.1 + v
            hs.append(h)
        h = jnp.stack(hs)
        solved = jnp.linalg.solve(jnp.eye(3) * 2 + jnp.outer(h, h), h)
        return h[jnp.argmax(h)] + (jnp.cumsum(solved) * h).sum() + jnp.sort(h)[0] * (h[0] + h[2]) + jnp.argmax(h)

    TRANSFORMED = {
        "call": lambda f: f,
        "jit": jax.jit,
        "grad": jax.grad,
        "grad of jit": lambda f: jax.grad(jax.jit(f)),
        "vmap of grad": lambda f: lambda x: jax.vmap(jax.grad(f))(jnp.stack([x, x / 2])),
        "grad of vmap": lambda f: jax.grad(lambda x: jax.vmap(f)(jnp.stack([x, x / 2])).sum()),
        "grad of scan": lambda f: jax.grad(
            lambda x: lax.scan(lambda c, _: (c + f(c) * 0.01, f(c)), x, None, length=3)[1].sum()
        ),
        "checkpoint": lambda f: jax.jit(jax.grad(jax.checkpoint(f))),
        "jvp of hessian": lambda f: lambda x: jax.jvp(jax.hessian(f), (x,), (jnp.cos(x),)),
        "cond": lambda f: jax.grad(lambda x: lax.cond(x[0] > 0, f, jnp.sum, x)),
        "while": lambda f: lambda x: lax.fori_loop(0, 3, lambda _, c: c + f(c) * 0.01, x),
    }

    @pytest.mark.parametrize("how", TRANSFORMED)
    def test_every_transformation(self, how, x64):
        x, out = self.program()
        f = loopjax.to_jax([x], out)
        values = jnp.array(self.VALUES)
        same(self.TRANSFORMED[how](f)(values), self.wanted(how), x64)

    @classmethod
    @functools.cache
    def wanted(cls, how):
        """The same in JAX, in float64."""
        with jax.enable_x64(True):
            values = jnp.asarray(cls.VALUES, "float64")
            return jax.tree.map(np.asarray, jax.jit(cls.TRANSFORMED[how](cls.plain))(values))

    def test_arithmetic_is_as_wide_as_the_program(self, x64):
        x, n = at.dscalar("x"), at.lscalar("n")
        f = loopjax.to_jax([x, n], [(x + 1e-12 - x) * 1e12, (n * 2**20) % 1000003])
        for call in (f, jax.jit(f)):
            difference, remainder = call(1.0, 12345678)
            np.testing.assert_allclose(difference, 1, rtol=1e-3)
            assert remainder == (12345678 * 2**20) % 1000003
            assert difference.dtype == ("float64" if x64 else "float32")

    def test_arguments_that_are_not_traced_lose_nothing(self, x64):
        x, y = at.dscalar("x"), at.lscalar("y")
        f = loopjax.to_jax([x, y], [(x - 1) * 1e12, y % 1000])
        assert jax.jit(lambda: f(1 + 1e-12, 2**40 + 7))()[1] == (2**40 + 7) % 1000
        np.testing.assert_allclose(jax.jit(lambda: f(1 + 1e-12, 0))()[0], 1, rtol=1e-3)

    def test_keep_x64(self, x64):
        x, a = at.dscalar("x"), loopjax.shared(1.0, dtype="float64", name="a")
        f = loopjax.to_jax([x], x * a, {a: a + 1}, keep_x64=True)
        out, state = jax.jit(f)(f.init(), 1.0)
        assert out.dtype == state["a"].dtype == "float64"
        narrow = loopjax.to_jax([x], x * a, {a: a + 1})
        out, state = jax.jit(narrow)(narrow.init(), 1.0)
        assert out.dtype == state["a"].dtype == narrow.init()["a"].dtype == ("float64" if x64 else "float32")

    def test_keys_go_through_every_transformation(self, x64):
        stream, x = at.random.RandomStream(3), at.dscalar("x")
        f = loopjax.to_jax([x], x * stream.normal(loc=x, dtype="float64"))
        state = f.init()
        out, after = jax.vmap(f, in_axes=(None, 0))(state, jnp.arange(3.0))
        again = [f(state, value)[0] for value in jnp.arange(3.0)]
        same(out, jnp.stack(again), x64)
        slope = jax.jit(jax.grad(lambda x: f(state, x)[0]))(2.0)
        np.testing.assert_allclose(slope, f(state, 2.0)[0] / 2 + 2, rtol=1e-6)
        (key,) = f.variables
        assert not np.array_equal(jax.random.key_data(after[key][0]), jax.random.key_data(state[key]))


class TestState:
    def counter(self):
        a, b = loopjax.shared(2.0, name="a"), loopjax.shared(np.ones(3))
        x = at.vector("x")
        return a, b, loopjax.to_jax([x], {"y": a * x + b}, {a: a + 1}, name="counter")

    def test_state_is_taken_and_returned(self):
        a, b, f = self.counter()
        state = f.init()
        assert set(state) == {"a", "shared 1"}
        assert f.variables == {"a": a, "shared 1": b}
        out, after = f({**state, "a": jnp.float32(5)}, np.ones(3, "f4"))
        np.testing.assert_allclose(out["y"], 6)
        assert after["a"] == 6
        assert a.get_value() == 2

    def test_store_gives_the_shared_variables_the_state(self):
        a, _, f = self.counter()
        _, after = f(f.init(), np.ones(3, "f4"))
        f.store(after)
        assert a.get_value() == 3
        assert f.init()["a"] == 3

    def test_gradients_with_respect_to_state(self):
        _, _, f = self.counter()
        x = np.arange(3.0, dtype="f4")

        def loss(state):
            return f(state, x)[0]["y"].sum()

        gradient = jax.jit(jax.grad(loss))(f.init())
        np.testing.assert_allclose(gradient["a"], 3)
        np.testing.assert_allclose(gradient["shared 1"], 1)

    def test_names_in_the_state_differ(self):
        a, b = loopjax.shared(1.0, name="w"), loopjax.shared(2.0, name="w")
        f = loopjax.to_jax([], a * b)
        assert sorted(f.init()) == ["w 0", "w 1"]

    def test_a_state_that_does_not_fit(self):
        _, _, f = self.counter()
        x = np.ones(3, "f4")
        with pytest.raises(TypeError, match=r"counter has shared variables: its first argument is the state.*'a'"):
            f(x)
        with pytest.raises(TypeError, match=r"missing \['shared 1'\], unknown \['c'\]"):
            f({"a": 1.0, "c": 1.0}, x)
        with pytest.raises(TypeError, match=r"state 'a' \[test_to_jax.py:\d+\] is float32\(2,\); expected float32\(\)"):
            f({**f.init(), "a": np.ones(2, "f4")}, x)

    def test_a_value_may_be_fixed(self):
        a, x = loopjax.shared(2.0), at.scalar("x")
        assert loopjax.to_jax([x], a * x, givens={a: 3.0})(2.0) == 6


class TestLengths:
    def power(self, read=lambda out: out[-1]):
        x, k = at.fscalar("x"), at.iscalar("k")
        out, _ = loopjax.scan(lambda h: h * x, outputs_info=at.constant(1.0, dtype="float32"), n_steps=k)
        return x, k, read(out)

    def test_a_concrete_length_is_compiled_for(self):
        x, k, out = self.power(lambda out: out)
        f = loopjax.to_jax([x, k], out)
        np.testing.assert_allclose(jax.jit(f, static_argnums=1)(2.0, 3), [2, 4, 8])
        np.testing.assert_allclose(jax.jacobian(f)(2.0, np.int32(3)), [1, 4, 12])

    @pytest.mark.parametrize("read", [lambda out: out[-1], lambda out: out.sum(), lambda out: out[1]])
    def test_a_traced_trip_count(self, read):
        x, k, out = self.power(read)
        f = loopjax.to_jax([x, k], out)
        for n in (3, 5):
            powers = 2.0 ** np.arange(1, n + 1)
            np.testing.assert_allclose(jax.jit(f)(2.0, n), read(powers))
        slope = jax.jit(lambda x, k: jax.jvp(lambda x: f(x, k), (x,), (1.0,))[1])(2.0, 3)
        np.testing.assert_allclose(slope, jax.grad(f)(2.0, 3))
        np.testing.assert_allclose(jax.vmap(f, in_axes=(None, 0))(2.0, jnp.array([2, 3])), [f(2.0, 2), f(2.0, 3)])
        with jax.enable_x64(True), pytest.raises(UnsupportedError, match="reverse mode, which stores all steps"):
            jax.jit(jax.grad(f))(2.0, 3)

    def test_a_traced_length_is_named(self):
        x, k, out = self.power(lambda out: out)
        f = loopjax.to_jax([x, k], out, name="powers")
        wanted = r"powers: input 'k' \[.*:\d+\] decides .* is \[.*:\d+\], and JAX traces it; .* static_argnums"
        with pytest.raises(UnsupportedError, match=wanted):
            jax.jit(f)(2.0, 3)

    def test_a_shared_length_is_named(self):
        n = loopjax.shared(3, name="n")
        f = loopjax.to_jax([], at.zeros(n))
        assert f(f.init())[0].shape == (3,)
        with pytest.raises(UnsupportedError, match=r"shared variable 'n' .*givens"):
            jax.jit(f)(f.init())

    def test_what_ends_a_stage_is_named(self):
        x = at.fvector("x")
        stack, _ = loopjax.scan(
            lambda h: (h * 2, loopjax.until(h > x[0])),
            outputs_info=at.constant(1.0, dtype="float32"),
            n_steps=9,
            name="up",
        )
        with pytest.raises(
            UnsupportedError,
            match=r"scan 'up' \[.*:\d+\] gives is known only after it has run, and the whole of them is returned",
        ):
            loopjax.to_jax([x], stack)
        with pytest.raises(UnsupportedError, match=r"the whole of them is read \[.*:\d+\]"):
            loopjax.to_jax([x], at.linalg.eigh(at.outer(stack, stack)))
        with pytest.raises(UnsupportedError, match=r"arange .* needs a length that gt .* computes on the device"):
            loopjax.to_jax([x], at.arange((x > 0).sum()))
        f = loopjax.to_jax([x], stack[-1] * x[1])
        np.testing.assert_allclose(jax.jit(jax.grad(f))(jnp.array([5.0, 1.0])), [0, 16])

    def test_a_length_is_checked_where_it_is_known(self):
        x, k, out = self.power()
        f = loopjax.to_jax([x, k], out, derivatives="none")
        with pytest.raises(ValueError, match="n_steps is negative: -1"):
            f(2.0, -1)


class TestDerivatives:
    def loop(self):
        x = at.fscalar("x")
        out, _ = loopjax.scan(
            lambda h: (h * x, loopjax.until(h > 100)), outputs_info=at.constant(1.0, dtype="float32"), n_steps=1000
        )
        return x, out[-1]

    @pytest.mark.parametrize("kind", ["any", "reverse", "forward", "none"])
    def test_each_kind(self, kind):
        x, out = self.loop()
        f = loopjax.to_jax([x], out, derivatives=kind)
        assert f(2.0) == 256
        with jax.enable_x64(True):
            if kind in ("any", "reverse"):
                np.testing.assert_allclose(jax.jit(jax.grad(f))(2.0), 8 * 2**7)
            if kind in ("any", "forward"):
                np.testing.assert_allclose(jax.jvp(f, (2.0,), (1.0,))[1], 8 * 2**7)
            if kind in ("forward", "none"):
                with pytest.raises(loopjax.errors.UnsupportedError, match="derivatives='reverse'"):
                    jax.grad(f)(2.0)

    def test_gradients_inside_of_the_program(self):
        x = at.dscalar("x")
        f = loopjax.to_jax([x], loopjax.grad(at.sin(x) ** 2, x))
        np.testing.assert_allclose(jax.grad(f)(0.7), 2 * np.cos(1.4), rtol=1e-6)

    def test_another_kind_is_refused(self):
        with pytest.raises(ValueError, match="derivatives is 'any', 'reverse', 'forward' or 'none', not 'all'"):
            loopjax.to_jax([], at.constant(1.0), derivatives="all")


class TestArguments:
    def test_form_names_and_defaults(self):
        x, y = at.fscalar("x"), at.fscalar("y")
        f = loopjax.to_jax([x, loopjax.In(y, value=2.0)], {"a": x + y, "b": [x][0] * y})
        assert f(1.0) == {"a": 3, "b": 2}
        assert jax.jit(f)(x=1.0, y=5.0) == {"a": 6, "b": 5}
        assert repr(f) == "<to_jax(x, y) for JAX>"

    def test_what_does_not_fit(self):
        x = at.fvector("x")
        f = loopjax.to_jax([x], x * 2)
        with pytest.raises(TypeError, match=r"input 'x' \[.*\]: expected 1 dimensions"):
            jax.jit(f)(1.0)
        with jax.enable_x64(True), pytest.raises(TypeError, match=r"expected float32, got float64\(2,\)"):
            jax.jit(f)(jnp.ones(2))


@BOTH
@pytest.mark.usefixtures("flag")
class TestFunctionWhileJaxTraces:
    def test_derivatives_go_through(self, x64):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda h: (h * x, loopjax.until(h[0] > 9)), outputs_info=at.ones_like(x), n_steps=99)
        f = loopjax.function([x], at.sort(out[-1])[at.argmax(x)])
        values = jnp.array([2.0, 3.0])
        for call in (jax.grad(f), jax.jit(jax.grad(f))):
            np.testing.assert_allclose(call(values), [0, 5 * 81], rtol=1e-6)
        assert jax.jit(f)(values).dtype == ("float64" if x64 else "float32")


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import PartitionSpec as P
import loopjax, loopjax.tensor as at

x, w = at.vector("x"), at.scalar("w")
h, _ = loopjax.scan(lambda v, h, w: h * w + v, x, at.constant(0.0), w)
f = loopjax.to_jax([x, w], h * at.cast(1 + 0 * at.argmax(h), x.dtype))
mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
sharded = jax.shard_map(f, mesh=mesh, in_specs=(P("i"), P()), out_specs=P("i"), check_vma=False)
halves = lambda x, w: jnp.concatenate([f(x[:4], w), f(x[4:], w)])
values, weight = jnp.arange(8, dtype=x.dtype) / 8, jnp.asarray(0.5, x.dtype)
np.testing.assert_allclose(sharded(values, weight), halves(values, weight), rtol=1e-6)
got = jax.jit(jax.grad(lambda x, w: (sharded(x, w) ** 2).sum(), argnums=(0, 1)))(values, weight)
wanted = jax.grad(lambda x, w: (halves(x, w) ** 2).sum(), argnums=(0, 1))(values, weight)
for one, other in zip(got, wanted):
    np.testing.assert_allclose(one, other, rtol=1e-6)
"""


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
def test_shard_map(x64):
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_ENABLE_X64": str(int(x64)),
    }
    done = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


class TestLengthsOfTheRun:
    """What only the run tells stays inside: sums, means and gradients of it are JAX functions."""

    def test_masks(self):
        x = at.fvector("x")
        f = loopjax.to_jax([x], (x[x > 1] ** 2).sum())
        values = np.array([1.0, 2.0, 3.0], "float32")
        assert float(jax.jit(f)(values)) == 13
        np.testing.assert_array_equal(jax.grad(f)(values), [0, 4, 6])
        np.testing.assert_array_equal(jax.vmap(f)(np.stack([values, values[::-1] * 0.5])), [13, 2.25])

    def test_until(self):
        x = at.fvector("x")
        rows, _ = loopjax.scan(lambda a, h: (h + a, loopjax.until(h + a > 2)), sequences=x, outputs_info=np.float32(0))
        f = loopjax.to_jax([x], rows.std())
        values = np.array([1.0, 0.5, 1.0, 3.0], "float32")
        np.testing.assert_allclose(jax.jit(f)(values), np.std([1, 1.5, 2.5]), rtol=1e-6)
        expected = loopjax.function([x], loopjax.grad(rows.std(), x))(values)
        np.testing.assert_allclose(jax.jit(jax.grad(f))(values), expected, rtol=1e-5, atol=1e-6)

    def test_sizes_that_may_differ_are_refused(self):
        x, y = at.fvector("x"), at.fvector("y")
        with pytest.raises(loopjax.errors.UnsupportedError, match=r"only the run can tell"):
            loopjax.to_jax([x, y], (x[x > 1] + y[y > 1]).sum())(np.ones(3, "float32"), np.ones(3, "float32"))


class TestReverseModeWithoutBound:
    """Reverse mode through traced numbers of steps: refused by name, and the forms that the error suggests work."""

    START, COUNT, COUNTS = at.dscalar("start"), at.lscalar("count"), at.lvector("counts")

    def loop(self, start, count):
        return loopjax.scan(lambda h: at.sin(h), outputs_info=start, n_steps=count, name="sines")[0][-1]

    def nested(self, inner):
        return loopjax.scan(lambda k, h: inner(h, k), sequences=self.COUNTS, outputs_info=self.START)[0][-1]

    @pytest.mark.parametrize("x64", [True, False])
    @pytest.mark.parametrize("nested", [True, False])
    def test_the_error_is_ours(self, x64, nested):
        if nested:
            f, count = loopjax.to_jax([self.START, self.COUNTS], self.nested(self.loop)), np.array([3, 2])
        else:
            f, count = loopjax.to_jax([self.START, self.COUNT], self.loop(self.START, self.COUNT)), 5
        with jax.enable_x64(x64):
            with pytest.raises(UnsupportedError, match=r"'sines' \[test_to_jax.* until.*static_argnums"):
                jax.jit(jax.grad(f))(1.0, count)
            found = jax.jit(jax.jacfwd(f))(1.0, count)
            np.testing.assert_allclose(found, jax.grad(f)(1.0, count), rtol=1e-6)

    def test_until_is_a_bound(self):
        def stopped(start, count):
            states = [at.constant(0), start]
            fn = lambda t, h: ([t + 1, at.sin(h)], loopjax.until(t + 1 >= count))  # noqa: E731
            return loopjax.scan(fn, outputs_info=states, n_steps=7)[0][1][-1]

        f = loopjax.to_jax([self.START, self.COUNTS], self.nested(stopped))
        expected = loopjax.function([self.START, self.COUNTS], loopjax.grad(self.nested(self.loop), self.START))(
            1.0, [3, 2]
        )
        with jax.enable_x64(True):
            np.testing.assert_allclose(jax.jit(jax.grad(f))(1.0, np.array([3, 2])), expected, rtol=1e-12)

    def test_index_checks_pass_it(self):
        x = at.dvector("x")
        fn = lambda t, h: [t + 1, h + x[t]]  # noqa: E731
        (_, h), _ = loopjax.scan(fn, outputs_info=[at.constant(0), self.START], n_steps=self.COUNT)
        f = loopjax.function([x, self.START, self.COUNT], h[-1], check="index")
        assert f([1.0, 2.0], 3.0, 2) == 6.0
        with pytest.raises(IndexError):
            f([1.0, 2.0], 3.0, 3)
