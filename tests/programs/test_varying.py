"""Random programs whose sizes differ from step to step of a loop, against plain Python loops over NumPy arrays.

For more: ``python -m tests.programs.generator --varying``.
"""

import re
import time

import numpy as np
import pytest

from tests.planned import planned_for
from tests.programs.generator import search, set_lengths
from tests.programs.ops import REDUCTIONS, VARYING, Op
from tests.programs.program import Block, Call, Input, Let, Loop, Number, Program, Ref, Sequence, loops
from tests.programs.reference import Reference
from tests.programs.running import Failed, run
from tests.programs.script import definitions, source
from tests.programs.test_programs import generated

REFUSED = {False: 0.15, True: 0.15}
"""The share of programs without and with gradients that may be refused by a ``LengthError``."""

SECONDS = 1


@pytest.mark.parametrize("gradients", [False, True], ids=["values", "gradients"])
@pytest.mark.parametrize(
    ("lengths", "rewrites", "backend", "seed"),
    [
        ("auto", "all", "cpu", 1),
        ("auto", "all", "cpu", 2),
        ("all", "all", "cpu", 3),
        ("auto", "any", "gpu", 4),
    ],
)
def test_varying_programs(gradients, lengths, rewrites, backend, seed):
    """A refusal is counted; a wrong number and any other exception fail."""
    try:
        set_lengths(lengths)
        with planned_for(backend):
            stop = time.monotonic() + SECONDS
            tally = search(seed, gradients, rewrites, examples=12, varying=True, stop=stop)
    finally:
        set_lengths("auto")
    print(tally)
    assert tally.ran
    # The share says little of a handful of programs.
    assert tally.refused <= REFUSED[gradients] * tally.ran + 3


def inner_loops(program):
    """The loops inside of loops."""
    outermost = [one for one in program.block.statements if isinstance(one, Loop)]
    return [loop for one in outermost for loop in loops(one.body)]


def test_varying_programs_are_of_every_kind():
    programs = generated(5, 160, varying=True)
    inner = [loop for program in programs for loop in inner_loops(program)]
    assert any(isinstance(loop.n_steps, Ref) and not loop.sequences for loop in inner)
    assert any(isinstance(loop.n_steps, Ref) and loop.sequences for loop in inner)
    assert any(loop.n_steps is None for loop in inner)
    assert any(loop.until for loop in inner)
    assert any(loop.go_backwards for loop in inner)
    assert any(sequence.taps != (0,) for loop in inner for sequence in loop.sequences)
    assert any(list(loops(loop.body)) for loop in inner), "three deep"
    text = "\n".join(line for program in programs for line in definitions(program))
    assert sum(f"at.{op.removeprefix('reduce_')}(" in text for op in REDUCTIONS) >= 8
    for part in ["set_subtensor", "inc_subtensor", "concatenate", "at.sort", "at.softmax", "at.dot", "cumsum"]:
        assert part in text, part
    assert re.search(r"(\w+)\[\1 > ", text), "a mask"
    k = r"[^\[\]:,]+"
    for form in [
        rf"\[{k}:\]",
        rf"\[:{k}\]",
        rf"\[-{k}:\]",
        rf"\[:-{k}\]",
        rf"\[{k}::2\]",
        rf"\[{k}::-1\]",
        rf"\[:, {k}",
        rf"\[{k}:\({k} \+ [123]\)\]",
        rf"\[{k}:\(2 \* {k}\)\]",
        rf"\[at.maximum\(\({k} - 2\), 0\):",
    ]:
        assert re.search(form, text), form


TRIANGLE = Program(
    (Input("x1", "float64", (4,)), Input("x2", "int64", (3,), most=4)),
    Block(
        (
            Loop(
                "l1",
                ("l1_0", "l1_1", "l1_2"),
                Block(
                    (
                        Let("v1", Call("cut", (Ref("x1"), Ref("u1")), "{1}:")),
                        Let("v2", Call("reduce_sum", (Ref("v1"),), 0)),
                        Loop(
                            "l2",
                            ("l2_0",),
                            Block((), (Call("mul", (Ref("u2"), Number(2))),)),
                            (None,),
                            (Sequence("x1", (0,), ("u2",)),),
                            n_steps=Ref("u1"),
                        ),
                    ),
                    (
                        Ref("v2"),
                        Call("set", (Call("zeros", (Number(4),), "float64"), Ref("l2_0"), Ref("u1")), ":{2}"),
                        Call("cut", (Ref("x1"), Call("sub", (Ref("u1"), Ref("u1")))), "{1}:2"),
                    ),
                ),
                (None, None, None),
                (Sequence("x2", (0,), ("u1",)),),
            ),
        ),
        (Ref("l1_0"), Ref("l1_1"), Ref("l1_2")),
    ),
)


def test_the_reference_of_sizes_that_differ_is_what_one_writes_by_hand():
    x, ks = np.array([1.0, 10.0, 100.0, 1000.0]), np.array([0, 3, 4])
    outputs, _ = Reference(TRIANGLE).call({"x1": x, "x2": ks}, {})
    np.testing.assert_array_equal(outputs[0], [1111, 1000, 0])
    np.testing.assert_array_equal(outputs[1], [[0, 0, 0, 0], [2, 20, 200, 0], [2, 20, 200, 2000]])
    np.testing.assert_array_equal(outputs[2], [[1, 10]] * 3)


def test_the_script_says_where_sizes_differ():
    text = source(TRIANGLE)
    assert "v1 = x1[u1:]" in text
    assert "sequences=[x1], n_steps=u1" in text
    assert "at.set_subtensor(at.zeros(4, dtype='float64')[:u1], l2_0)" in text
    assert "x1[(u1 - u1):2]" in text


def test_a_slice_off_by_one_is_found(monkeypatch):
    own = VARYING["cut"]
    monkeypatch.setitem(VARYING, "cut", Op(own.text, lambda x, *more: own.run(x + 1, *more), own.result))
    body = Block((), (Call("reduce_sum", (Call("cut", (Ref("x1"), Ref("u1")), "{1}:"),), 0),))
    loop = Loop("l1", ("l1_0",), body, (None,), (Sequence("x2", (0,), ("u1",)),))
    inputs = (Input("x1", "float64", (5,)), Input("x2", "int64", (3,), most=3))
    with pytest.raises(Failed, match="Not equal to tolerance"):
        run(source(Program(inputs, Block((loop,), (Ref("l1_0"),)))))
