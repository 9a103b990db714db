"""What the tests share: PyTensor's ``scan`` in the form of all versions, and the comparison of modes."""

import inspect
import warnings

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pytensor
    import pytensor.tensor
    import pytensor.tensor.random

    import loopjax.pytensor

import loopjax

_OPTIONS = {"return_updates": False} if "return_updates" in inspect.signature(pytensor.scan).parameters else {}


def scan(*args, **kwargs):
    """``pytensor.scan`` that returns the outputs."""
    found = pytensor.scan(*args, **_OPTIONS, **kwargs)
    return found if _OPTIONS else found[0]


def reference(inputs, outputs, args):
    """The values by PyTensor's Python implementations, without rewriting for speed."""
    return pytensor.function(inputs, outputs, mode="FAST_COMPILE", on_unused_input="ignore")(*args)


def check(inputs, outputs, *args, rtol=1e-10):
    """Compare ``from_pytensor`` and the mode with the reference: values, dtypes and shapes.

    Returns the LoopJAX variables of the graph.
    """
    graph = loopjax.pytensor.from_pytensor(inputs, outputs)
    converted = loopjax.function(graph.inputs, graph.outputs, on_unused_input="ignore")
    compiled = pytensor.function(inputs, outputs, mode=loopjax.pytensor.mode(), on_unused_input="ignore")
    expected = reference(inputs, outputs, args)
    for found in (converted(*args), compiled(*args)):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(mine), theirs, rtol=rtol, atol=1e-12)
            assert np.asarray(mine).dtype == theirs.dtype
            assert np.shape(mine) == np.shape(theirs)
    return graph


def normal(generator):
    """The generator after a standard normal draw, and the draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytensor.tensor.random.normal(0, 1, rng=generator).owner.outputs
