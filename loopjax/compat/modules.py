"""The modules of the peers: which names each path has, made once a library.

Paths are those of all peers and ages together: ``tensor.opt`` and ``gof`` of Theano exist in Aesara's modules too. All
files of a package, such as ``tensor.basic`` and ``tensor.extra_ops``, have the names of the whole package, since
programs import from wherever a name once lived. Functions record under the library's conventions.
"""

from __future__ import annotations

import collections
import difflib
import inspect
import logging
import pickle
import sys
import types
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from loopjax import errors, tensor
from loopjax.checkpoint.scan_checkpoints import scan_checkpoints
from loopjax.compat import (
    arrays,
    custom_ops,
    functions,
    gpu,
    gradients,
    graphs,
    kinks,
    layers,
    linear_algebra,
    modes,
    op_kinds,
    parameters,
    pooling,
    printing,
    random,
    reductions,
    scans,
    sparse,
    special,
    stubs,
    tensors,
    variables,
)
from loopjax.compat.library import LIBRARIES, Library
from loopjax.compat.print_op import Print
from loopjax.compat.types import constructors, tensor_of
from loopjax.errors import coded
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Constant, Variable
from loopjax.report.explain import explain
from loopjax.runtime.signature import Out
from loopjax.trace.shared import SharedVariable
from loopjax.trace.updates import OrderedUpdates

Names = dict[str, Any]

_TENSOR_FILES = """
basic extra_ops elemwise elemwise_cgen subtensor shape math var variable utils blockwise functional inplace sort
special xlogx opt sharedvar type_other exceptions raw_random shared_randomstreams slinalg nlinalg linalg
linalg.decomposition linalg.solvers linalg.products linalg.summary linalg.inverse linalg.constructors pad einsum
interpolate fourier
"""
TENSOR_FILES = tuple(_TENSOR_FILES.split())
_NNET_FILES = """
nnet bn basic conv batchnorm sigm softmax abstract_conv neighbours ctc corr corr3d conv3d2d loss
"""
NNET_FILES = tuple(_NNET_FILES.split())
_GRAPH_FILES = """
basic graph op fg type null_type utils fgraph replace traversal clone method_not_defined
"""
GRAPH_FILES = tuple(_GRAPH_FILES.split())


PUBLIC = """
tensor tensor.basic tensor.math tensor.extra_ops tensor.nnet tensor.nnet.nnet tensor.signal tensor.signal.pool
tensor.signal.downsample tensor.signal.conv tensor.fft tensor.random tensor.random.basic tensor.random.utils gradient
tensor.linalg tensor.nlinalg tensor.slinalg tensor.special ifelse updates
"""
"""Modules whose unknown names are errors; in the others they are stubs, since programs import what they never use."""


def populate(path: str) -> None:
    """Make the modules of a library; ``path`` is that of its top module, which is being imported."""
    library = LIBRARIES[path.rpartition(".")[2]]
    for name, names in _paths(library).items():
        _add(library, name, names)


def _add(library: Library, name: str, names: Names) -> None:
    """Make one module and set it as an attribute of that before its last dot."""
    path = f"{library.path}.{name}" if name else library.path
    module = sys.modules.get(path)
    if module is None:
        is_stub = bool(name) and name not in PUBLIC.split()
        module = (stubs.StubModule if is_stub else ModuleType)(path, f"{library.title}'s ``{name}``.")
        sys.modules[path] = module
    vars(module).update({key: _recording(library, value, key) for key, value in names.items()})
    module.__path__ = []
    if not isinstance(module, stubs.StubModule):
        vars(module)["__getattr__"] = _missing(path, module)
    if name:
        _attach(path, module)


