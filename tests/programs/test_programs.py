"""Random programs through the whole pipeline, against plain Python loops over NumPy arrays.

Programs of the seeds 1 and 2 run for ``LOOPJAX_PROGRAM_SECONDS`` (24) in all, a third of it with gradients. They run as
they are, with capacity for every length, with any rewrites left out, and with loops planned as on a GPU. A failure
prints its seed and the smallest program that fails, as a script. For more: ``python -m tests.programs.generator``.
"""

import contextlib
import functools
import os
import subprocess
import sys
import time

import hypothesis
import numpy as np
import pytest

import loopjax
from loopjax.ir.autodiff import Pullback
from loopjax.ir.graph import Graph
from loopjax.lower import interpreter
from loopjax.lower.loops import history
from loopjax.rewrite.dce import EliminateDeadCode
from tests.planned import planned_for
from tests.programs.generator import CHUNK, LEFT_OUT, NONE, programs, search, set_lengths
from tests.programs.gradients import READINGS, gradient_source, in_double
from tests.programs.ops import SLICES
from tests.programs.program import (
    Block,
    Call,
    Input,
    Let,
    Loop,
    Number,
    Program,
    Ref,
    Sequence,
    State,
    loops,
    pruned,
)
from tests.programs.reference import OtherBranch, Reference, Undecided
from tests.programs.running import Failed, run
from tests.programs.script import source

SECONDS = float(os.environ.get("LOOPJAX_PROGRAM_SECONDS", "24"))
SEEDS = (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("lengths", "rewrites", "backend"),
    [("auto", "all", "cpu"), ("all", "all", "cpu"), ("auto", "any", "cpu"), ("auto", "all", "gpu")],
)
@pytest.mark.parametrize("gradients", [False, True], ids=["values", "gradients"])
def test_random_programs(gradients, lengths, rewrites, backend, seed):
    """``lengths="all"`` pads every length and axis, with NaN in what nobody has written; with ``any`` rewrites there
    are none, one alone, or some; for ``gpu`` loops are planned as there."""
    share = SECONDS / (12 if gradients else 6) / len(SEEDS)
    try:
        set_lengths(lengths)
        with planned_for(backend):
            tally = search(seed, gradients, rewrites, stop=time.monotonic() + share)
    finally:
        set_lengths("auto")
    print(tally)
    assert tally.ran


def generated(seed, count, gradients=False, varying=False):
    """Some programs."""
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(programs(gradients, varying))
    def collect(program):
        found.append(program)

    with in_double() if gradients else contextlib.nullcontext():
        collect()
    return found


def made(seed, count, gradients=False):
    """Some programs and their scripts."""
    found = []
    for program in generated(seed, count, gradients):
        with contextlib.suppress(Undecided), in_double() if gradients else contextlib.nullcontext():
            found.append((program, (gradient_source if gradients else source)(program)))
    return found


FIBONACCI = Program(
    (Input("x1", "float64", (3,)), Input("s1", "int64", (), "shared"), Input("x2", "int64", (), counts=(3, 0))),
    Block(
        (
            Loop(
                "l1",
                ("l1_0", "l1_1"),
                Block((Let("v1", Call("add", (Ref("h2"), Ref("h1")))),), (Ref("v1"), Call("tanh", (Ref("u1"),)))),
                (State(Ref("x1"), (-2, -1), ("h1", "h2")), None),
                (Sequence("x1", (0,), ("u1",)),),
                n_steps=Ref("x2"),
                go_backwards=True,
                updates=(("s1", "l1_s1", Call("add", (Ref("s1"), Number(1)))),),
            ),
            Let("v2", Call("slice", (Ref("l1_0"),), "-2:")),
        ),
        (Ref("v2"), Ref("l1_1"), Ref("l1_s1")),
    ),
    update=True,
)


def test_the_reference_is_what_one_writes_by_hand():
    x = np.array([1.0, 2.0, 10.0])
    reference = Reference(FIBONACCI)
    outputs, state = reference.call({"x1": x, "x2": np.int64(3)}, {"s1": np.asarray(5)})
    np.testing.assert_array_equal(outputs[0], [5.0, 8.0])
    np.testing.assert_array_equal(outputs[1], np.tanh(x[::-1]))
    assert outputs[2] == state["s1"] == 8
    outputs, state = reference.call({"x1": x, "x2": np.int64(0)}, state)
    assert outputs[0].shape == outputs[1].shape == (0,)
    assert outputs[2] == state["s1"] == 8
    run(source(FIBONACCI))


