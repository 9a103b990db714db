"""The driver: names of passes, order of a walk, contexts, verification."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

import loopjax
import loopjax.tensor as at
from loopjax.config import config
from loopjax.ir.graph import Graph
from loopjax.ir.verify import InvalidGraph, verify
from loopjax.rewrite import pipeline
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.driver import Context, Pass, replace_all, rewrite
from loopjax.rewrite.pipeline import sized, symbolic
from loopjax.rewrite.target import BY_ITSELF, REWRITES, Target

X = at.tensor("float64", shape=(4,), name="x")


@dataclass(frozen=True)
class Record(Pass):
    """Changes nothing; notes the contexts of the graphs that it is called with, in order."""

    seen: list[Context] = field(default_factory=list)

    def rewrite_graph(self, graph, context):
        self.seen.append(context)
        return graph


class RecordInwards(Record):
    outermost_first = True


def nested_gradient():
    """A loop in a loop, differentiated."""

    def outer(a, h):
        return loopjax.scan(lambda h: at.sin(h) * a, outputs_info=h, n_steps=2)[0][-1]

    h, _ = loopjax.scan(outer, X, at.constant(1.0, dtype="float64"))
    return Graph([X], [loopjax.grad(h[-1], X)])


def test_regions_come_first_and_know_what_encloses_them():
    graph, record = FormDifferentiatedRegions()(nested_gradient()), Record()
    assert record(graph) is graph
    assert [len(context.enclosing) for context in record.seen] == [3, 2, 1, 0]
    assert [context.in_loop for context in record.seen] == [True, True, False, False]
    assert [context.reversed for context in record.seen] == [True, True, True, False]
    assert [context.derivative for context in record.seen] == ["reverse"] * 3 + ["none"]


def test_or_last_where_a_pass_goes_inwards():
    record = RecordInwards()
    record(FormDifferentiatedRegions()(nested_gradient()))
    assert [len(context.enclosing) for context in record.seen] == [0, 1, 2, 3]


def test_the_derivative_of_the_program_encloses_all_of_it():
    record = Record(Target(derivative="forward"))
    record(FormDifferentiatedRegions()(nested_gradient()))
    assert [context.derivative for context in record.seen] == ["any"] * 3 + ["forward"]
    assert record.seen[-1].differentiated
    assert not record.seen[-1].reversed


def test_a_pass_is_named_by_its_file():
    passes = [*symbolic(), *sized(Target(check_index=True))]
    folder = Path(pipeline.__file__).parent
    for step in passes:
        assert type(step).__module__.rpartition(".")[2] == step.name
    rewriting = {step.name for step in passes if isinstance(step, Pass)}
    assert all((folder / f"{name}.py").exists() for name in rewriting)
    later = {"far_taps", "remat", "unroll", "vmap", *BY_ITSELF}  # by the plan, and of what was lowered
    assert set(REWRITES) - later == rewriting.intersection(REWRITES)
    required = {"differentiate", "dynamic_trip_count", "check_indices", "stored_products", "plan"}
    assert rewriting.difference(REWRITES) == required


@pytest.mark.parametrize("name", REWRITES)
def test_a_pass_that_is_left_out_is_not_in_the_pipeline(name):
    target = Target(without=frozenset([name]))
    required = {"reduction_fusion", "saved_steps"}
    assert name not in {step.name for step in sized(target)}
    assert name in required or name not in {step.name for step in symbolic(target.without)}


def test_each_pass_is_followed_by_the_verifier(monkeypatch):
    @dataclass(frozen=True)
    class Broken(Pass):
        def rewrite_graph(self, graph, context):
            return Graph([], graph.outputs)

    graph = Graph([X], [X + 1.0])
    monkeypatch.setattr(config, "verify", True)
    with pytest.raises(InvalidGraph, match="not of this graph after test_driver"):
        rewrite(graph, [Broken()])
    monkeypatch.setattr(config, "verify", False)
    assert rewrite(graph, [Broken()]).inputs == ()


def test_replacements_that_read_what_is_replaced():
    y = X + 1.0
    z = at.exp(y)
    doubled, negated = X * 2.0, at.neg(y)
    graph = replace_all(Graph([X], [z]), {z: negated, y: doubled})
    (output,) = graph.outputs
    assert [node.op.name for node in graph.applies] == ["mul", "neg"]
    verify(graph)
    assert output.owner.inputs[0].owner.inputs[0] is X


def test_the_verifier_finds_a_foreign_variable_and_a_wrong_type():
    x, y = at.dvector("x"), at.dvector("y")
    with pytest.raises(InvalidGraph, match="not of this graph after test"):
        verify(Graph([x], [x + y]), after="test")
    with pytest.raises(InvalidGraph, match="is not computed"):
        verify(Graph([x], [y]))
    node = (x + x).owner
    node.outputs[0].type = node.outputs[0].type.with_dtype("int8")
    with pytest.raises(InvalidGraph, match="other types"):
        verify(Graph([x], [node.outputs[0]]))


def test_no_pass_recurses_along_the_depth():
    x = at.dscalar("x")
    y = x
    for _ in range(5000):
        y = at.sin(y)
    graph = rewrite(Graph([x], [y, loopjax.grad(y, x)]), symbolic())
    assert len(graph.outputs) == 2
