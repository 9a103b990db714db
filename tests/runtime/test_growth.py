"""Large programs: the work of a node does not grow with the program, and nothing recurses along its depth."""

import gc
import io
import pickle
import sys
import time

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.types import TensorType
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import sized
from loopjax.rewrite.target import Target
from loopjax.shapes.specialize import specialize


@pytest.fixture(autouse=True)
def unverified(monkeypatch):
    """What is measured is what users run, with nothing for the garbage collector to walk that other tests left."""
    monkeypatch.setattr(loopjax.config, "verify", False)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def chain(x, nodes):
    for _ in range(nodes // 2):
        x = x * 1.0001 + 0.5
    return x


def a_chain(n):
    x = at.dvector("x")
    return [x], chain(x, n), {}


def a_sum_of_many(n):
    x = at.dvector("x")
    parts = [x * float(i) for i in range(n // 2)]
    while len(parts) > 1:
        parts = [sum(parts[i + 1 : i + 2], parts[i]) for i in range(0, len(parts), 2)]
    return [x], parts[0], {}


def many_updates(n):
    variables = [loopjax.shared(1.0) for _ in range(n // 2)]
    return [], None, {variable: variable * 2.0 + 1.0 for variable in variables}


def one_gradient_in_many(n):
    weights = [loopjax.shared(np.ones((2, 2))) for _ in range(n // 4)]
    x = y = at.dvector("x")
    for weight in weights:
        y = at.tanh(at.dot(y, weight))
    return [x], loopjax.grad(y.sum(), weights), {}


def gradients_of_many_costs(n):
    x = at.dvector("x")
    return [x], [loopjax.grad(((x * float(i)) ** 2).sum(), x) for i in range(n // 5)], {}


def many_scans(n):
    x = y = at.dvector("x")
    for _ in range(n // 10):
        y = loopjax.scan(lambda s: s * 0.9 + 0.1, outputs_info=[y], n_steps=5)[0][-1]
    return [x], y, {}


def many_lengths(n):
    x, k = at.dvector("x"), at.lscalar("k")
    length, total = k, 0.0
    for _ in range(n // 6):
        length = at.minimum(length + 1, 3)
        total = total + x[:length].sum()
    return [x, k], total, {}


PROGRAMS = [
    a_chain,
    a_sum_of_many,
    many_updates,
    one_gradient_in_many,
    gradients_of_many_costs,
    many_scans,
    many_lengths,
]


def seconds(program, n):
    """CPU time from recording to a sized, planned graph."""
    start = time.process_time()
    inputs, outputs, updates = program(n)
    f = loopjax.function(inputs, outputs, updates=updates)
    (stage,) = f.stages
    graph = stage.stage.graph
    types = [TensorType(one.dtype, (2,) * one.ndim) for one in graph.inputs]
    values = {one: np.int64(2) for one in graph.inputs if one.dtype == "int64"}
    rewrite(specialize(graph, types, values), sized(Target()))
    return time.process_time() - start


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_four_times_the_nodes_take_four_times_as_long(program):
    """Quadratic work would take 16 times as long."""
    seconds(program, 200)
    ratios = [seconds(program, 3200) / seconds(program, 800) for _ in range(3)]
    assert min(ratios) < 6, ratios


class TestDepth:
    """Chains deeper than Python's recursion limit, which a recursion along them would exceed."""

    N = 3000

    @pytest.fixture
    def y(self):
        assert sys.getrecursionlimit() < self.N
        self.x = at.dvector("x")
        return chain(self.x, self.N)

    @property
    def value(self):
        expected = np.ones(3)
        for _ in range(self.N // 2):
            expected = expected * 1.0001 + 0.5
        return expected

    def test_a_call(self, y):
        f = loopjax.function([self.x], y)
        np.testing.assert_allclose(f(np.ones(3)), self.value, rtol=1e-10)
        assert "0 loops" in str(loopjax.explain(f))

    def test_a_gradient(self, y):
        f = loopjax.function([self.x], loopjax.grad(y.sum(), self.x))
        np.testing.assert_allclose(f(np.ones(3)), np.full(3, 1.0001 ** (self.N // 2)), rtol=1e-10)

    def test_a_body_and_its_gradient(self):
        n = 1200
        assert sys.getrecursionlimit() < n
        x = at.dvector("x")
        y = loopjax.scan(lambda s: chain(s, n), outputs_info=[x], n_steps=2)[0][-1]
        f = loopjax.function([x], [y, loopjax.grad(y.sum(), x)])
        _, gradient = f(np.ones(3))
        np.testing.assert_allclose(gradient, np.full(3, 1.0001**n), rtol=1e-10)

    def test_pickling_copying_and_text(self, y):
        f = loopjax.function([self.x], y)
        assert pickle.loads(pickle.dumps(f)).graph == f.graph
        assert f.copy().graph == f.graph
        assert len(Graph(f.graph.inputs, f.graph.outputs).applies) == self.N
        text = io.StringIO()
        loopjax.dprint(y, file=text)
        assert len(text.getvalue().splitlines()) == self.N + 2
        other = at.dvector()
        assert loopjax.clone_replace(y, {self.x: other}) is not y

    def test_an_expression(self):
        y = at.dvector("x")
        for _ in range(self.N):
            y = -y
        assert loopjax.pp(y).count("neg(") == self.N


def test_twenty_thousand_nodes_in_a_row():
    """Recorded, rewritten and sized; to JAX it is one op after another, and XLA takes half a minute for so many."""
    x = at.dvector("x")
    f = loopjax.function([x], chain(x, 20_000))
    assert len(f.graph.applies) == 20_000
    assert len(f.stages[0].find([np.ones(3)]).graph.applies) == 20_000
