"""What a step reads of arrays that it writes to is read in a function, so that XLA copies none of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

import loopjax
import loopjax.tensor as at
from loopjax import Mode
from loopjax.lower.anti_dependences import with_reads_first
from loopjax.lower.small_loops import outlined

N = 6000
RNG = np.random.default_rng(4)
PLACES = RNG.integers(0, N, (50, 2))


def exchange(x, w, i, j):
    a, b = x[i], x[j]
    return x.at[i].set(a + w[j]), w.at[j].set(b - w[i])


def swap(x, w, i, j):
    return x.at[i].set(x[j]).at[j].set(x[i]), w


def sums(x, w, i, j):
    """One array, whose read is a result, too."""
    return x.at[i].set(x[j]), w + x[i]


def other_places(x, w, i, j):
    """Writes that depend on nothing that is read."""
    return x.at[i].set(1.0 * j), w.at[j].set(x[j] + w[i])


def at_a_constant(x, w, i, j):
    """A write that depends on nothing, at a place that is a number."""
    return lax.dynamic_update_slice(x, jnp.ones(1, x.dtype), (3,)), w.at[i].set(x[j] + x[3] + w[i])


def at_a_place_written_before(x, w, i, j):
    """A write that depends on another one, which depends on nothing that is read."""
    total, x = x[i] + w[i], x.at[i].set(2.0 * i)
    return x, w.at[x[j].astype("int32") % N].set(3.0).at[i].add(total)


def windows(x, w, i, j):
    i, j = i % (N - 8), j % (N - 8)
    a, b = lax.dynamic_slice(x, (i,), (5,)), lax.dynamic_slice(w, (j,), (5,))
    return lax.dynamic_update_slice(x, b[::-1], (i,)), lax.dynamic_update_slice(w, a + b, (j,))


def branches(x, w, i, j):
    moved = jnp.where(x[i] > w[j], x[j], w[i])
    return x.at[i].set(moved), w.at[i].add(lax.cond(moved > 0, jnp.sin, jnp.cos, x[i]))


def looped(step, kind):
    def run(x, w, places):
        if kind == "scan":
            return lax.scan(lambda now, ij: (step(*now, *ij), None), (x, w), places)[0]
        following = lambda now: (now[0] + 1, *step(*now[1:], *places[now[0]]))  # noqa: E731
        return lax.while_loop(lambda now: now[0] < len(places), following, (0, x, w))[1:]

    return run


def arguments(dtype="float32"):
    return jnp.asarray(RNG.normal(size=N), dtype), jnp.asarray(RNG.normal(size=N), dtype), jnp.asarray(PLACES, "int32")


def compiled(run, values):
    """The program with reads first as XLA compiled it, and if it differs."""
    with jax.enable_x64(True):
        program = jax.make_jaxpr(run)(*values)
        ordered = with_reads_first(program)
        return jax.jit(jaxpr_as_fun(ordered)).lower(*values).compile(), ordered is not program


def copies_in_loops(program, size=N):
    """The copies of arrays in the text of a program, but for those of arguments before the loop."""
    lines = [line for line in program.as_text().splitlines() if " copy(" in line and f"[{size}]" in line]
    return [line for line in lines if "copy(%arg" not in line.lower()]


@pytest.mark.parametrize("kind", ["scan", "while"])
@pytest.mark.parametrize("step", [exchange, swap, other_places, at_a_constant, windows, branches])
def test_no_array_is_copied_at_every_step(step, kind):
    with jax.enable_x64(True):
        values = arguments("float64")
        program, differs = compiled(looped(step, kind), values)
        found, expected = program(*values), jax.jit(looped(step, kind))(*values)
    assert differs
    assert not copies_in_loops(program)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def depends(x, w, i, j):
    """A read at a place that depends on what is written: the old array is needed."""
    new = x.at[i].set(w[j])
    return new, w.at[j].set(x[new[j].astype("int32") % N])


def whole(x, w, i, j):
    return x.at[i].set(w[j] + x.sum()), w.at[j].set(x[i])


def own(x, w, i, j):
    """One array whose new value is computed from all that is read."""
    return x.at[i].set(x[i] * x[j]), w


@pytest.mark.parametrize("step", [depends, own])
def test_others_stay(step):
    values = arguments()
    program = jax.make_jaxpr(looped(step, "scan"))(*values)
    assert with_reads_first(program) is program


def test_arrays_that_are_soon_copied_stay():
    program = jax.make_jaxpr(looped(exchange, "scan"))(jnp.zeros(50), jnp.zeros(50), PLACES % 50)
    assert with_reads_first(program) is program


def test_a_loop_of_small_arrays_is_one_function_that_copies_none():
    values = [*(array[:500] for array in arguments()[:2]), PLACES % 500]
    program = jax.make_jaxpr(looped(swap, "while"))(*values)
    ordered = with_reads_first(program)
    whole = outlined(ordered)
    assert ordered is not program
    assert [equation.primitive.name for equation in ordered.eqns][-1] == "while"
    assert "while" not in [equation.primitive.name for equation in whole.eqns]
    run = jax.jit(jaxpr_as_fun(whole)).lower(*values).compile()
    assert not copies_in_loops(run, 500)
    for one, other in zip(run(*values), jaxpr_as_fun(program)(*values), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "step",
    [
        *(exchange, swap, sums, other_places, at_a_constant, at_a_place_written_before),
        *(windows, branches, depends, whole, own),
    ],
)
def test_values(step):
    values = arguments()
    ordered = with_reads_first(jax.make_jaxpr(looped(step, "scan"))(*values))
    for one, other in zip(jax.jit(jaxpr_as_fun(ordered))(*values), looped(step, "scan")(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_heap():
    """Values sift up in loops that stop, in a loop."""
    heap, new = at.dvector("heap"), at.dvector("new")

    def push(value, count, heap):
        def up(place, heap):
            above = at.maximum((place - 1) // 2, 0)
            lower = heap[place] < heap[above]
            first, second = at.switch(lower, heap[place], heap[above]), at.switch(lower, heap[above], heap[place])
            heap = at.set_subtensor(at.set_subtensor(heap[place], second)[above], first)
            return [above, heap], loopjax.until(at.invert(lower))

        (_, heaps), _ = loopjax.scan(up, outputs_info=[count, at.set_subtensor(heap[count], value)], n_steps=20)
        return count + 1, heaps[-1]

    (_, heaps), _ = loopjax.scan(push, sequences=new, outputs_info=[at.constant(0), heap])
    f = loopjax.function([heap, new], heaps[-1])
    values = RNG.normal(size=300)
    found = f(np.full(N, np.inf), values)
    plain = loopjax.function([heap, new], heaps[-1], mode=Mode().excluding("small_loops"))
    np.testing.assert_array_equal(found, plain(np.full(N, np.inf), values))
    np.testing.assert_array_equal(np.sort(found[:300]), np.sort(values))
    assert all(found[place] >= found[(place - 1) // 2] for place in range(1, 300))


def test_the_last_row_of_a_loop_that_stops_is_not_masked():
    x = at.dvector("x")
    out, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h.max() > 50)), outputs_info=x, n_steps=30)
    f = loopjax.function([x], out[-1])
    np.testing.assert_array_equal(f(np.ones(3)), np.full(3, 128.0))
    assert "select(" not in f.compile(np.ones(3)).as_text()
