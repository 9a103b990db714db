"""A wrong value in each argument of each public function: an error, or in the table of what is right to accept."""

import inspect
from collections import Counter

import pytest

import loopjax
import loopjax.tensor as at
from tests.wrong_uses import ACCEPTED, LEFT_OUT, Accepted, Call, Outcome, calls, outcomes, x

EVERY = 7
"""One use in 7 is made here, each value at another parameter; ``python -m tests.wrong_uses`` makes all."""


@pytest.fixture(scope="module")
def found():
    return list(outcomes(EVERY))


def test_right_calls_are_right():
    for call in calls():
        call(**call.arguments)


def test_every_public_function_is_called():
    called = {call.name for call in calls()}
    named = {f"loopjax.{name}" for name in loopjax.__all__ if inspect.isroutine(getattr(loopjax, name))}
    functions = {getattr(at, name) for name in at.__all__ if inspect.isroutine(getattr(at, name))}
    assert named - called - set(LEFT_OUT) - {f"loopjax.{name}" for name in at.__all__} == set()
    assert len(functions - {call.function for call in calls()} - set(at.CONSTRUCTORS.values())) == 0


def test_none_is_silent_none_has_words_of_another_layer_and_none_changes_state(found):
    assert len(found) > 5000
    faults = [(outcome.use, outcome.fault, str(outcome.error)) for outcome in found if outcome.fault]
    assert faults == []


def test_nearly_all_messages_have_all_five_parts(found):
    parts = Counter(bool(outcome.missing) for outcome in found if outcome.error is not None)
    assert parts[False] >= 0.94 * parts.total()
    assert [outcome.use for outcome in found if outcome.error is not None and "line" in outcome.missing] == []


def test_each_row_of_the_table_of_what_is_accepted_has_a_reason():
    assert all(row.reason and row.values for row in ACCEPTED)


def test_a_value_outside_of_the_table_is_a_fault():
    def accepts(shape):
        return shape

    call = Call("at.accepts", accepts, {"shape": 1})
    parameter = call.parameters["shape"]
    assert not any(row.covers(call, parameter, "a string") for row in ACCEPTED)
    assert Accepted(r" shape: ", {"a string"}, "here").covers(call, parameter, "a string")
    silent = Outcome("accepts(shape=a string)", "shape", "a", None, "a", accepted=False, changed=False)
    assert silent.fault == "silent"
    foreign = Outcome(
        "accepts(shape=x)", "shape", x, TypeError("'NoneType' object is not iterable"), None, False, False
    )
    assert foreign.fault == "another layer's words"
