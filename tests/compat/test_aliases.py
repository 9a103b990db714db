"""The folders of Aesara that programs import from."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.types import TensorType
from loopjax.random import RandomStream
from loopjax.random.size_first import MRG_RandomStreams, RandomStreams
from loopjax.trace.shared import SharedVariable
from loopjax.trace.updates import OrderedUpdates

ALIASES = [
    ("loopjax.scan", "scan", loopjax.scan),
    ("loopjax.compile", "Mode", loopjax.Mode),
    ("loopjax.compile.mode", "Mode", loopjax.Mode),
    ("loopjax.scan", "until", loopjax.until),
    ("loopjax.scan.utils", "until", loopjax.until),
    ("loopjax.scan.basic", "scan", loopjax.scan),
    ("loopjax.scan.views", "map", loopjax.map),
    ("loopjax.scan.views", "reduce", loopjax.reduce),
    ("loopjax.scan.views", "foldl", loopjax.foldl),
    ("loopjax.scan.views", "foldr", loopjax.foldr),
    ("loopjax.scan.checkpoints", "scan_checkpoints", loopjax.scan_checkpoints),
    ("loopjax.gradient", "grad", loopjax.grad),
    ("loopjax.gradient", "jacobian", loopjax.jacobian),
    ("loopjax.gradient", "hessian", loopjax.hessian),
    ("loopjax.gradient", "Rop", loopjax.Rop),
    ("loopjax.gradient", "Lop", loopjax.Lop),
    ("loopjax.gradient", "verify_grad", loopjax.verify_grad),
    ("loopjax.gradient", "GradientError", loopjax.errors.GradientError),
    ("loopjax.gradient", "DisconnectedInputError", loopjax.errors.DisconnectedInputError),
    ("loopjax.gradient", "consider_constant", at.consider_constant),
    ("loopjax.gradient", "grad_clip", at.grad_clip),
    ("loopjax.gradient", "grad_scale", at.grad_scale),
    ("loopjax.tensor", "grad", loopjax.grad),
    ("loopjax.tensor", "jacobian", loopjax.jacobian),
    ("loopjax.tensor", "hessian", loopjax.hessian),
    ("loopjax.tensor", "Rop", loopjax.Rop),
    ("loopjax.tensor", "Lop", loopjax.Lop),
    ("loopjax.tensor", "verify_grad", loopjax.verify_grad),
    ("loopjax.gradient", "disconnected_grad", at.disconnected_grad),
    ("loopjax.gradient", "zero_grad", at.zero_grad),
    ("loopjax.tensor.type", "TensorType", TensorType),
    ("loopjax.tensor.random", "RandomStream", RandomStream),
    ("loopjax.tensor.random.utils", "RandomStream", RandomStream),
    ("loopjax.scan_module", "scan", loopjax.scan),
    ("loopjax.scan_module", "until", loopjax.until),
    ("loopjax.scan_module.scan_utils", "until", loopjax.until),
    ("loopjax.tensor", "inv", at.reciprocal),
    ("loopjax.tensor.nnet", "sigmoid", at.sigmoid),
    ("loopjax.tensor.extra_ops", "cumsum", at.cumsum),
    ("loopjax.tensor.extra_ops", "to_one_hot", at.to_one_hot),
    ("loopjax.tensor.extra_ops", "compress", at.compress),
    ("loopjax.tensor.extra_ops", "ravel_multi_index", at.ravel_multi_index),
    ("loopjax.tensor", "extract_diag", at.linalg.extract_diag),
    ("loopjax.tensor", "alloc_diag", at.linalg.alloc_diag),
    ("loopjax.tensor.linalg", "solve", at.linalg.solve),
    ("loopjax.tensor.linalg", "inv", at.linalg.matrix_inverse),
    ("loopjax.tensor.nlinalg", "matrix_inverse", at.linalg.matrix_inverse),
    ("loopjax.tensor.nlinalg", "norm", at.linalg.norm),
    ("loopjax.tensor.nlinalg", "trace", at.trace),
    ("loopjax.tensor.slinalg", "cholesky", at.linalg.cholesky),
    ("loopjax.tensor.slinalg", "solve", at.linalg.solve),
    ("loopjax.tensor.slinalg", "kron", at.linalg.kron),
    ("loopjax.tensor.sharedvar", "TensorSharedVariable", SharedVariable),
    ("loopjax.tensor.shared_randomstreams", "RandomStreams", RandomStreams),
    ("loopjax.sandbox.rng_mrg", "MRG_RandomStreams", MRG_RandomStreams),
    ("loopjax.updates", "OrderedUpdates", OrderedUpdates),
    ("loopjax.compile", "SharedVariable", SharedVariable),
    ("loopjax.printing", "dprint", loopjax.dprint),
    ("loopjax.printing", "debugprint", loopjax.dprint),
    ("loopjax.printing", "pp", loopjax.pp),
    ("loopjax.compile", "function", loopjax.function),
    ("loopjax.compile", "shared", loopjax.shared),
    ("loopjax.compile.sharedvalue", "shared", loopjax.shared),
    ("loopjax.compile.sharedvalue", "SharedVariable", SharedVariable),
]


@pytest.mark.parametrize(("path", "name", "what"), ALIASES)
def test_can_be_imported_from(path, name, what):
    assert getattr(importlib.import_module(path), name) is what


@pytest.mark.parametrize(("path", "name", "what"), ALIASES)
def test_is_an_attribute(path, name, what):
    found = loopjax
    for part in [*path.split(".")[1:], name]:
        if found is loopjax.scan and part in ("scan", "until"):
            return  # loopjax.scan is the function
        found = getattr(found, part)
    assert found is what


def test_each_name_of_linalg_is_in_one_of_aesaras_two_modules():
    names = {path: {name for name in vars(getattr(at, path)) if name[0] != "_"} for path in ("nlinalg", "slinalg")}
    assert not names["nlinalg"] & names["slinalg"]
    assert sorted(names["nlinalg"] | names["slinalg"]) == sorted(at.linalg.__all__)


def test_scan_stays_the_function():
    assert callable(loopjax.scan)
    assert importlib.import_module("loopjax").scan is loopjax.scan
    assert importlib.import_module("loopjax.tensor.random") is loopjax.random


def test_import_statements_in_a_fresh_interpreter():
    program = """