def _attach(path: str, module: ModuleType) -> None:
    """Set a module as an attribute of its owner. A function of its name stays, and has the module's names too."""
    owner, _, attribute = path.rpartition(".")
    above, _, last = owner.rpartition(".")
    for holder in (sys.modules[owner], vars(sys.modules[above]).get(last)):
        if holder is None or not isinstance(holder, (ModuleType, types.FunctionType)):
            continue
        held = vars(holder).get(attribute)
        if isinstance(held, types.FunctionType):
            vars(held).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
        elif held is None or isinstance(held, ModuleType):
            setattr(holder, attribute, module)


def _recording(library: Library, value: Any, name: str = "") -> Any:
    """Return a function of LoopJAX as one of the library: with the names of its parameters, and recording under its
    conventions. Anything else stays as it is.
    """
    if not (
        inspect.isfunction(value) or (inspect.isclass(value) and value in _RECORDING)
    ) or not value.__module__.startswith("loopjax"):
        return value
    known = name if name in parameters.PARAMETERS else ""
    key = (library.name, id(value), known)
    if key not in _made:
        is_function = inspect.isfunction(value)
        made = (
            library.recording(parameters.peer_parameters(value, known))
            if is_function
            else library.class_recording(value)
        )
        _made[key] = made, value
    return _made[key][0]


_RECORDING = (
    custom_ops.Op,
    custom_ops.ScalarOp,
    custom_ops.ViewOp,
    custom_ops.OpFromGraph,
    Print,
    tensors.Assert,
    tensors.CheckAndRaise,
    tensors.Rebroadcast,
)
"""Classes whose instances record when they are called."""

_made: dict[tuple[str, int, str], tuple[Any, Any]] = {}


def _missing(path: str, module: ModuleType) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module: an unknown name's error suggests the nearest."""

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise coded(AttributeError, "LJ207")(f"module {path!r} has no attribute {name!r}")
        if name[0].isupper() and path.split(".")[3:] not in ([], ["tensor"], ["tensor", "nnet"], ["tensor", "random"]):
            return stubs.stub(name, path)  # a class of the peer's ops
        nearest = difflib.get_close_matches(name, [key for key in vars(module) if key[0] != "_"], 1)
        meant = f"; the nearest name is {nearest[0]!r}" if nearest else ""
        raise coded(AttributeError, "LJ207")(
            f"module {path!r} has no attribute {name!r}{meant}; loopjax.wrap_jax makes a function of variables from "
            f"any function of JAX"
        )

    return missing


