"""Ops, random variables, functions in the mode, and what is said of graphs that cannot be converted."""

import doctest
import gc
import importlib
import pkgutil
import weakref

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor import scalar
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.tensor.elemwise import Elemwise

import loopjax
import loopjax.pytensor
from loopjax.ir.graph import toposort
from loopjax.pytensor.__main__ import main
from loopjax.runtime.function import Function
from tests.pytensor.programs import check, normal, scan

VALUES = np.linspace(0.1, 0.9, 6)
TABLE = np.outer(VALUES, VALUES) + np.eye(6)
MODULES = [one.name for one in pkgutil.walk_packages(loopjax.pytensor.__path__, "loopjax.pytensor.")]


@pytest.mark.parametrize(
    "name", ["loopjax.pytensor.from_pytensor", "loopjax.pytensor.linker", "loopjax.pytensor.report"]
)
def test_examples_of_docstrings(name):
    assert name in MODULES
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_elementwise_ops():
    x, n = pt.dvector("x"), pt.lvector("n")
    unary = (
        "exp log1p expm1 sqrt sin cos tan arcsin arctan sinh cosh tanh erf erfc gammaln psi sigmoid softplus log1mexp"
    )
    outputs = [getattr(pt, name)(-x if name == "log1mexp" else x) for name in unary.split()]
    outputs += [x / n, n // 2, n % 4, n**2, -n % 3, pt.eq(n, 3), (n > 2) & (n < 5), pt.switch(n > 2, x, n)]
    outputs += [pt.clip(x, 0.2, 0.5), pt.maximum(x, 0.4), x.astype("float32"), abs(-n), pt.sign(x - 0.5)]
    graph = check([x, n], outputs, VALUES, np.arange(1, 7))
    assert not graph.fallbacks


def test_reductions_and_shapes():
    x, k = pt.dmatrix("x"), pt.lscalar("k")
    outputs = [x.sum(axis=0), x.prod(), x.max(axis=1), x.argmax(axis=1), (x > 0.3).all(axis=0), x.mean(), x.var(axis=0)]
    outputs += [
        x.reshape((k, -1)),
        x.T,
        x.flatten(),
        pt.concatenate([x, x[:k]], axis=0),
        pt.stack([x, x]),
        pt.zeros((k, 2)),
    ]
    outputs += [
        pt.arange(k),
        pt.eye(k),
        x.shape,
        pt.cumsum(x, axis=1),
        pt.repeat(x[0], 2),
        pt.sort(x[:, 0]),
        pt.tril(x),
    ]
    outputs += pt.split(x, [2, 4], n_splits=2, axis=0)
    check([x, k], outputs, TABLE, 3)


def test_parts_of_arrays():
    x, i = pt.dmatrix("x"), pt.lscalar("i")
    outputs = [x[i], x[i:], x[-1, ::-1], x[i : i + 2, 1], x[[0, 2], [1, 1]], x[x > 0.5], x[pt.arange(3) + i - 1]]
    outputs += [x[1:].set(0.0), x[i].inc(1.0), x[[0, 0]].inc(2.0), x[:, i].set(x[0])]
    check([x, i], outputs, TABLE, 2)


def test_linear_algebra_of_matrices_and_batches():
    x, xs = pt.dmatrix("x"), pt.dtensor3("xs")
    outputs = [x @ x, pt.linalg.cholesky(x @ x.T), pt.linalg.solve(x, x[0]), pt.linalg.inv(x), pt.linalg.slogdet(x)[1]]
    outputs += [pt.linalg.cholesky(xs @ xs.mT), pt.linalg.solve(xs, xs), pt.linalg.det(xs), xs @ x]
    graph = check([x, xs], outputs, TABLE, np.stack([TABLE, TABLE + np.eye(6)]), rtol=1e-8)
    assert not graph.fallbacks


def test_an_inner_loop_of_a_scalar_op():
    """The derivative of the incomplete gamma function is a loop for each element."""
    a, x = pt.dscalar("a"), pt.dvector("x")
    check([a, x], [pt.grad(pt.gammainc(a, x).sum(), a)], 2.5, VALUES, rtol=1e-7)


def test_scalar_loops_of_other_lengths_for_each_element():
    x, state, n = pt.dvector("x"), scalar.float64("state"), pt.lvector("n")
    halved = scalar.loop.ScalarLoop(init=[state], update=[state / 2])
    until_small = scalar.loop.ScalarLoop(init=[state], update=[state / 2], until=state / 2 < 0.2)
    graph = loopjax.pytensor.from_pytensor([n, x], [Elemwise(halved)(n, x), *Elemwise(until_small)(n, x)])
    counts, needed = np.array([0, 1, 40, 1, 2, 2]), np.ceil(np.log2(VALUES / 0.2)).clip(1)
    all_steps, states, done = loopjax.function(graph.inputs, graph.outputs)(counts, VALUES)
    np.testing.assert_array_equal(all_steps, VALUES / 2.0**counts)
    np.testing.assert_array_equal(states, VALUES / 2.0 ** np.minimum(counts, needed))
    np.testing.assert_array_equal(done, (counts >= needed) | (counts == 0))


def test_an_op_without_a_rule_runs_by_pytensors_jax_implementation():
    x = pt.dmatrix("x")
    graph = check([x], [pt.linalg.expm(x)], TABLE)
    assert graph.fallbacks.total() == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_draws_have_their_distribution_and_go_on():
    generator = pytensor.shared(np.random.default_rng(3), name="generator")
    following, drawn = pt.random.gamma(2.0, scale=3.0, size=(4000,), rng=generator).owner.outputs
    f = pytensor.function([], drawn, updates={generator: following}, mode=loopjax.pytensor.mode())
    first, second = f(), f()
    assert abs(first.mean() - 6.0) < 5 * np.sqrt(18 / 4000)
    assert not np.allclose(first, second)
    assert isinstance(generator.get_value(), np.random.Generator)


def test_a_graph_is_freed_with_what_was_made_of_it():
    x = pt.dvector("x")
    graph = loopjax.pytensor.from_pytensor([x], pt.alloc(1.5, x.shape[0]) + x[: x.shape[0] // 2].sum())
    (held,) = {node.op for node in toposort([graph.outputs]) if node.op.named("alloc")}
    alive = weakref.ref(held)
    del graph, held
    gc.collect()
    assert alive() is None


def test_shared_variables_are_copied_with_their_updates():
    total = pytensor.shared(1.0, name="total")
    generator = pytensor.shared(np.random.default_rng(1), name="generator")
    following, drawn = normal(generator)
    graph = loopjax.pytensor.from_pytensor([], total + 0 * drawn, updates={total: total + 1, generator: following})
    f = loopjax.function([], graph.outputs, updates=graph.updates)
    assert [float(f()), float(f())] == [1.0, 2.0]
    assert total.get_value() == 1.0
    assert set(graph.shared) == {total, generator}


def test_updates_and_givens_in_the_mode():
    x, count = pt.dvector("x"), pytensor.shared(np.int64(0), name="count")
    f = pytensor.function([x], x.sum() * 2, updates={count: count + x.shape[0]}, mode=loopjax.pytensor.mode())
    assert float(f(VALUES)) == pytest.approx(2 * VALUES.sum())
    assert isinstance(f(VALUES), np.ndarray)
    assert count.get_value() == 12
    g = pytensor.function([], x.sum(), givens={x: pt.ones(3)}, mode=loopjax.pytensor.mode())
    assert float(g()) == 3.0


class Opaque(Op):
    """An op that no one can convert."""

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0]


def test_an_op_that_nothing_converts_is_named_with_its_line():
    x = pt.dvector("x")
    with pytensor.config.change_flags(traceback__limit=8):
        made = Opaque()(x)
    with pytest.raises(
        loopjax.pytensor.ConversionError, match=r"Opaque.*Vector\(float64.*pass it as an input.*test_graphs"
    ):
        loopjax.pytensor.from_pytensor([x], made)
    (reason,) = loopjax.pytensor.report([x], made).refused
    assert "Opaque" in reason


def test_a_missing_input_is_named():
    x, y = pt.dvector("x"), pt.dvector("y")
    with pytest.raises(loopjax.pytensor.ConversionError, match=r"needs y of .*add it to the inputs"):
        loopjax.pytensor.from_pytensor([x], x + y)


def test_the_command_reports_the_functions_of_a_file(tmp_path, capsys):
    file = tmp_path / "program.py"
    file.write_text(
        "import pytensor, pytensor.tensor as pt\n"
        "x = pt.dmatrix('x')\n"
        "f = pytensor.function([x], pt.linalg.expm(x).sum(), mode='FAST_COMPILE')\n"
    )
    assert main([str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("f = ")
    assert "ops by LoopJAX" in printed
    assert "by PyTensor: Expm x 1" in printed or "Blockwise(Expm)" in printed


def test_loops_in_the_report():
    x = pt.dvector("x")
    found = loopjax.pytensor.report([x], scan(lambda a, s: s + a, sequences=x, outputs_info=pt.zeros(()))[-1])
    assert found.rules["Scan"] == 1
    assert "scan" in found.loops


@pytest.mark.parametrize("x64", [False, True])
def test_calls_of_the_same_types_go_to_the_compiled_program(monkeypatch, x64):
    x, y = pt.dvector("x"), pt.dvector("y")
    f = pytensor.function([x, y], [y.sum(), (x * y).sum(), x / 3], mode=loopjax.pytensor.mode())
    with jax.enable_x64(x64):
        f(VALUES, VALUES)
        with monkeypatch.context() as patched:
            patched.setattr(Function, "__call__", lambda *values: pytest.fail("the general path was taken"))
            found = f(VALUES, TABLE[1])
            assert jax.config.jax_enable_x64 == x64
        for values, other in [
            (VALUES[:4], TABLE[0, :4]),
            (VALUES, TABLE[2]),
            *[(VALUES[:n], TABLE[1, :n]) for n in (1, 2, 6)],
        ]:
            for one, wanted in zip(f(values, other), [other.sum(), values @ other, values / 3], strict=True):
                np.testing.assert_allclose(one, wanted, rtol=1e-15)
        with pytest.raises(ValueError, match="size"):
            f(VALUES, VALUES[:2])
        np.testing.assert_allclose(f(VALUES, TABLE[1])[1], VALUES @ TABLE[1])
    assert [type(one) for one in found] == [np.ndarray] * 3
    assert found[2].dtype == "float64"
    np.testing.assert_allclose(found[1], VALUES @ TABLE[1], rtol=1e-15)


def test_other_dtypes_than_the_compiled_ones_are_refused():
    x = pt.dvector("x")
    f = pytensor.function([x], x // 2, mode=loopjax.pytensor.mode())
    f.trust_input = True
    f(VALUES)
    found = f(np.arange(4))
    assert found.dtype == "float64"
    np.testing.assert_array_equal(found, [0, 0, 1, 1])
