"""Draws that no step decides are made for all steps before the loop, or for a block of steps, and are the same."""

from functools import partial

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.op import OP_TABLE
from loopjax.ir.types import TensorType
from loopjax.rewrite.block_sampling import SampleInBlocks
from loopjax.rewrite.loop_prologue import DistributePrologue
from loopjax.rewrite.target import Target
from tests.configured import configured
from tests.rewrite.sized import after, lines, scans, sized_graph, text

N, STEPS = 3, 7
H = at.dvector("h")
START = np.array([0.3, -0.2, 0.5])

OF_THE_STATE = {
    "normal": lambda h: (h, 0.1 + h**2),
    "uniform": lambda h: (-abs(h), abs(h)),
    "exponential": lambda h: (1 + abs(h),),
    "lognormal": lambda h: (-h, 0.5),
    "bernoulli": lambda h: (at.sigmoid(h),),
    "halfnormal": lambda h: (h, 0.1 + h**2),
    "truncexpon": lambda h: (1 + abs(h), h, 0.5),
    "cauchy": lambda h: (at.tanh(h), 0.1),
    "halfcauchy": lambda h: (at.tanh(h), 0.1),
    "laplace": lambda h: (h, 0.1 + h**2),
    "logistic": lambda h: (h, 0.1 + at.tanh(h) ** 2),
    "gumbel": lambda h: (h, 0.1 + at.tanh(h) ** 2),
    "maxwell": lambda h: (h, 0.1 + at.tanh(h) ** 2),
    "pareto": lambda h: (3 + abs(h), 0.1),
    "power": lambda h: (1 + abs(h),),
    "rayleigh": lambda h: (0.1 + at.tanh(h) ** 2,),
    "weibull": lambda h: (1 + abs(h),),
    "categorical": lambda h: (at.exp(h.dimshuffle(0, "x") * np.arange(4.0)),),
}
"""Parameters that a step decides, for each distribution that is drawn apart from them."""


REPARAMETRIZED = [name.removeprefix("draw_") for name, row in OP_TABLE.items() if row.reparametrization]


def loops(f):
    return scans(f.stages[-1].programs[-1].graph)


def draws_in(op):
    return sum(node.op.name.startswith("draw_") for region in op.regions for node in region.applies)


def both(step, calls=2, **options):
    """Results of a few calls, with draws ahead and within, and the program with draws ahead."""
    found = []
    for without in ((), ("loop_prologue", "block_sampling")):
        h, updates = loopjax.scan(partial(step, at.random.RandomStream(4)), outputs_info=H, **options)
        f = loopjax.function([H], h, updates=updates, mode=loopjax.Mode().excluding(*without), lengths="exact")
        found.append((np.array([f(START) for _ in range(calls)]), f))
    (ahead, f), (within, other) = found
    assert draws_in(loops(other)[-1]) > 0
    return ahead, within, f


