"""The command that measures the cost model: generated loops, constants and regret."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from loopjax.calibrate.__main__ import main, summary
from loopjax.calibrate.bodies import ARITHMETIC, FUNCTIONS, MOVES, PRODUCTS, REDUCTIONS, Body, generate
from loopjax.calibrate.constants import slope
from loopjax.calibrate.regret import Regret
from loopjax.rewrite.cost_model import Measurement, read_constants

ALL = Body(
    (3, 4),
    "float64",
    2,
    1,
    6,
    tuple(
        (name, place % 5, (place + 2) % 5) for place, name in enumerate([*ARITHMETIC, *FUNCTIONS, *MOVES, *REDUCTIONS])
    ),
    "sum",
    True,
)


@pytest.mark.parametrize("result", ["last", "stack", "sum"])
@pytest.mark.parametrize("gradient", [False, True])
def test_both_programs_of_a_body_agree(result, gradient):
    code = (*ALL.code, (next(iter(PRODUCTS)), 0, 0))
    body = dataclasses.replace(ALL, code=code, result=result, gradient=gradient)
    with jax.enable_x64(True):
        ours, plain = (jax.tree.leaves(make(*body.arrays())) for make in (body.symbolic(None), body.plain()))
    assert len(ours) == len(plain) == (5 if gradient else 1)
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_generated_bodies_vary():
    bodies = [generate(np.random.default_rng(seed)) for seed in range(200)]
    assert {body.n_states for body in bodies} == {1, 2, 3, 4, 8}
    assert {name for body in bodies for name, *_ in body.code} >= {"tanh", "mix", "gather", "center", "matmul"}
    assert any(body.shape == () for body in bodies)
    assert all(10 <= body.n_steps <= 100_000 for body in bodies)
    assert str(generate(np.random.default_rng(3))) == str(bodies[3])


def test_the_slope_and_its_residual():
    assert slope([1, 2, 4], [3, 6, 12]) == (3.0, 0.0)
    assert slope([1, 2, 4], [3, 6, 18]) == (3.0, 0.29)


def test_the_table_in_the_package():
    found = read_constants()
    assert found.values["sin float64"].value > found.values["tanh float64"].value > found.values["tanh float32"].value
    assert found.values["storing uncached"].value > found.values["storing"].value > 0
    assert all(one.residual < 0.6 for one in found.values.values())
    again = json.loads(found.to_json())
    assert Measurement(*again["log float64"]) == found.values["log float64"]


def test_the_command(capsys):
    assert main(["--quick", "--seed", "2"]) == 0
    printed = capsys.readouterr().out
    assert "log float64" in printed
    assert "1 generated loops" in printed
    with pytest.raises(SystemExit):
        main(["--quick", "--write"])


def test_the_summary():
    regrets = [Regret(ALL, regret, "plain", plain, 1.0) for regret, plain in [(1.0, 0.5), (1.0, 0.5), (4.0, 2.0)]]
    lines = summary(regrets).splitlines()
    assert lines[1].split()[-4:] == ["1.00", "3.70", "4.00", "1.59"]
    assert lines[2].split()[-4:] == ["1.00", "1.00", "1.00", "1.00"]
    assert lines[3].split()[-4:] == ["0.50", "1.85", "2.00", "0.79"]