def _paths(library: Library) -> dict[str, Names]:
    """Return the names of each module, owners before what they own."""
    classes = _classes(library)
    ops = _tensor(library, classes)
    nnet = {**ops, **layers.names()}
    gradient = {**_functions(gradients), **classes, "DisconnectedType": custom_ops.DisconnectedType}
    gradient.update(DisconnectedInputError=errors.DisconnectedInputError, GradientError=errors.GradientError)
    gradient.update({f"{name}_": gradient[name] for name in ("consider_constant", "disconnected_grad", "zero_grad")})
    gradient.update(undefined_grad_=gradient["undefined_grad"], get_test_values=graphs.get_test_values)
    gradient.update(vectorize_graph=graphs.vectorize_graph)
    gradient.update(NullTypeGradError=errors.GradientError, disconnected_type=custom_ops.DisconnectedType())
    ops.update({f"{name}_inplace": value for name, value in list(ops.items()) if inspect.isfunction(value)})
    draws = {**random.functions(), **random.streams(library), "default_rng": np.random.default_rng}
    streams = random.streams(library)
    graph = {**classes, **_functions(graphs), "Apply": custom_ops.Apply, "Op": custom_ops.Op}
    graph.update(FunctionGraph=graphs.FunctionGraph, inputs=graphs.graph_inputs, Env=graphs.FunctionGraph)
    graph.update(DisconnectedType=custom_ops.DisconnectedType, COp=custom_ops.Op, ExternalCOp=custom_ops.Op)
    graph.update(stubs.ACCEPTED)
    graph.update(list_of_nodes=graphs.applys_between, Scratchpad=types.SimpleNamespace)
    graph.update({name: vars(graphs)[name] for name in ("NotScalarConstantError", "MissingTestValue")})
    loops = {name: vars(scans)[name] for name in ("scan", "map", "reduce", "foldl", "foldr", "until")}
    loops.update(scan_checkpoints=scan_checkpoints, clone=graphs.clone)
    loops.update(equal_computations=graphs.equal_computations)
    compiled = _compiled(classes)
    shown = {**_functions(printing), "Print": Print, "pprint": printing.pprint, "dprint": printing.debugprint}
    checks = {name: vars(tensors)[name] for name in ("Assert", "CheckAndRaise")}
    checks["assert_op"] = checks["assert_"] = _recording(library, tensors.Assert)()
    numbers = _scalars(library, ops)
    branch = {"ifelse": tensor.ifelse, "IfElse": stubs.Unavailable}
    pools = {**ops, **pooling.pools()}

    found: dict[str, Names] = {
        "": {
            **loops,
            **compiled,
            **graph,
            **{name: gradient[name] for name in ("grad", "Rop", "Lop", "jacobian", "hessian") if name in gradient},
            **shown,
            **branch,
            "config": library.flags,
            "version": types.SimpleNamespace(version=library.version, full_version=library.version),
            "__version__": library.version,
            "clone": graphs.clone,
            "_asarray": _asarray,
            "theano_logger": logging.getLogger(library.name),
            "get_scalar_constant_value": graphs.get_scalar_constant_value,
            "OrderedUpdates": OrderedUpdates,
            "explain": explain,
            "wrap_jax": wrap_jax,
            "subgraph_grad": gradient["subgraph_grad"],
            "pushforward": gradient["pushforward"],
            "pullback": gradient["pullback"],
            "dot": tensor.dot,
            "pickle": pickle,
            "np": np,
            "numpy": np,
        },
        "configparser": {"config": library.flags},
        "misc.safe_asarray": {"_asarray": _asarray},
        "configdefaults": {"config": library.flags, "local_bitwidth": _bitwidth, "python_int_bitwidth": _bitwidth},
        "tensor": ops,
        **{f"tensor.{name}": ops for name in TENSOR_FILES},
        **{f"tensor.{name}": {**ops, "norm": tensor.linalg.norm} for name in ("nlinalg", "slinalg", "linalg")},
        "tensor.type": {**ops, **classes},
        "tensor.nnet": nnet,
        **{f"tensor.nnet.{name}": nnet for name in NNET_FILES},
        "tensor.signal": {name: ops[name] for name in ("convolve1d", "convolve2d")},
        "tensor.signal.pool": pools,
        "tensor.signal.downsample": pools,
        "tensor.signal.conv": {**pools, "conv2d": layers.signal_conv2d},
        "tensor.fft": {**ops, **pooling.transforms()},
        "tensor.random": draws,
        "tensor.random.basic": draws,
        "tensor.random.utils": draws,
        "tensor.random.type": {**draws, **classes},
        "tensor.random.op": {**draws, "RandomVariable": ops["RandomVariable"]},
        "gradient": gradient,
        "gof": graph,
        **{f"gof.{name}": graph for name in GRAPH_FILES},
        "graph": graph,
        **{f"graph.{name}": graph for name in GRAPH_FILES},
        "compile": compiled,
        "compile.mode": compiled,
        "compile.io": compiled,
        "compile.ops": compiled,
        "compile.builders": compiled,
        "compile.sharedvalue": compiled,
        "compile.function_module": compiled,
        "compile.function": compiled,
        "compile.function.types": compiled,
        "compile.function.pfunc": compiled,
        **{f"compile.{name}mode": compiled for name in ("debug", "nanguard", "monitor", "profile")},
        "compile.pfunc": compiled,
        "printing": shown,
        "raise_op": checks,
        "ifelse": branch,
        "scan": loops,
        **{f"scan.{name}": {**loops, "Scan": ops["Scan"]} for name in ("basic", "utils", "views", "checkpoints", "op")},
        "scan_module": loops,
        **{
            f"scan_module.{name}": {**loops, "Scan": ops["Scan"]}
            for name in ("scan", "scan_utils", "scan_views", "scan_op")
        },
        "scalar": numbers,
        "scalar.basic": numbers,
        "scalar.basic_scipy": numbers,
        "scalar.math": numbers,
        "updates": {"OrderedUpdates": OrderedUpdates},
        "sandbox": {},
        "sandbox.rng_mrg": streams,
        "sandbox.neighbours": nnet,
        "sandbox.softsign": nnet,
        "tensor.shared_randomstreams": streams,
        "misc": {},
        "misc.pkl_utils": _pickles(),
        "misc.ordered_set": {"OrderedSet": dict.fromkeys},
        "misc.strutil": {},
        "tests.unittest_tools": {
            "verify_grad": gradient["verify_grad"],
            "assert_allclose": np.testing.assert_allclose,
            "seed_rng": lambda seed=None: seed or library.flags.unittests__rseed,
            "fetch_seed": lambda seed=None: seed or library.flags.unittests__rseed,
        },
        "compat": _python(),
        "compat.python2x": _python(),
        "compat.six": _python(),
        "d3viz": {"d3viz": printing.pydotprint},
        "breakpoint": {"PdbBreakpoint": stubs.Unavailable},
        "utils": {},
        "version": {"version": library.version, "full_version": library.version, "short_version": library.version},
    }
    found.update({f"sandbox.{name}": found["tensor.nlinalg"] for name in ("linalg", "linalg.ops", "solve")})
    found[""][library.name] = sys.modules[library.path]
    for path in sorted(stubs.PATHS):
        if path.removeprefix("sandbox.").startswith(("cuda", "gpuarray")):
            found[path] = gpu.names()
        if path in ("sparse", "sparse.basic", "sparse.math", "sparse.variable"):
            found[path] = sparse.names()
        if path not in found:
            for depth in range(1, path.count(".") + 1):
                found.setdefault(".".join(path.split(".")[:depth]), {})
            found.setdefault(path, {})
    return dict(sorted(found.items(), key=lambda item: item[0].count(".") + bool(item[0])))


