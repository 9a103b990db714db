"""Dead code elimination in loops and regions."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.dce import EliminateDeadCode
from tests.rewrite.compared import both
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(4,), name="x")
W = at.tensor("float64", name="w")
ZERO = at.constant(0.0, dtype="float64")
ONE = at.constant(1.0, dtype="float64")


def test_a_state_that_only_feeds_itself_goes_with_all_that_it_reads():
    y = at.tensor("float64", shape=(4,), name="y")
    (h, _dead, _map), _ = loopjax.scan(
        lambda a, b, h, g, w: [h * a, g * b + w, at.sin(b)],
        sequences=[X, y],
        outputs_info=[ONE, ONE, None],
        non_sequences=W,
    )
    assert text(after([EliminateDeadCode()], [X, y, W], [h])) == lines("""
        input x : float64(4,)
        input y : float64(4,)
        input w : float64()
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, 1.) : float64(4,)
            input 0.x[t] : float64()
            input 0.h : float64()
            %0.0 = mul(0.h, 0.x[t]) : float64()
            return %0.0
        return %0""")


def test_a_state_that_another_needs_stays_without_its_stack():
    (h, _), _ = loopjax.scan(lambda a, h, g: [h + g, g * a], sequences=X, outputs_info=[ZERO, ONE])
    (loop,) = scans(after([EliminateDeadCode()], [X], [h]))
    assert [str(one.saved) for one in loop.recurrences] == ["all", "last 0"]


def test_states_that_feed_one_another_alone():
    (_, _, h), _ = loopjax.scan(lambda a, g, k, h: [k, g, h + a], sequences=X, outputs_info=[ZERO, ONE, ONE])
    (loop,) = scans(after([EliminateDeadCode()], [X], [h]))
    assert len(loop.recurrences) == 1
    assert any("nobody reads" in note for note in loop.notes)


def test_a_past_that_no_step_reads_makes_no_state():
    h, _ = loopjax.scan(lambda a, h: at.exp(a), sequences=X, outputs_info=ONE)
    _, (loop,) = both([X], [h], [np.arange(4.0)])
    assert not loop.recurrences
    assert loop.plan.kind == "vmap"


def test_taps_that_no_step_reads():
    start = at.tensor("float64", shape=(3,), name="start")
    h, _ = loopjax.scan(
        lambda a, h3, h2, h1: h3 + a, sequences=X, outputs_info={"initial": start, "taps": [-3, -2, -1]}
    )
    graph = after([EliminateDeadCode()], [X, start], [h])
    assert scans(graph)[0].recurrences[0].taps == (-3,)
    found, _ = both([X, start], [h], [np.arange(4.0), np.array([1.0, 10.0, 100.0])])
    np.testing.assert_array_equal(found[0], [1, 11, 102, 4])


def test_through_a_chain_of_loops():
    (a, unread), _ = loopjax.scan(lambda x, h: [h + x, at.sin(h)], sequences=X, outputs_info=[ZERO, None])
    (b, _), _ = loopjax.scan(lambda x, y, h, g: [h * x, g + y], sequences=[a, unread], outputs_info=[ONE, ONE])
    first, second = scans(after([EliminateDeadCode()], [X], [b]))
    assert (len(first.maps), len(second.sequences)) == (0, 1)


def test_in_bodies():
    def outer(a, h):
        (r, s), _ = loopjax.scan(lambda u, v: [u * a, v + a], outputs_info=[h, h], n_steps=3)
        return [r[-1], s[-1]]

    (h, _), _ = loopjax.scan(outer, sequences=X, outputs_info=[ONE, None])
    graph = after([EliminateDeadCode()], [X], [h])
    assert [len(loop.recurrences) for loop in scans(graph)] == [1, 1]


def test_shared_updates_and_keys():
    counter = loopjax.shared(np.float64(0.0), name="counter")
    stream = at.random.RandomStream(3)

    def step(a, h):
        return [h * a, stream.normal()], {counter: counter + a}

    (h, _), updates = loopjax.scan(step, sequences=X, outputs_info=[ONE, None])
    reads = [X, counter]
    (loop,) = scans(after([EliminateDeadCode()], [X, *[v for v in updates if v is not None]], [h]))
    assert (loop.n_states, loop.n_keys) == (0, 0)
    f = loopjax.function([X], h, updates=updates)
    np.testing.assert_array_equal(f(np.arange(1.0, 5)), [1, 2, 6, 24])
    assert counter.get_value() == 10
    assert len(reads) == 2


def test_until_stays():
    (h, _), _ = loopjax.scan(lambda h, g: ([h * 2, g + h], loopjax.until(g > 20)), outputs_info=[ONE, ZERO], n_steps=50)
    found, (loop,) = both([], [h[-1]], [])
    assert len(loop.recurrences) == 2
    assert float(found[0]) == 64.0


def test_what_a_region_publishes_for_nobody():
    h, _ = loopjax.scan(lambda a, h: h * a, sequences=X, outputs_info=ONE)
    cost = h.sum()
    (shown, _), _ = loopjax.scan(lambda a, b, g, k: [g - a, k + b], sequences=[X, h], outputs_info=[ONE, ZERO])
    graph = after([EliminateDeadCode()], [X], [loopjax.grad(cost, X), shown])
    (region,) = [node.op for node in graph.applies if node.op.name == "linearize"]
    assert len(region.region.outputs) == 1
    both([X], [loopjax.grad(cost, X), shown], [np.arange(1.0, 5)])


def test_an_error_that_is_due_comes_all_the_same():
    x, y = at.dvector("x"), at.dvector("y")
    (h, _), _ = loopjax.scan(lambda a, b, h: [h * a, b], sequences=[x, y], outputs_info=[ONE, None], n_steps=4)
    with pytest.raises(ValueError, match="sequence 'y' has 3 rows"):
        loopjax.function([x, y], h)(np.ones(4), np.ones(3))


def test_a_shared_variable_whose_last_value_nobody_reads_is_state_where_steps_read_it():
    count = loopjax.shared(np.float64(2.0))
    h, _ = loopjax.scan(lambda a, h: (h * a + count, {count: count + 1.0}), sequences=X, outputs_info=ONE)
    (loop,) = scans(after([EliminateDeadCode()], [X, count], [h]))
    assert loop.n_states == 1
    g, _ = loopjax.scan(lambda a, h: (h * a, {count: count + 1.0}), sequences=X, outputs_info=ONE)
    (loop,) = scans(after([EliminateDeadCode()], [X, count], [g]))
    assert loop.n_states == 0