from loopjax.scan.utils import until
from loopjax.tensor.random.utils import RandomStream
from loopjax.gradient import grad
from loopjax.tensor.shared_randomstreams import RandomStreams
from loopjax.sandbox.rng_mrg import MRG_RandomStreams
from loopjax.tensor.nnet import sigmoid
from loopjax.tensor.nlinalg import matrix_inverse
from loopjax.tensor.slinalg import cholesky
from loopjax.scan_module.scan_utils import until as same
import loopjax.scan
import loopjax.tensor.type as types
import loopjax.compile.sharedvalue
import loopjax
assert loopjax.scan.utils.until is until is same is loopjax.until
assert loopjax.tensor.random.utils.RandomStream is RandomStream
assert types.TensorType("float32", ()).ndim == 0
assert callable(loopjax.scan)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_until_as_the_guide_writes_it():
    limit = at.scalar("limit")
    powers, _ = loopjax.scan(
        lambda previous, limit: (previous * 2, loopjax.scan.utils.until(previous * 2 > limit)),
        outputs_info=at.constant(1.0),
        non_sequences=limit,
        n_steps=1024,
    )
    np.testing.assert_array_equal(loopjax.function([limit], powers)(45), [2, 4, 8, 16, 32, 64])


def test_stream_as_the_guide_writes_it():
    stream = loopjax.tensor.random.utils.RandomStream(1234)
    draw = loopjax.function([], stream.binomial(size=(8,), n=1, p=0.5))
    assert set(np.asarray(draw()).tolist()) <= {0, 1}


def test_a_classifier_as_theanos_programs_write_it():
    x, y = at.fmatrix("x"), at.lvector("y")
    weights = loopjax.shared(np.zeros((2, 2), "float32"), name="W")
    streams = loopjax.tensor.shared_randomstreams.RandomStreams(seed=1)
    kept = streams.binomial(size=x.shape, n=1, p=0.9, dtype=loopjax.config.floatX)
    p_y = at.nnet.softmax(at.dot(x * kept, weights))
    cost = at.mean(at.nnet.categorical_crossentropy(p_y, y))
    steps = loopjax.updates.OrderedUpdates({weights: weights - 0.5 * at.grad(cost, weights)})
    train = loopjax.function([x, y], cost, updates=steps)
    rows = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    costs = [float(train(rows, (rows[:, 0] > rows[:, 1]).astype("int64"))) for _ in range(40)]
    assert costs[0] == pytest.approx(np.log(2))
    assert costs[-1] < 0.4
