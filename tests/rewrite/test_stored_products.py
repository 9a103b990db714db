"""Products that a loop stores for its gradient are marked, as the sums that only they go into."""

import loopjax
import loopjax.tensor as at
from loopjax.ir.types import TensorType
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.stored_products import MarkStoredProducts
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, lines, scans, text

W, H = TensorType("float64", (3, 3))("W"), TensorType("float64", (3,))("h")
PASSES = [PlanLoops(Target(), remat_bytes=0), MarkStoredProducts()]


def body(step, passes=PASSES):
    """The text of the body of a loop whose gradient is taken."""
    out, _ = loopjax.scan(step, outputs_info=H, non_sequences=W, n_steps=5)
    (op,) = scans(after(passes, [H, W], [loopjax.grad(out.sum(), H)]))
    return text(op.body)


def test_before_and_after():
    def step(h, W):
        total = at.dot(h, W) + at.dot(h * 2, W) + 1.0
        return at.tanh(total) * total  # tanh alone has one residual in jax 0.12: nothing to gain

    before = lines("""
        input h[t-1] : float64(3,)
        input W : float64(3, 3)
        %0 = dot(h[t-1], W) : float64(3,)
        %1 = mul(h[t-1], 2.) : float64(3,)
        %2 = dot(%1, W) : float64(3,)
        %3 = add(%0, %2) : float64(3,)
        %4 = add(%3, 1.) : float64(3,)
        %5 = tanh(%4) : float64(3,)
        %6 = mul(%5, %4) : float64(3,)
        return %6""")
    assert body(step, PASSES[:1]) == before
    marked = lines("""
        %5 = stored(%4) : float64(3,)
        %6 = tanh(%5) : float64(3,)
        %7 = mul(%6, %5) : float64(3,)
        return %7""")
    assert body(step) == before[: before.index("%5")] + marked


def test_a_product_that_two_ops_read_is_stored_itself():
    def step(h, W):
        product = at.dot(h, W)
        return at.tanh(product + 1.0) * product

    assert "%1 = stored(%0)" in body(step)


def test_a_product_that_is_the_result_is_stacked_anyway():
    assert "stored" not in body(lambda h, W: at.dot(h, W) + 1.0)


def test_loops_that_store_all_they_compute_are_left_alone():
    passes = [PlanLoops(Target(without=frozenset(["remat"]))), MarkStoredProducts()]
    assert "stored" not in body(lambda h, W: at.tanh(at.dot(h, W)), passes)