def _classes(library: Library) -> Names:
    """Return the classes that programs subclass or test with ``isinstance``."""
    kinds = library.classes
    return {
        "Variable": library.variable,
        "TensorVariable": kinds[Variable],
        "Constant": kinds[Constant],
        "TensorConstant": kinds[Constant],
        "SharedVariable": kinds[SharedVariable],
        "TensorSharedVariable": kinds[SharedVariable],
        "ScalarSharedVariable": kinds[SharedVariable],
        "_tensor_py_operators": variables.PeerMethods,
        "TensorType": library.type,
        "Tensor": library.type,
        "DenseTensorType": library.type,
        "Type": library.type,
        "NullType": stubs.Unavailable,
        "Generic": stubs.Unavailable,
        "MethodNotDefined": NotImplementedError,
        "NoParams": None,
    }


def _functions(module: ModuleType) -> Names:
    """Return the public functions that a module defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if name[0] != "_" and inspect.isfunction(value) and value.__module__.startswith("loopjax.compat")
    }


def _tensor(library: Library, classes: Names) -> Names:
    """Return the names of the library's ``tensor``."""
    core = {name: getattr(tensor, name) for name in vars(tensor)["__all__"]}
    core.update({name: getattr(tensor.linalg, name) for name in tensor.linalg.__all__ if name not in core})
    own = {
        **_functions(tensors),
        **special.names(),
        **linear_algebra.names(),
        **arrays.names(),
        **_functions(kinks),
        **_functions(reductions),
    }
    own.update({name: tensors.nary(core[name]) for name in ("add", "mul", "and_", "or_", "xor", "bitwise_and")})
    own.update(
        constant=tensors.constant_of,
        as_tensor=tensors.as_tensor_variable,
        as_variable=tensors.as_tensor_variable,
        abs_=kinks.abs,
        absolute=kinks.abs,
        amax=kinks.max,
        amin=kinks.min,
        power=tensor.pow,
        tensor=library.recording(tensor_of(library)),
        Rebroadcast=tensors.Rebroadcast,
        Assert=tensors.Assert,
        TensorConstantSignature=stubs.Unavailable,
        **op_kinds.kinds({**core, **own}, library.recording, library.class_recording(custom_ops.ElemwiseOp)),
        Split=stubs.Unavailable,
        shared=functions.make_shared,
        get_scalar_constant_value=graphs.get_scalar_constant_value,
        get_underlying_scalar_constant_value=graphs.get_scalar_constant_value,
        extract_constant=graphs.extract_constant,
        NotScalarConstantError=graphs.NotScalarConstantError,
        EmptyConstantError=graphs.NotScalarConstantError,
        ShapeError=errors.LoopJaxError,
        Op=custom_ops.Op,
        Apply=custom_ops.Apply,
        np=np,
        numpy=np,
        config=library.flags,
        scal=types.SimpleNamespace(upcast=tensors.upcast),
        discrete_dtypes=tuple(_DISCRETE),
        integer_dtypes=tuple(_DISCRETE),
        int_dtypes=tuple(dtype for dtype in _DISCRETE if dtype.startswith("int")),
        uint_dtypes=tuple(dtype for dtype in _DISCRETE if dtype.startswith("uint")),
        float_dtypes=("float16", "float32", "float64"),
        complex_dtypes=("complex64", "complex128"),
        continuous_dtypes=("float16", "float32", "float64", "complex64", "complex128"),
        all_dtypes=(*_DISCRETE, "float16", "float32", "float64", "complex64", "complex128"),
        e=np.e,
        pi=np.pi,
        inf=np.inf,
    )
    made = {**core, **own, **constructors(library), **classes}
    gradient = _functions(gradients)
    made.update({name: gradient[name] for name in gradient if name in core or name in ("grad", "verify_grad")})
    return made