@pytest.mark.parametrize("gradients", [False, True], ids=["values", "gradients"])
def test_scripts_run_by_themselves(gradients, tmp_path):
    scripts = [script for _, script in made(3, 30, gradients)]
    path = tmp_path / "program.py"
    for script in sorted(scripts, key=len)[-2:]:
        path.write_text(script)
        done = subprocess.run([sys.executable, "-W", "error", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + script


def is_inner(program, loop):
    """Test if a loop is in another one."""
    return not any(loop is one for one in program.block.statements)


def loop_kind(test):
    """A kind of programs: some loop passes a test."""
    return lambda program: any(test(program, loop) for loop in loops(program.block))


@functools.cache
def script_of(program):
    """The script of a program, empty where the reference cannot decide what it computes."""
    with contextlib.suppress(Undecided):
        return source(program)
    return ""


def text_kind(part):
    """A kind of programs: a text occurs in the script."""
    return lambda program: part in script_of(program)


KINDS = {
    "until and sequences": loop_kind(lambda _, loop: loop.until and loop.sequences),
    "until and steps": loop_kind(lambda _, loop: loop.until and loop.n_steps is not None),
    "steps by a value": loop_kind(lambda _, loop: isinstance(loop.n_steps, Ref)),
    "no step": loop_kind(lambda _, loop: loop.n_steps == 0),
    "one step": loop_kind(lambda _, loop: loop.n_steps == 1),
    "backwards": loop_kind(lambda _, loop: loop.go_backwards),
    "updates": loop_kind(lambda _, loop: loop.updates),
    "two sequences": loop_kind(lambda _, loop: len(loop.sequences) == 2),
    "a loop in a loop": loop_kind(is_inner),
    **{
        f"tap {tap}": loop_kind(lambda _, loop, tap=tap: any(state and tap in state.taps for state in loop.states))
        for tap in (-1, -2, -8)
    },
    **{
        part: text_kind(part)
        for part in [
            "[-1]",
            ".sum(0)",
            ".shape[0]",
            "float32",
            "int64",
            "except (IndexError",
            "non_sequences",
            "stream",
            *(f"[{one}]" for one in SLICES),
            " > 0]",
            "[:x",
            "set_subtensor",
            "concatenate",
            "[None, :]",
            "cumsum",
        ]
    },
}

KINDS_TO_DIFFERENTIATE = {
    "until and states": loop_kind(
        lambda program, loop: not is_inner(program, loop) and loop.until and any(loop.states)
    ),
    "inner until": loop_kind(lambda program, loop: is_inner(program, loop) and loop.until),
    "truncated": loop_kind(lambda program, loop: not is_inner(program, loop) and loop.truncate),
    "truncated until": loop_kind(lambda _, loop: loop.truncate is not None and loop.until),
    "updates": loop_kind(lambda _, loop: loop.updates),
    "until and updates": loop_kind(lambda _, loop: loop.until and loop.updates),
    "steps by a value": loop_kind(lambda program, loop: not is_inner(program, loop) and isinstance(loop.n_steps, Ref)),
    "one step": loop_kind(lambda _, loop: loop.n_steps == 1),
    "an empty input": lambda program: any(0 in one.counts for one in program.inputs if one.counts),
    "far taps": loop_kind(lambda _, loop: any(state and min(state.taps) < -1 for state in loop.states)),
    "draws": lambda program: program.draws,
    "curvature": lambda program: program.curvature,
    **{f"reads {how}": lambda program, how=how: how in program.readings for how in READINGS},
}


def missing_kinds(kinds, gradients=False):
    """The kinds that do not occur among 1,200 programs, which are made until all have occurred.

    Kinds are rare for some seeds: Hypothesis draws constants of the modules that are imported.
    """
    missing = dict(kinds)
    for seed in range(5, 5 + 1200 // CHUNK):
        for program in generated(seed, CHUNK, gradients):
            missing = {name: test for name, test in missing.items() if not test(program)}
        if not missing:
            break
    return [*missing]


@pytest.mark.parametrize("kinds", ["KINDS", "KINDS_TO_DIFFERENTIATE"])
def test_programs_are_of_every_kind(kinds):
    """In a process of its own, in which the same modules are always imported."""
    lines = [
        f"from tests.programs.test_programs import {kinds}, missing_kinds",
        f"print(missing_kinds({kinds}, gradients={kinds != 'KINDS'}))",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


HALVED = Program(
    (Input("x1", "float64"), Input("x2", "float64", (4,)), Input("s1", "float64", (), "shared")),
    Block(
        (
            Loop(
                "l1",
                ("l1_0",),
                Block((), (Call("add", (Call("mul", (Ref("h1"), Ref("s1"))), Ref("u1"))),)),
                (State(Ref("x1"), (-1,), ("h1",)),),
                (Sequence("x2", (0,), ("u1",)),),
                updates=(("s1", "l1_s1", Call("mul", (Ref("s1"), Number(0.5)))),),
                truncate=2,
            ),
        ),
        (Ref("l1_0"), Ref("l1_s1")),
    ),
    readings=("sum", "sum"),
)


def test_steps_that_gradients_do_not_flow_through_stay_what_they_are():
    """By hand: what is before the last two steps is constant, the shared variable's values too."""
    here = {"x1": np.asarray(2.0), "x2": np.arange(4.0)}, {"s1": np.asarray(0.5)}
    begin = Reference(HALVED)
    base, _ = begin.call(*here)
    np.testing.assert_allclose(base[0], [1.0, 1.25, 2.15625, 3.134765625])
    there = {"x1": np.asarray(7.0), "x2": np.arange(4.0) + 1}, {"s1": np.asarray(9.0)}
    moved, _ = Reference(HALVED, nearby=begin.course).call(*there)
    np.testing.assert_allclose(moved[0], [1.0, 1.25, 1.25 * 0.125 + 3, (1.25 * 0.125 + 3) * 0.0625 + 4])
    assert moved[1] == base[1] == 0.5**5
    with in_double():
        run(gradient_source(HALVED))


def test_a_run_nearby_on_another_branch_is_left_out():
    loop = Loop(
        "l1",
        ("l1_0",),
        Block((), (Call("mul", (Ref("h1"), Number(0.5))),)),
        (State(Ref("x1"), (-1,), ("h1",)),),
        n_steps=4,
        until=Call("lt", (Ref("h1"), Number(0.3))),
    )
    program = Program((Input("x1", "float64"),), Block((loop,), (Ref("l1_0"),)), readings=("sum",))
    begin = Reference(program)
    begin.call({"x1": np.asarray(0.601)}, {})
    Reference(program, nearby=begin.course).call({"x1": np.asarray(0.602)}, {})
    with pytest.raises(OtherBranch):
        Reference(program, nearby=begin.course).call({"x1": np.asarray(0.599)}, {})


def test_pruned_keeps_what_is_needed():
    block = FIBONACCI.block
    more = Program(FIBONACCI.inputs, Block((*block.statements, Let("v3", Ref("x1"))), (Ref("l1_0"),)))
    kept = pruned(more)
    assert [statement.name for statement in kept.block.statements] == ["l1"]
    assert kept.inputs == more.inputs


def test_a_tap_off_by_one_is_found(monkeypatch):
    own = history.read

    def read(history, past, tap):
        return own(history, past, min(tap + 1, -1) if history.kind in ("window", "array") else tap)

    script = source(FIBONACCI)
    run(script)
    monkeypatch.setattr(history, "read", read)
    with pytest.raises(Failed, match=r"Not equal to tolerance.*(?s:.*)import loopjax"):
        run(script)


def test_a_gradient_a_little_off_is_found(monkeypatch):
    own = interpreter.RULES[Pullback]
    monkeypatch.setitem(interpreter.RULES, Pullback, lambda *args: [1.001 * one for one in own(*args)])
    with pytest.raises(Failed, match=r"Not equal to tolerance.*(?s:.*)loopjax\.grad"):
        search(0, gradients=True)


def test_a_rewrite_that_is_wrong_is_found_and_named(monkeypatch):
    own = EliminateDeadCode.__call__

    def off_by_one(self, graph):
        found = own(self, graph)
        return Graph(found.inputs, [out + 1 if out.dtype == "float64" else out for out in found.outputs])

    monkeypatch.setattr(EliminateDeadCode, "__call__", off_by_one)
    monkeypatch.setattr(loopjax.config, "verify", False)
    search(0, rewrites="none", examples=3)
    # With all rewrites to choose from, few programs would have the wrong one.
    few = hypothesis.strategies.sampled_from(["cse", "dce", "licm"]).map(lambda name: NONE - {name})
    monkeypatch.setitem(LEFT_OUT, "alone", few)
    with pytest.raises(Failed, match=r"Not equal to tolerance.*(?s:.*)loopjax\.Mode") as failed:
        search(0, rewrites="alone", examples=100, shrink=False)
    assert "'dce'" not in str(failed.value)
    assert loopjax.config.mode == "FAST_RUN"


class TestRegressions:
    """Programs that failed once, as small as the search made them."""

    def test_a_map_of_which_more_than_four_last_rows_are_kept(self):
        body = Block((), (Call("mul", (Ref("u1"), Number(2))),))
        loop = Loop("l1", ("l1_0",), body, (None,), (Sequence("x1", (0,), ("u1",)),), n_steps=5)
        last = Let("v1", Call("back", (Ref("l1_0"),), 5))
        run(source(Program((Input("x1", "float64", (5,)),), Block((loop, last), (Ref("v1"),)))))

    @pytest.mark.parametrize("kind", ["argument", "constant"])
    def test_a_sequence_shorter_than_its_taps_gives_no_step(self, kind):
        loop = Loop(
            "l1", ("l1_0",), Block((), (Ref("u3"),)), (None,), (Sequence("x1", (-2, 0, 1), ("u1", "u2", "u3")),)
        )
        run(source(Program((Input("x1", "float64", (1,), kind),), Block((loop,), (Ref("l1_0"),)))))

    def test_a_number_takes_the_dtype_of_a_result_exactly(self):
        body = Block((), (Call("mul", (Ref("h1"), Ref("x1"))),))
        loop = Loop("l1", ("l1_0",), body, (State(Number(-0.3), (-1,), ("h1",)),), n_steps=2)
        run(source(Program((Input("x1", "float64"),), Block((loop,), (Ref("l1_0"),)))))

    def test_a_sum_follows_the_dtype_that_a_number_takes(self):
        inner = Loop("l2", ("l2_0",), Block((), (Ref("h1"),)), (None,), n_steps=3)
        body = Block((inner,), (Call("add", (Ref("h1"), Ref("x1"))), Call("sum", (Ref("l2_0"),))))
        loop = Loop("l1", ("l1_0", "l1_1"), body, (State(Number(0.1), (-1,), ("h1",)), None), n_steps=2)
        run(source(Program((Input("x1", "float64"),), Block((loop,), (Ref("l1_1"),)))))

    @pytest.mark.parametrize("more", [(), ("l1_0",)], ids=["one read", "a whole stack too"])
    def test_a_step_that_a_loop_of_given_length_does_not_reach(self, more):
        body = Block((), (Call("tanh", (Ref("h1"),)), Call("sin", (Ref("h1"),))))
        states = (State(Ref("x1"), (-1,), ("h1",)), None)
        loop = Loop("l1", ("l1_0", "l1_1"), body, states, n_steps=Ref("x2"))
        read = Let("v1", Call("at", (Ref("l1_1"),), 2))
        inputs = (Input("x1", "float64"), Input("x2", "int64", counts=(3, 2)))
        program = Program(inputs, Block((loop, read), (Ref("v1"), *map(Ref, more))))
        assert "expected IndexError" in source(program)
        run(source(program))

    def test_a_state_that_starts_as_a_number_is_read_by_an_inner_loop(self):
        inner = Loop(
            "l2",
            ("l2_0", "l2_1"),
            Block((), (Ref("h2"), Call("mul", (Ref("h2"), Ref("h1"))))),
            (State(Ref("x2"), (-1,), ("h2",)), None),
            (Sequence("x1", (0,), ("u1",)),),
        )
        total = Call("add", (Call("sum", (Ref("l2_1"),)), Ref("x2")))
        loop = Loop("l1", ("l1_0",), Block((inner,), (total,)), (State(Number(0.5), (-1,), ("h1",)),), n_steps=2)
        inputs = (Input("x1", "float64", (3,)), Input("x2", "float64"))
        run(source(Program(inputs, Block((loop,), (Ref("l1_0"),)))))
