"""``Scan`` in each of its forms, against PyTensor's own reference implementation."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.scan.utils import until

import loopjax
import loopjax.pytensor
from tests.pytensor.programs import check, normal, reference, scan

VALUES = np.linspace(0.1, 1.0, 6)
TABLE = np.outer(VALUES, VALUES) + 0.1


def decay(x):
    return scan(lambda a, s: pt.tanh(0.5 * s + a), sequences=x, outputs_info=pt.zeros(()))


def test_an_output_that_no_step_reads():
    x = pt.dvector("x")
    check([x], [scan(lambda a: a**2, sequences=x), scan(lambda a: a**2, sequences=x)[-1]], VALUES)


def test_a_state_and_its_gradient():
    x = pt.dvector("x")
    states = decay(x)
    graph = check([x], [states[-1], pt.grad(states[-1], x), pt.grad((states**2).sum(), x)], VALUES)
    assert not graph.fallbacks


def test_the_last_row_of_a_state_keeps_no_stack():
    x = pt.dvector("x")
    graph = loopjax.pytensor.from_pytensor([x], [decay(x)[-1]])
    f = loopjax.function(graph.inputs, graph.outputs)
    assert float(f(VALUES)[0]) == pytest.approx(float(reference([x], [decay(x)[-1]], [VALUES])[0]))
    (loop,) = [node.op for node in f.graph.applies if node.op.name == "scan"]
    assert loop.recurrences[0].saved.last == 1


def test_taps_and_a_length_that_is_an_input():
    x, n = pt.dvector("x"), pt.lscalar("n")
    states = scan(
        lambda far, near, c: c * far + 0.3 * near,
        outputs_info=[{"initial": x[:3], "taps": [-3, -1]}],
        non_sequences=x[4],
        n_steps=n,
    )
    check([x, n], [states, *[pt.grad(cost, x) for cost in (states[-1], (states**2).sum())]], VALUES, 5)


def test_several_sequences_with_taps_and_of_unlike_lengths():
    x, y = pt.dvector("x"), pt.dvector("y")
    states = scan(
        lambda before, now, b, s: 0.5 * s + before * now - b,
        sequences=[{"input": x, "taps": [-1, 0]}, y],
        outputs_info=pt.zeros(()),
    )
    check([x, y], [states, *pt.grad((states**2).sum(), [x, y])], VALUES, VALUES[:4])


@pytest.mark.parametrize("limit", [0.5, 5.0, 1e9])
def test_a_while_loop_and_its_gradient(limit):
    x, most = pt.dscalar("x"), pt.dscalar("limit")
    states = scan(lambda s: (s * x, until(s > most)), outputs_info=pt.ones(()), n_steps=12)
    check([x, most], [states, states[-1], pt.grad(states[-1], x), pt.grad(states.sum(), x)], 1.7, limit)


def test_a_loop_in_a_loop():
    x = pt.dmatrix("x")
    states = scan(
        lambda row, c: scan(lambda a, s: 0.9 * s + pt.sin(a), sequences=row, outputs_info=c)[-1],
        sequences=x,
        outputs_info=pt.zeros(()),
    )
    check([x], [states, pt.grad(states[-1], x)], TABLE)


def test_loops_whose_length_is_a_sequence_index():
    """PyTensor 3.3 writes the length of the slice as a choice of choices."""
    x = pt.dvector("x")
    sums = scan(
        lambda i, x: scan(lambda a, s: pt.tanh(s + a), sequences=x[: i + 1], outputs_info=pt.zeros(()))[-1] ** 2,
        sequences=pt.arange(x.shape[0]),
        non_sequences=x,
    )
    f = pytensor.function([x], [sums, pt.grad(sums.sum(), x)], mode=loopjax.pytensor.mode())
    for found, expected in zip(f(VALUES), reference([x], [sums, pt.grad(sums.sum(), x)], [VALUES]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_truncated_gradient():
    x = pt.dvector("x")
    states = scan(lambda a, s: pt.tanh(0.5 * s + a), sequences=x, outputs_info=pt.zeros(()), truncate_gradient=3)
    check([x], [pt.grad(states[-1], x), pt.grad((states**2).sum(), x)], VALUES)


def test_a_backward_loop():
    x = pt.dvector("x")
    states = scan(lambda a, s: s * 0.5 + a, sequences=x, outputs_info=pt.zeros(()), go_backwards=True)
    check([x], [states, pt.grad(states[-1] ** 2, x)], VALUES)


def test_a_loop_of_a_batch():
    x, xs = pt.dvector("x"), pt.dmatrix("xs")
    states = decay(x)
    both = vectorize_graph([states, states[-1], pt.grad((states**2).sum(), x)], {x: xs})
    check([xs], [*both, pt.grad(both[1].sum(), xs)], TABLE)


def test_second_derivatives():
    x = pt.dvector("x")
    last = decay(x)[-1]
    check([x], [pytensor.gradient.hessian(last, x)], VALUES[:3])


def test_a_jacobian():
    x = pt.dvector("x")
    check([x], [pt.jacobian(decay(x), x)], VALUES)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_any_number_of_steps(steps):
    n = pt.lscalar("n")
    states = scan(lambda s: 2 * s, outputs_info=pt.ones(2), n_steps=n)
    check([n], [states, states.shape[0], states.sum()], steps)


def test_graphs_that_pytensor_has_rewritten():
    """Buffers for a few rows, loops that overwrite their buffers, and merged elementwise ops."""
    x, n = pt.dvector("x"), pt.lscalar("n")
    states = scan(lambda s, a: pt.tanh(s * a + 0.1), outputs_info=x, non_sequences=x[::-1], n_steps=n)
    outputs = [states[-1], states[-2:], pt.grad(states[-1].sum(), x)]
    linker = loopjax.pytensor.mode().linker
    linker.incompatible_rewrites = ("cxx_only", "BlasOpt")
    query = RewriteDatabaseQuery(
        include=["fast_run", "scan_save_mem", "scan_inplace", "inplace", "fusion"], exclude=["cxx_only", "BlasOpt"]
    )
    f = pytensor.function([x, n], outputs, mode=pytensor.compile.mode.Mode(linker, query))
    for found, expected in zip(f(VALUES, 5), reference([x, n], outputs, [VALUES, 5]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_generator_as_a_state():
    """Each step draws afresh, each call goes on, and a number of steps changes nothing before it."""
    generator = pytensor.shared(np.random.default_rng(1), name="generator")

    def step(total, rng):
        following, drawn = normal(rng)
        return total + drawn, following

    n = pt.lscalar("n")
    walk, after = scan(step, outputs_info=[pt.zeros(()), generator], n_steps=n)
    start = generator.get_value()
    f = pytensor.function([n], walk, updates={generator: after}, mode=loopjax.pytensor.mode())
    first, second = f(6), f(6)
    assert len(set(np.diff(first, prepend=0.0))) == 6
    assert not np.allclose(first, second)
    generator.set_value(start)
    np.testing.assert_allclose(f(4), first[:4], rtol=1e-12)


def test_a_gradient_keeps_no_stack_of_its_window():
    w, x = pt.dscalar("w"), pt.tensor("x", shape=(6,), dtype="float64")
    last = scan(lambda a, s, w: pt.tanh(w * s + a), sequences=x, outputs_info=pt.zeros(()), non_sequences=w)[-1]
    f = pytensor.function([w, x], pt.grad(last, w), mode=loopjax.pytensor.mode())
    expected = reference([w, x], [pt.grad(last, w)], [0.3, VALUES])
    np.testing.assert_allclose(f(0.3, VALUES), expected[0], rtol=1e-12)
    assert "keeps last 1 of outputs_info[1]" in str(loopjax.explain(f.vm.jit_fn.compiled))