_DISCRETE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _compiled(classes: Names) -> Names:
    """Return the names of ``compile``."""
    return {
        "function": functions.function,
        "pfunc": functions.function,
        "Function": functions.Function,
        "In": functions.In,
        "Param": functions.In,
        "SymbolicInput": functions.In,
        "Out": Out,
        "SymbolicOutput": Out,
        "shared": functions.make_shared,
        "SharedVariable": classes["SharedVariable"],
        "UnusedInputError": errors.UnusedInputError,
        "MissingInputError": errors.MissingInputError,
        "OpFromGraph": custom_ops.OpFromGraph,
        "as_op": custom_ops.as_op,
        "wrap_py": custom_ops.wrap_py,
        "FromFunctionOp": custom_ops.Op,
        "ViewOp": custom_ops.ViewOp,
        "DeepCopyOp": stubs.Unavailable,
        "FunctionMaker": stubs.Unavailable,
        "ProfileStats": stubs.Unavailable,
        "Mode": modes.Mode,
        "DebugMode": modes.DebugMode,
        "NanGuardMode": modes.NanGuardMode,
        "MonitorMode": modes.MonitorMode,
        "ProfileMode": modes.ProfileMode,
        "FAST_RUN": modes.Mode(),
        "FAST_COMPILE": modes.Mode(optimizer=None)._with(modes.core_mode("FAST_COMPILE")),
        "JAX": modes.Mode(),
        "NUMBA": modes.Mode(),
        "get_mode": modes.get_mode,
        "get_default_mode": modes.get_mode,
        "register_mode": _accept,
        "register_linker": _accept,
        "register_optimizer": _accept,
        "optdb": types.SimpleNamespace(register=_accept, query=_accept),
        "predefined_modes": {name: modes.Mode() for name in modes.NAMES},
        "predefined_linkers": {},
        "predefined_optimizers": {},
        "clone_replace": graphs.clone,
        "rebuild_collect_shared": stubs.Unavailable,
    }


