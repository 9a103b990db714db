"""Typed inputs."""

import importlib
import sys

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.tensor.constructors import CONSTRUCTORS, PREFIXES, SHAPES


@pytest.mark.parametrize("noun", SHAPES)
def test_every_constructor(noun):
    for prefix, dtype in PREFIXES.items():
        made = getattr(at, prefix + noun)("x")
        assert (made.dtype, made.type.shape, made.name) == (dtype, SHAPES[noun], "x")
    assert getattr(at, noun)().dtype == loopjax.config.floatX
    assert getattr(at, noun)("x", dtype="int8").dtype == "int8"


def test_plurals_of_names_and_numbers():
    x, y = at.dvectors("x", "y")
    assert (x.name, y.name, x.dtype, y.type.shape) == ("x", "y", "float64", (None,))
    assert [one.name for one in at.imatrices(["a", "b", "c"])] == ["a", "b", "c"]
    assert [one.type.shape for one in at.matrices(2)] == [(None, None)] * 2
    assert [one.dtype for one in at.scalars("a", "b", dtype="int32")] == ["int32"] * 2
    assert [one.name for one in at.vectors("long")] == ["long"]
    assert len(at.ftensor3s(3)) == 3
    assert {"lrows", "dcols", "tensor4s"} <= set(CONSTRUCTORS)
    with pytest.raises(TypeError, match=r"dvectors takes names.*\[test_constructors\.py:\d+\](\n|$)"):
        at.dvectors(1.5)


def test_typed_names_are_those_of_the_table():
    """Each name stands for its own dtype and shape, in an editor's view of the package too."""
    for name, constructor in CONSTRUCTORS.items():
        assert getattr(at, name) is constructor
        assert constructor.__name__ == name
    assert CONSTRUCTORS.keys() < set(at.__all__)


def test_tensor():
    assert at.tensor("int8", (2, None), "x").type == at.TensorType("int8", (2, None))
    named = at.tensor("x", shape=(3,))
    assert (named.name, named.dtype, named.type.shape) == ("x", loopjax.config.floatX, (3,))
    both = at.tensor("d", dtype="float64", shape=(3,))
    assert (both.name, both.dtype, both.type.shape) == ("d", "float64", (3,))
    assert at.tensor(dtype="int8", shape=(2,), name="x").name == "x"
    assert at.tensor(np.int32).dtype == "int32"
    assert at.tensor().dtype == loopjax.config.floatX


def test_as_tensor_variable():
    x = at.vector()
    assert at.as_tensor_variable(x) is x
    assert at.as_tensor_variable(x, ndim=3).type.shape == (1, 1, None)
    assert at.as_tensor_variable([1.5, 2.5]).dtype == loopjax.config.floatX
    assert at.as_tensor_variable(np.ones(2)).dtype == "float64"
    assert at.as_tensor_variable(2, name="two").name == "two"


def test_a_size_declared_for_an_input_is_checked():
    x = at.row()
    f = loopjax.function([x], x + 1)
    assert f(np.zeros((1, 3), "float32")).shape == (1, 3)
    with pytest.raises(ValueError, match="expected shape float32"):
        f(np.zeros((2, 3), "float32"))


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'dvectr'"):
        at.dvectr  # noqa: B018


MODULES = ["constructors", "creation", "elementwise", "gradient_flow", "indexing", "positions", "products", "reduction"]
MODULES += ["shape", "sort", "special", "conditional"]
OTHERS = {"Constant", "TensorType", "Variable", "as_variable", "constant", "grad", "hessian", "jacobian", "Lop", "Rop"}
NAMESPACES = {"constructors", "linalg", "nnet", "random"}


def test_the_public_names_are_those_of_the_modules():
    lists = [importlib.import_module(f"loopjax.tensor.{name}").__all__ for name in MODULES]
    names = [name for names in lists for name in names]
    names += [name for name in vars(importlib.import_module("loopjax.tensor.typed")) if name[0] != "_"]
    assert len(names) == len(set(names))
    assert at.__all__ == sorted({*names, *OTHERS, *NAMESPACES})
    for module, public in zip(MODULES, lists, strict=True):
        assert all(getattr(at, name) is getattr(sys.modules[f"loopjax.tensor.{module}"], name) for name in public)


def test_star_import_gives_the_public_names():
    found = {}
    exec("from loopjax.tensor import *", found)
    assert found.keys() - {"__builtins__"} == set(at.__all__)
