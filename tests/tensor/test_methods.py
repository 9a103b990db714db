"""Methods of variables: each has the signature of the public op that it records."""

import inspect
import typing

import pytest

import loopjax.tensor as at
from loopjax.ir.methods import Methods
from loopjax.ir.public_ops import ops

FUNCTIONS = {name: method for name, method in vars(Methods).items() if inspect.isfunction(method) and name[0] != "_"}

SHORT = {"astype": "cast", "copy": "identity", "eval": "evaluate", "inc": "inc_subtensor", "ravel": "flatten"}
SHORT["set"] = "set_subtensor"
"""Methods that call a function of another name, with parameters of their own."""


def parameters(function):
    """Name, kind and default of each parameter after the first."""
    return [(one.name, one.kind, one.default) for one in list(inspect.signature(function).parameters.values())[1:]]


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - SHORT))
def test_a_method_has_the_signature_of_its_op(name):
    method, op = FUNCTIONS[name], ops[name]
    assert parameters(method) == parameters(op)
    hints, wanted = typing.get_type_hints(method), typing.get_type_hints(op)
    precise = {key for key in hints if key != "return" and wanted[key] is not typing.Any}
    assert {key: hints[key] for key in precise} == {key: wanted[key] for key in precise}


@pytest.mark.parametrize("name", SHORT)
def test_the_others_call_an_op(name):
    assert name in FUNCTIONS
    assert callable(ops[SHORT[name]])


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - SHORT))
def test_a_method_passes_every_argument_on(name, monkeypatch):
    """Each parameter reaches the op under its own name."""
    op, x = ops[name], at.dmatrix("x")
    seen = []
    monkeypatch.setattr(ops, name, lambda *args, **kwargs: seen.append(inspect.signature(op).bind(*args, **kwargs)))
    signature = inspect.signature(op)
    values = {key: object() for key, one in list(signature.parameters.items())[1:] if one.kind != one.VAR_POSITIONAL}
    pack = [object(), object()] if any(one.kind == one.VAR_POSITIONAL for one in signature.parameters.values()) else []
    getattr(x, name)(*pack, **values)
    (bound,) = seen
    found = dict(bound.arguments)
    assert found.pop(next(iter(signature.parameters))) is x
    assert all(found[key] is value for key, value in values.items())
    assert [one for key, value in found.items() if key not in values for one in value] == pack


def test_arguments_work_by_position_and_by_name():
    x = at.dmatrix("x")
    assert x.sum(1, "float32", True).type == x.sum(axis=1, dtype="float32", keepdims=True).type
    assert x.reshape((2, -1)).ndim == x.reshape(2, -1).ndim == 2
    with pytest.raises(TypeError, match="unexpected keyword"):
        x.sum(axes=1)
