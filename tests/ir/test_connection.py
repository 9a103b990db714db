"""Which variables a derivative can flow through, per output and state of loops."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import DisconnectedInputError
from loopjax.ir.connection import upstream

X, H, G, W = at.dvector("x"), at.dscalar("h"), at.dscalar("g"), at.dscalar("w")


def connected(cost):
    """The names of the inputs that a cost is connected to; ``grad`` and ``Rop`` agree."""
    names = "".join(variable.name for variable in (X, H, G, W) if variable in upstream([cost]))
    for variable in (X, H, G, W):
        for derivative in (lambda to: loopjax.grad(cost, to), lambda to: loopjax.Rop(cost, to, at.ones_like(to))):
            if variable.name in names:
                derivative(variable)
                continue
            with pytest.raises(DisconnectedInputError, match="depend"):
                derivative(variable)
    return names


def test_each_output_of_a_loop_has_its_own():
    (a, b), _ = loopjax.scan(lambda x, h, g: (x * h, 2 * g * W), X, [H, G])
    assert connected(a[-1]) == "xh"
    assert connected(b[-1]) == "gw"
    both = loopjax.grad(a[-1], [X, W], disconnected_inputs="ignore")
    slopes = loopjax.function([X, H, G, W], both, on_unused_input="ignore")([1.0, 2.0], 3.0, 0.0, 0.0)
    np.testing.assert_array_equal(slopes[0], [6.0, 3.0])
    np.testing.assert_array_equal(slopes[1], 0.0)


def test_states_bring_those_that_they_are_computed_from():
    info = [H, G, {"initial": at.stack([W, W]), "taps": [-2, -1]}]
    (a, b, c), _ = loopjax.scan(lambda a, b, c2, c1: (b + 1, c2 + 1, 2 * c1), outputs_info=info, n_steps=4)
    assert [connected(one[-1]) for one in (a, b, c)] == ["gw", "w", "w"]


def test_loops_in_loops():
    def step(x, h):
        (a, b), _ = loopjax.scan(lambda a, b: (a * x, b * W), outputs_info=[h, G], n_steps=2)
        return a[-1], b[-1]

    (a, b), _ = loopjax.scan(step, X, [H, None])
    assert connected(a[-1]) == "xh"
    assert connected(b[-1]) == "gw"


def test_nothing_flows_through_a_condition_or_a_number_of_steps():
    stopped, _ = loopjax.scan(lambda h: (h + 1, loopjax.until(h + W > 5)), outputs_info=H, n_steps=9)
    assert connected(stopped[-1]) == "h"
    counted, _ = loopjax.scan(lambda h: h * G, outputs_info=H, n_steps=W.astype("int64"))
    assert connected(counted[-1]) == "hg"


def test_an_initial_value_that_no_step_reads():
    doubled, _ = loopjax.scan(lambda x, h: x * 2, X, H)
    assert connected(doubled[-1]) == "x"


def test_shared_variables():
    one, other = loopjax.shared(np.float64(1), name="one"), loopjax.shared(np.float64(2), name="other")
    mapped, updates = loopjax.scan(lambda x: (x + G, {one: one * W, other: other + x}), X)
    assert [connected(cost) for cost in (mapped.sum(), updates[one], updates[other])] == ["xg", "w", "x"]
    assert one in upstream([updates[one]])
    assert one not in upstream([updates[other]])
