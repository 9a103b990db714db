"""Dead-iteration elimination: trailing steps that nobody reads are not run."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.dead_iterations import EliminateDeadIterations
from tests.rewrite.decaying import NONE, T, decay, loop, stacked, values
from tests.rewrite.sized import after, float64, lines, rewrites, sized_graph, text


class TestFewer:
    @pytest.mark.parametrize(
        ("read", "steps"),
        [(lambda o: o[3], 4), (lambda o: o[:5], 5), (lambda o: o[-20], 21), (lambda o: o[10:2:-3], 11)],
    )
    @pytest.mark.parametrize("backwards", [False, True])
    def test_steps(self, read, steps, backwards):
        x, h, out = decay(go_backwards=backwards)
        f = loopjax.function([x, h], read(out))
        rows, start = values()
        np.testing.assert_allclose(f(rows, start), read(stacked(rows, start, backwards=backwards)), rtol=1e-12)
        assert loop(f).n_steps == steps
        assert f"{steps} of 40 steps, the others are not read" in loop(f).notes

    @pytest.mark.parametrize("reads", [[lambda o: o[3], lambda o: o[-1]], [lambda o: o[3], lambda o: o.sum(0)]])
    def test_not_where_the_last_is_read(self, reads):
        x, h, out = decay()
        f = loopjax.function([x, h], [read(out) for read in reads])
        rows, start = values()
        for one, read in zip(f(rows, start), reads, strict=True):
            np.testing.assert_allclose(one, read(stacked(rows, start)), rtol=1e-12)
        assert loop(f).n_steps == T

    def test_the_length_stays_what_it_was(self):
        x, h, out = decay()
        f = loopjax.function([x, h], [out[3], out.shape[0]])
        assert int(f(*values())[1]) == T

    def test_short_sequences_are_still_refused(self):
        x, h, out = decay()
        f = loopjax.function([x, h], out[3])
        with pytest.raises(ValueError, match="sequence 'x' has 5 rows; 40 steps"):
            f(*values(5))

    def test_final_states_are_of_all_steps(self):
        count = loopjax.shared(np.int64(0), "count")
        out, updates = loopjax.scan(lambda h: (h * 2, {count: count + 1}), outputs_info=at.constant(1.0), n_steps=9)
        f = loopjax.function([], out[2], updates=updates)
        assert float(f()) == 8.0
        assert int(count.get_value()) == 9

    def test_draws_keep_their_numbers(self):
        found = []
        for mode in (None, NONE):
            stream = at.random.RandomStream(3)
            out, updates = loopjax.scan(lambda h, s=stream: h + s.normal(), outputs_info=at.constant(0.0), n_steps=50)
            f = loopjax.function([], [out[7], out[20:25]], updates=updates, mode=mode)
            found.append([np.asarray(one) for _ in range(2) for one in f()])
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)

    @pytest.mark.parametrize("truncate", [0, 5, 25, 35, 50])
    def test_truncated_gradients_count_from_the_end_of_all_steps(self, truncate):
        gradients = []
        for mode in (None, NONE):
            x, h, out = decay(truncate_gradient=truncate)
            f = loopjax.function([x, h], loopjax.grad((out[:20] ** 2).sum(), [x, h]), mode=mode)
            gradients.append(f(*values()))
        for one, other in zip(*gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)

    def test_an_index_that_is_checked_at_each_step_is_checked_at_all(self):
        x, i = at.dvector("x"), at.lvector("i")
        out, _ = loopjax.scan(lambda k, h: h + x[k], sequences=i, outputs_info=at.constant(0.0, dtype="float64"))
        f = loopjax.function([x, i], out[1], check="index")
        with pytest.raises(Exception, match="out of bounds"):
            f(np.ones(3), np.array([0, 1, 2, 7]))


def test_before_and_after() -> None:
    x, h = float64("x", 4), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert text(sized_graph([x, h], [out[1]])) == lines("""
        input x : float64(4,)
        input h : float64()
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, h) : float64(4,)
            input 0.x[t] : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            return %0.0
        %1 = index[1](%0) : float64()
        return %1""")
    assert text(after([EliminateDeadIterations()], [x, h], [out[1]])) == lines("""
        input x : float64(4,)
        input h : float64()
        %0 = scan 'scan'[steps=2, sequence[0], recurrence[-1] keeps all](x, h) : float64(2,)
            input 0.x[t] : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            return %0.0
        %1 = index[-1](%0) : float64()
        return %1""")


@pytest.mark.parametrize(("dead", "share", "ends"), [(1, 4, True), (1, 2, False), (2, 2, True), (3, 1, False)])
def test_one_step_in_so_many_is_dead(dead, share, ends) -> None:
    x, h = float64("x", 4), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert rewrites(EliminateDeadIterations(share=share), [x, h], [out[: 4 - dead]]) is ends


@pytest.mark.parametrize("option", [{}, {"progress": True}, {"go_backwards": True}], ids=str)
def test_options_that_need_all_steps(option) -> None:
    """A progress bar counts all steps; keys of draws count down from the last step of a loop that goes backwards."""
    key, x = at.random.RandomStream(1).normal(size=()).owner.inputs[0], float64("x", 4)
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=at.constant(1.0, dtype="float64"), **option)
    assert rewrites(EliminateDeadIterations(), [key, x], [out[1]]) is (option.get("progress") is None)


def test_a_loop_that_until_ends_keeps_its_steps() -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: (h * h, loopjax.until(h > 2)), outputs_info=h, n_steps=4)
    assert not rewrites(EliminateDeadIterations(), [h], [out * 2])


def test_final_states_need_all_steps() -> None:
    count = loopjax.shared(np.int64(0), "count")
    h = float64("h")
    out, updates = loopjax.scan(lambda h: (h * 2, {count: count + 1}), outputs_info=h, n_steps=4)
    assert not rewrites(EliminateDeadIterations(), [h, count], [out[1], updates[count]])


@pytest.mark.parametrize(("dead", "ends"), [(2, True), (1, False)])
def test_one_step_in_sixteen_is_dead_by_default(dead, ends) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=32)
    assert rewrites(EliminateDeadIterations(), [h], [out[: 32 - dead]]) is ends


@pytest.mark.parametrize(("n_steps", "ends"), [(2, True), (1, False)])
def test_the_shortest_loop(n_steps, ends) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=n_steps)
    assert rewrites(EliminateDeadIterations(), [h], [out[0]]) is ends
