"""The schedules as numbers: nests that keep their promise, for every length, and what is refused."""

import math
import pickle

import jax
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.checkpoint import Budget, Every, Log, Sqrt
from loopjax.checkpoint.nesting import least_recomputation, least_states
from loopjax.ir.schedule import Body, Box, Nest, PolicySchedule, read_checkpoint

BODY = Body(state=8)
LENGTHS = (*range(1, 130), 500, 503, 2000, 2003, 65_537, 10**6, 2**31 - 1)


@pytest.mark.parametrize("n_steps", LENGTHS)
def test_promises(n_steps):
    sqrt, log = Sqrt().nest(n_steps, BODY), Log().nest(n_steps, BODY)
    assert sqrt.n_steps == log.n_steps == n_steps
    assert sqrt.states <= 2 * math.ceil(math.sqrt(n_steps)) + 3
    assert all(len(box.sizes) <= 2 for box in sqrt.boxes)
    assert log.states <= max(4 * math.log2(n_steps), 3)
    for every in (1, 2, 7, 40, n_steps):
        nest = Every(every).nest(n_steps, BODY)
        assert nest.n_steps == n_steps
        assert nest.states <= (n_steps // every + every + 6 if n_steps >= 2 * every else n_steps + 3)


@pytest.mark.parametrize("n_steps", [*range(1, 70), 300])
def test_a_budget_is_kept_and_more_of_it_costs_no_more(n_steps):
    least = least_states(n_steps)
    recomputed = math.inf
    for states in range(1, n_steps + 3):
        nest = least_recomputation(n_steps, states)
        assert (nest is None) == (states < least)
        if nest is None:
            continue
        assert nest.n_steps == n_steps
        assert nest.states <= states
        assert nest.recomputed <= recomputed * 1.1
        recomputed = nest.recomputed
    assert recomputed == n_steps


def revolved(n_steps, slots):
    """Steps computed again by the optimal schedule: r n - C(slots + r, r - 1), with r the least for which
    C(slots + r, r) >= n (Griewank and Walther 2000, section 2)."""
    r = next(r for r in range(1, n_steps) if math.comb(slots + r, r) >= n_steps)
    return r * n_steps - math.comb(slots + r, r - 1)


@pytest.mark.parametrize("states", [25, 30, 41, 60, 80])
@pytest.mark.parametrize("n_steps", [100, 503, 2000])
def test_recomputation_is_near_the_optimum(n_steps, states):
    """The optimum has as many slots as are left by the running state and the cotangent, which count here."""
    nest = least_recomputation(n_steps, states)
    optimum = revolved(n_steps, states - 2)
    if nest is None:
        assert (n_steps, states) == (2000, 25)
        return
    assert optimum <= nest.recomputed <= 1.7 * optimum


def test_counting():
    nest = Nest((Box((10, 15, 12)), Box((11, 17)), Box((13,))))
    assert (nest.n_steps, nest.states, nest.recomputed) == (2000, 43, 3 * 1800 + 2 * 187 + 13)
    assert str(nest) == "10 x 15 x 12 + 11 x 17 + 13"
    apart = Nest((Box((10, 4), apart=True), Box((3,))))
    assert (apart.n_steps, apart.recomputed) == (43, 2 * 40 - 10 + 3)
    assert str(apart) == "10 x (3 + 1) + 3"
    assert Nest((Box((5,)),)).flat
    assert not Nest((Box((5, 2)),)).flat


def test_bytes_are_states():
    assert Budget(bytes=41 * 8 + 7).nest(2000, BODY) == Budget(states=41).nest(2000, BODY)


def test_what_cannot_be_kept():
    x = at.dvector("x")
    for budget, message in [
        (Budget(states=10), r"scan 'loop': a gradient of 2000 steps needs at least \d+ states; Budget\(states=10\)"),
        (Budget(bytes=800), r"needs at least \d+ states of 80 bytes, \d+ together; Budget\(bytes=800\) is too little"),
    ]:
        out, _ = loopjax.scan(lambda h: h * 2, outputs_info=x, n_steps=2000, checkpoint=budget, name="loop")
        f = loopjax.function([x], loopjax.grad(out[-1].sum(), x))
        with pytest.raises(ValueError, match=message):
            f([1.0] * 10)


@pytest.mark.parametrize("value", [0, -1, True, 2.5, "square", int, "every"])
def test_what_checkpoint_is_not(value):
    with pytest.raises(
        ValueError, match=r"scan 'loop': checkpoint is an int of at least 1, 'log', 'sqrt'|'sqrt', 'log'"
    ):
        loopjax.scan(lambda h: h, outputs_info=at.dscalar(), n_steps=3, checkpoint=value, name="loop")


@pytest.mark.parametrize("given", [{}, {"states": 0}, {"bytes": 1.5}, {"states": 3, "bytes": 9}, {"states": True}])
def test_what_a_budget_is_not(given):
    with pytest.raises(ValueError, match="states= or bytes="):
        Budget(**given)


def test_equal_and_pickled():
    def policy(*_, **__):
        return False

    assert read_checkpoint(4, "loop", []) == Every(4)
    assert read_checkpoint("sqrt", "loop", []) == Sqrt()
    assert read_checkpoint(policy, "loop", []) == PolicySchedule(policy)
    assert read_checkpoint(policy, "loop", []) != PolicySchedule(lambda *_, **__: False)
    saveable = read_checkpoint(jax.checkpoint_policies.dots_saveable, "loop", [])
    for schedule in (Every(4), Sqrt(), Log(), Budget(bytes=9), saveable):
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        assert hash(pickle.loads(pickle.dumps(schedule))) == hash(schedule)
