"""The guide's programs, value by value."""

import numpy as np
import pytest

import loopjax
from examples import guide as programs
from examples.guide import PROGRAMS, Result, Value


@pytest.fixture(scope="module")
def results():
    """What each program returned, each run once and when it is first asked for."""
    programs = {program.name: program for program in PROGRAMS}
    done = {}

    def result(name) -> Result:
        if name not in done:
            done[name] = programs[name].run()
        return done[name]

    return result


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program_is_as_expected(program, results):
    result = results(program.name)
    assert result.ok, [value for value in result.values if not value.ok]
    assert result.name == program.name == result.functions[0].name
    assert result.values
    assert 0 < result.later < result.first
    for function in result.functions:
        assert all(loop.plan is not None for loop in loopjax.explain(function).loops)


def test_names_are_distinct():
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS)


def test_power(results):
    computed = results("power").computed
    np.testing.assert_array_equal(computed["k=2"], [0, 1, 4, 9, 16, 25, 36, 49, 64, 81])
    np.testing.assert_array_equal(computed["k=4"], [0, 1, 16, 81, 256, 625, 1296, 2401, 4096, 6561])


def test_power_is_compiled_once_for_all_k(results):
    (function,) = results("power").functions
    assert [len(stage.programs) for stage in function.stages] == [1]
    (loop,) = loopjax.explain(function).loops
    assert loop.outputs == ("last 1 of so_far",)


def test_polynomial(results):
    assert float(results("polynomial").computed["at 3"]) == 19.0


def test_polynomial_runs_as_many_steps_as_the_shorter_sequence_has(results):
    (loop,) = loopjax.explain(results("polynomial").functions[0]).loops
    assert loop.n_steps == 3


def test_triangular(results):
    computed = results("triangular").computed["up to 15"]
    np.testing.assert_array_equal(computed, [0, 1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 66, 78, 91, 105])
    assert computed.dtype == np.int64


def test_scatter(results):
    computed = np.asarray(results("scatter").computed["matrices"])
    assert computed.shape == (2, 5, 5)
    assert {tuple(map(int, at)): float(computed[tuple(at)]) for at in np.argwhere(computed)} == {
        (0, 1, 1): 42.0,
        (1, 2, 3): 50.0,
    }


def test_gibbs_draws_afresh_with_updates_alone(results):
    computed = results("gibbs").computed
    assert computed["different chains in 20 calls without updates"] == 1
    assert computed["different chains in 20 calls"] > 15


@pytest.mark.parametrize("name", ["gibbs", "gibbs-explicit", "strict"])
def test_gibbs_frequencies_are_those_of_a_chain_in_numpy(name, results):
    weights, rng, count = programs.machine(), np.random.default_rng(7), 20_000
    visible = np.zeros((count, 2))
    for _ in range(programs.CHAIN):
        hidden = rng.random((count, 2)) < 1 / (1 + np.exp(-(visible @ weights.W + weights.bhid)))
        visible = rng.random((count, 2)) < 1 / (1 + np.exp(-(hidden @ weights.W.T + weights.bvis)))
    simulated = np.bincount((2 * visible[:, 0] + visible[:, 1]).astype(int), minlength=4) / count
    exact = programs.chain_probabilities(weights)
    error = np.sqrt(exact * (1 - exact))
    assert np.all(np.abs(simulated - exact) < 5 * error / np.sqrt(count))
    computed = results(name).computed["frequencies"]
    assert computed.sum() == pytest.approx(1)
    assert np.all(np.abs(computed - simulated) < 5 * error * np.sqrt(1 / count + 1 / programs.DRAWS))


def test_strict_refuses_a_shared_variable_that_is_not_passed(results):
    assert results("strict").computed["W not passed"] == "MissingInputError"


def test_counter(results):
    computed = {label: [int(one) for one in value] for label, value in results("counter").computed.items()}
    assert computed == {
        "without updates, call 1: b, c, a": [2, 12, 1],
        "without updates, call 2: b, c, a": [2, 12, 1],
        "with updates, call 1: b, c, a": [2, 12, 11],
        "with updates, call 2: b, c, a": [12, 22, 21],
    }


def test_recurrent_runs_five_steps_over_nine_values(results):
    result = results("recurrent")
    assert result.computed["x"].shape == (5, 3)
    assert result.computed["y"].shape == (5, 3)
    loops = loopjax.explain(result.functions[0]).loops
    assert {loop.n_steps for loop in loops} == {5}
    assert [loop.plan.kind for loop in loops] == ["vmap", "counted"]


def test_until(results):
    np.testing.assert_array_equal(results("until").computed["up to 45"], [2, 4, 8, 16, 32, 64])


def test_checkpoints_saves_every_tenth_state(results):
    (few,) = loopjax.explain(results("checkpoints").functions[0]).loops
    assert str(few.plan.checkpoint) == "2 x 10 + 5"
    assert few.differentiated
    np.testing.assert_allclose(results("checkpoints").computed["gradient"], 25 * np.array([0.5, 1, 1.5]) ** 24)


@pytest.mark.parametrize(
    ("value", "ok"),
    [
        (Value("exact", [1, 2], [1, 2]), True),
        (Value("off by one", [1, 2], [1, 3]), False),
        (Value("within", [1.0, 2.0], [1.0, 2.01], 0.1), True),
        (Value("within, by element", [1.0, 2.0], [1.1, 2.1], np.array([0.2, 0.05])), False),
        (Value("shape", [1, 1], 1), False),
        (Value("nan", [np.nan], [np.nan]), False),
        (Value("text", "a", "a"), True),
        (Value("other text", "a", "b"), False),
    ],
    ids=lambda value: value.label if isinstance(value, Value) else None,
)
def test_value_is_ok(value, ok):
    assert value.ok is ok