class TestTheSameNumbers:
    @pytest.mark.parametrize(
        ("name", "dtype"),
        [
            (name.removeprefix("draw_"), f"float{64 // (1 + number % 2)}")
            for number, name in enumerate(sorted(name for name, row in OP_TABLE.items() if row.reparametrization))
        ],
    )
    def test_with_parameters_that_a_step_decides(self, name, dtype):
        ahead, within, f = both(
            lambda stream, h: 0.5 * h + stream.gen(name, *OF_THE_STATE[name](h), dtype=dtype).astype("float64") / 4,
            n_steps=STEPS,
        )
        np.testing.assert_allclose(ahead, within, rtol=1e-6 if dtype == "float32" else 1e-13)
        assert not np.array_equal(ahead[0], ahead[1])
        front, loop = loops(f)
        assert draws_in(front) == 1
        assert not front.recurrences
        assert draws_in(loop) == 0
        assert "loop_prologue:" in str(loopjax.explain(f))

    @pytest.mark.parametrize("options", [{"n_steps": STEPS}, {"sequences": at.arange(STEPS), "go_backwards": True}])
    def test_forwards_and_backwards(self, options):
        def step(stream, *values):
            return at.maximum(values[-1], stream.normal(size=(N,), dtype="float64"))

        ahead, within, f = both(step, **options)
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert [draws_in(op) for op in loops(f)] == [1, 0]

    @pytest.mark.parametrize("most", [2**23, 0], ids=["all at once", "in blocks"])
    def test_of_examples_of_different_lengths_backwards(self, most):
        """Their steps are counted down, so that an example draws the same whatever is longer than it."""
        x, v = at.dmatrix("x"), at.lvector("v")

        def program(without):
            stream = at.random.RandomStream(4)
            h, _ = loopjax.scan(
                lambda x, h: at.maximum(h, x + stream.normal(size=(N,), dtype="float64")),
                sequences=x,
                outputs_info=H,
                lengths=v,
                go_backwards=True,
            )
            f = loopjax.function([x, H, v], h, mode=loopjax.Mode().excluding(*without), no_default_updates=True)
            return f, f(np.ones((STEPS, N)), START, [STEPS, 2, 5])

        with configured(DistributePrologue(most_draw_bytes=most)):
            (f, ahead), (_, within) = program(()), program(("loop_prologue", "block_sampling"))
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert draws_in(loops(f)[0]) == 1
        assert len(loops(f)) == (2 if most else 1)

    def test_of_a_distribution_with_fixed_parameters(self):
        ahead, within, f = both(
            lambda stream, h: 0.5 * h + stream.gamma(2.0, size=(N,), dtype="float64") * stream.poisson(3.0),
            n_steps=STEPS,
        )
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert [draws_in(op) for op in loops(f)] == [2, 0]

    def test_of_several_draws_that_read_sequences(self):
        x = np.linspace(0.1, 1, STEPS)
        ahead, within, f = both(
            lambda stream, x, h: 0.5 * h + stream.normal(x, 0.1, dtype="float64") * stream.uniform(size=(N,)),
            sequences=at.constant(x),
        )
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert draws_in(loops(f)[-1]) == 0

    def test_in_an_inner_loop(self):
        def outer(stream, h):
            inner, updates = loopjax.scan(
                lambda u: 0.5 * u + stream.normal(u, 1.0, dtype="float64"), outputs_info=h, n_steps=STEPS
            )
            return inner[-1], updates

        ahead, within, f = both(outer, n_steps=4)
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert [draws_in(op) for op in loops(f)] == [0, 1, 0]

    def test_and_gradients(self):
        def program(without):
            stream = at.random.RandomStream(4)
            sigma = at.dscalar("sigma")
            h, _ = loopjax.scan(
                lambda h, sigma: at.tanh(stream.normal(0.9 * h, sigma, dtype="float64")),
                outputs_info=H,
                non_sequences=sigma,
                n_steps=STEPS,
            )
            f = loopjax.function(
                [H, sigma], [h, *loopjax.grad((h**2).sum(), [H, sigma])], mode=loopjax.Mode().excluding(*without)
            )
            found = f(START, 0.7)
            assert [draws_in(op) for op in loops(f)] == ([1] if without else [1, 0])
            return found

        for one, other in zip(program(()), program(("loop_prologue", "block_sampling")), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


class TestWhich:
    def test_not_more_than_fits(self):
        def drawn(*blocks, **limits):
            with configured(DistributePrologue(**limits), *blocks):
                return loops(both(lambda stream, h: 0.5 * h + stream.normal(h, 1.0, dtype="float64"), n_steps=STEPS)[2])

        assert [draws_in(op) for op in drawn(most_draw_bytes=8 * N * STEPS)] == [1, 0]
        assert [draws_in(op) for op in drawn(most_draw_bytes=8 * N * STEPS - 1)] == [1]
        (op,) = drawn(SampleInBlocks(most_step_bytes=8 * N - 1), most_step_draw_bytes=8 * N - 1)
        assert draws_in(op) == 1
        assert not op.plan.sampled

    def test_a_distribution_that_is_not_moved_or_stretched_stays(self):
        _, _, f = both(
            lambda stream, h: 0.5 * h + stream.gamma(1 + h**2, dtype="float64"),
            n_steps=STEPS,
        )
        assert [draws_in(op) for op in loops(f)] == [1]


@pytest.mark.parametrize("n_steps", [STEPS, at.iscalar("k")], ids=["known", "a value"])
def test_not_with_keys_that_draw_otherwise_beside_others(n_steps):
    """JAX promises only of threefry keys that they draw the same under ``vmap``."""

    def program(without):
        with jax.default_prng_impl("rbg"):
            stream = at.random.RandomStream(4)
            h, updates = loopjax.scan(
                lambda h: 0.5 * h + stream.normal(h, 1.0, dtype="float64"), outputs_info=H, n_steps=n_steps
            )
            inputs = [H] if isinstance(n_steps, int) else [H, n_steps]
            f = loopjax.function(inputs, h[-1], updates=updates, mode=loopjax.Mode().excluding(*without))
            return f(START, *([STEPS] if len(inputs) > 1 else []))

    np.testing.assert_array_equal(program(()), program(("loop_prologue", "block_sampling")))


class TestInBlocks:
    """Where the length is not known, or the draws of all steps are too many, a block of steps draws at once."""

    def step(self, stream, *values):
        return 0.5 * values[-1] + stream.normal(values[-1], 1.0, dtype="float64") * stream.uniform(size=(N,))

    @pytest.fixture(autouse=True)
    def blocks_of_four(self):
        small = SampleInBlocks(block_values=0, block_steps=4, varying=(), varying_steps=4, least_steps=2)
        with configured(DistributePrologue(most_draw_bytes=0), small):
            yield

    def drawn(self, f):
        (op,) = loops(f)
        assert f"draws are made for {op.plan.sampled} steps at once" in str(loopjax.explain(f))
        return op.plan

    @pytest.mark.parametrize("n_steps", [4, 5, 7, 8])
    @pytest.mark.parametrize("read", ["all", "last", "sum"])
    def test_of_a_loop_of_known_length(self, n_steps, read):
        def outputs(without):
            stream = at.random.RandomStream(4)
            h, updates = loopjax.scan(partial(self.step, stream), outputs_info=H, n_steps=n_steps)
            out = {"all": h, "last": h[-1], "sum": h.sum(axis=0)}[read]
            f = loopjax.function([H], out, updates=updates, mode=loopjax.Mode().excluding(*without), lengths="exact")
            return f, [f(START) for _ in range(2)]

        f, found = outputs(())
        np.testing.assert_allclose(found, outputs(("loop_prologue", "block_sampling"))[1], rtol=1e-13)
        plan = self.drawn(f)
        assert plan.kind == "counted"
        assert plan.sampled == {4: 4, 5: 3, 7: 4, 8: 4}[n_steps]

    def test_backwards_and_of_sequences(self):
        ahead, within, f = both(self.step, sequences=at.constant(np.arange(STEPS) / STEPS), go_backwards=True)
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert self.drawn(f).sampled == 4

    def test_of_several_steps_an_iteration(self):
        ahead, within, f = both(self.step, n_steps=11, unroll=3)
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert self.drawn(f).unroll == 3

    @pytest.mark.parametrize("bound", [0.2, 1.0, 1e9])
    def test_until_ends_within_a_block(self, bound):
        def step(stream, h):
            new = self.step(stream, h)
            return new, loopjax.until(abs(new).max() > bound)

        ahead, within, f = both(step, n_steps=STEPS, calls=1)
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        assert self.drawn(f).kind == "while"

    @pytest.mark.parametrize("lengths", ["exact", "padded"])
    def test_of_a_length_that_is_a_value(self, lengths):
        k = at.iscalar("k")

        def outputs(without):
            stream = at.random.RandomStream(4)
            h, updates = loopjax.scan(partial(self.step, stream), outputs_info=H, n_steps=k)
            f = loopjax.function(
                [H, k], [h[-1], h], updates=updates, mode=loopjax.Mode().excluding(*without), lengths=lengths
            )
            found = [one for steps in (1, 3, 4, 9) for one in f(START, steps)]
            drawn = [op.plan.sampled for op in loops(f)]
            assert not any(drawn) if without else any(drawn)
            return found

        for one, other in zip(outputs(()), outputs(("loop_prologue", "block_sampling")), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13)

    def test_not_under_a_derivative(self):
        stream = at.random.RandomStream(4)
        h, _ = loopjax.scan(partial(self.step, stream), outputs_info=H, n_steps=STEPS)
        f = loopjax.function([H], loopjax.grad((h**2).sum(), H))
        f(START)
        assert all(not op.plan.sampled for op in loops(f))

    def test_rejection_in_blocks(self):
        ahead, within, f = both(
            lambda stream, h: 0.5 * h + stream.gamma(2.0, size=(N,), dtype="float64") - stream.poisson(3.0),
            n_steps=STEPS,
        )
        np.testing.assert_allclose(ahead, within, rtol=1e-13)
        self.drawn(f)


class TestAsText:
    def program(self, **options):
        h = TensorType("float64", (3,))("h")
        stream = at.random.RandomStream(4)
        out, _ = loopjax.scan(
            lambda h: 0.5 * h + stream.normal(h, 2.0, dtype="float64"), outputs_info=h, n_steps=8, **options
        )
        return [h, out.owner.inputs[-1]], [out]

    def test_before_and_after(self):
        inputs, outputs = self.program()
        assert text(sized_graph(inputs, outputs)) == lines("""
            input h : float64(3,)
            input stream 4 key 0 : key()
            %0 = scan 'scan'[steps=8, recurrence[-1] keeps all, keys=1](h, stream 4 key 0) : float64(8, 3)
                input 0.h[t-1] : float64(3,)
                input 0.stream 4 key 0 : key()
                %0.0 = mul(0.5, 0.h[t-1]) : float64(3,)
                %0.1 = draw_normal[dtype=float64, lengths=None](0.stream 4 key 0, 0.h[t-1], 2.) : float64(3,)
                %0.2 = add(%0.0, %0.1) : float64(3,)
                return %0.2
            return %0""")
        found = after([SampleInBlocks(Target(), block_values=12, block_steps=0)], inputs, outputs)
        assert text(found) == lines("""
            input h : float64(3,)
            input stream 4 key 0 : key()
            %0 = scan 'scan'[steps=8, recurrence[-1] keeps all, keys=1, samples for 4 steps](h, stream 4 key 0) : float64(8, 3)
                input 0.h[t-1] : float64(3,)
                input 0.stream 4 key 0 : key()
                input 0.in2 : float64(3,)
                %0.0 = mul(0.5, 0.h[t-1]) : float64(3,)
                %0.1 = mul(0.in2, 2.) : float64(3,)
                %0.2 = add(%0.1, 0.h[t-1]) : float64(3,)
                %0.3 = add(%0.0, %0.2) : float64(3,)
                return %0.3
                input 0.stream 4 key 0 : key()
                %0.0 = draw_standard_normal[dtype=float64, lengths=(3,)](0.stream 4 key 0) : float64(3,)
                return %0.0
            return %0""")  # noqa: E501 - a line of the text

    @pytest.mark.parametrize(
        ("thresholds", "steps"),
        [
            ({}, 8),
            ({"block_values": 0, "block_steps": 5}, 4),
            ({"block_bytes": 24 * 4}, 4),
            ({"block_bytes": 24 * 4, "least_steps": 5}, None),
            ({"most_step_bytes": 23}, None),
            ({"most_step_bytes": 24}, 8),
        ],
    )
    def test_thresholds(self, thresholds, steps):
        (op,) = scans(after([SampleInBlocks(Target(), **thresholds)], *self.program()))
        assert (op.samples and op.samples.steps) == steps

    def test_loops_that_it_leaves_alone(self):
        def is_sampled(target=Target(), **options):  # noqa: B008 - a constant
            (op,) = scans(after([SampleInBlocks(target)], *self.program(**options)))
            return op.samples is not None

        assert is_sampled()
        assert not is_sampled(Target(draws_apart=False))
        assert not is_sampled(Target(derivative="reverse"))
        assert not is_sampled(checkpoint="sqrt")

    @pytest.mark.parametrize("stops", [False, True])
    def test_not_for_each_step_of_a_loop_that_until_stops_sooner(self, stops):
        def values(without):
            stream = at.random.RandomStream(4)

            def draw(u):
                new = 0.5 * u + stream.normal(u, 1.0, dtype="float64")
                return (new, loopjax.until(abs(new).max() > 1)) if stops else new

            def outer(h):
                inner, updates = loopjax.scan(draw, outputs_info=h, n_steps=8)
                return inner[-1], updates

            h, updates = loopjax.scan(outer, outputs_info=H, n_steps=4)
            f = loopjax.function([H], h, updates=updates, mode=loopjax.Mode().excluding(*without))
            return f(START), any(op.samples is not None for op in loops(f))

        (found, in_blocks), (expected, _) = values(["loop_prologue"]), values(["loop_prologue", "block_sampling"])
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert in_blocks is not stops