def _accept(*args: Any, **options: Any) -> None:
    """Accepted for old programs, without effect."""


def _bitwidth() -> int:
    """Return the number of bits of a pointer."""
    return 64


_SAME_OUT = ("same_out", "same_out_nocomplex", "same_out_nobool", "same_out_min8", "upcast_out", "upcast_out_nobool")


def _scalars(library: Library, ops: Names) -> Names:
    """Return the names of ``scalar``: types without axes, ``upcast``, and the elementwise functions of ``tensor``."""
    dtypes = (*_DISCRETE, "float16", "float32", "float64", "complex64", "complex128", "bool")
    return {
        **ops,
        **{dtype: library.type(dtype, ()) for dtype in dtypes},
        "upcast": tensors.upcast,
        "Scalar": library.type,
        "ScalarType": library.type,
        **dict.fromkeys(("ScalarOp", "UnaryScalarOp", "BinaryScalarOp"), custom_ops.ScalarOp),
        **dict.fromkeys(("upgrade_to_float", "upgrade_to_float_no_complex"), custom_ops.upgrade_to_float),
        **dict.fromkeys(_SAME_OUT, custom_ops.same_out),
        "Composite": stubs.Unavailable,
        "float_types": ("float16", "float32", "float64"),
        "as_scalar": tensors.as_tensor_variable,
    }


def _pickles() -> Names:
    """Return the names of ``misc.pkl_utils``."""

    def dump(value: Any, file: Any, protocol: int = pickle.DEFAULT_PROTOCOL, **options: Any) -> None:
        """Pickle a value to an open file."""
        pickle.dump(value, file, protocol)

    def load(file: Any, **options: Any) -> Any:
        """Read a pickled value from an open file."""
        return pickle.load(file)

    return {"dump": dump, "load": load, "Pickler": pickle.Pickler, "StripPickler": pickle.Pickler}


def _python() -> Names:
    """Return the names of ``compat``, Theano's bridge of Python 2 and 3."""
    import builtins
    import functools
    import io
    import operator
    import urllib

    return {
        "PY3": True,
        "izip": zip,
        "imap": map,
        "ifilter": filter,
        "cmp": lambda a, b: (a > b) - (a < b),
        "all": all,
        "any": any,
        "partial": functools.partial,
        "OrderedDict": collections.OrderedDict,
        "defaultdict": collections.defaultdict,
        "Callable": collections.abc.Callable,
        "DictMixin": collections.abc.MutableMapping,
        "operator_div": operator.truediv,
        "get_unbound_function": lambda method: method,
        "decode": lambda value: value,
        "decode_iter": iter,
        "decode_with": lambda value, encoding: value.decode(encoding),
        "exc_message": lambda error: error.args[0] if error.args else "",
        "reduce": functools.reduce,
        "next": next,
        "cPickle": pickle,
        "cStringIO": io.StringIO,
        "xrange": range,
        "maxsize": sys.maxsize,
        "string_types": (str,),
        "integer_types": (int,),
        "StringIO": io.StringIO,
        "BytesIO": io.BytesIO,
        "iteritems": lambda mapping: iter(mapping.items()),
        "itervalues": lambda mapping: iter(mapping.values()),
        "urllib": urllib,
        "builtins": builtins,
    }


def _asarray(a: Any, dtype: Any, order: Any = None) -> np.ndarray[Any, Any]:
    """Return an array of exactly a dtype; ``"floatX"`` is that of the library."""
    from loopjax.ir.types import dtype_name

    return np.asarray(a, dtype_name(dtype), order)
