"""Wrong uses by a generator: one wrong value in the place of each argument of a right call of each public function.

``python -m tests.wrong_uses`` puts every one of ``VALUES`` into every parameter, in a few minutes, and prints what is
neither refused by an error of LoopJAX nor in ``ACCEPTED``, the table of what is right to accept, and messages without
one of five parts: the user's line, the argument, what is expected, what came, and what to write instead.
``tests/test_wrong_uses.py`` makes a part of the uses.
"""

import argparse
import contextlib
import inspect
import io
import re
import tempfile
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax import config, shared
from loopjax.error_codes import code_of
from loopjax.errors import LoopJaxError
from loopjax.random import RandomStream

EXPECTED = re.compile(
    r"expected|is one of|is a string|that it is called with|is (only )?('\w+'|\d)(, ('\w+'|\d|None))*( or |, not)|"
    r"only float|takes|symbolic|needs|is two positive ints|holds (integers|variables)|may (return|be)|"
    r"(inputs|settings|keys) are|known are|must be|are keyed by|has string keys|is not used|starts as|outside of jit|"
    r"is an? (int|integer|list|variable|vector|dict|scalar|Mode|function|number|set)|not among the inputs"
)
"""What a message says is expected."""

REMEDY = re.compile(
    r"\b(write|pass|[Cc]ast|[Gg]ive|use|make|reduce|return|add|remove|call|declare|leave|evaluate|set|create|fill|look|"
    r"convert|take|[Ss]tart|did you mean|reshape|draw|list each|replace|loop over)\b|one parameter for each|"
    r"it may return|is one of|is (only )?('\w+'|\d)(, ('\w+'|\d|None))*( or |, not)|known are|"
    r"(inputs|settings|distributions|rewrites) are|"
    r"expected (\d|-\d|sizes|values|probabilities|at least|at most|low|left|nsample|a number|another|each once|one of)"
)
"""What a message says to write instead: an imperative, or a choice or range to pick from."""

FOREIGN = re.compile(
    r"XLA|mlir|jaxlib|RESOURCE|Tracer|abstract array|ufunc|inhomogeneous|NoneType'|'\w+' object|has no len|unhashable|"
    r"__\w+__\(\)|unpack|not supported between|DynamicJaxpr|/loopjax/|only 0-dimensional|could not convert|"
    r"truth value of an|argument must be|can only be converted|JAX value|bad operand|unsupported operand"
)
"""Words of other layers: Python's operators, NumPy, JAX and XLA."""

SOURCES = re.compile(r" \[\w+\.py:[^\]]*\]")
"""The user's lines in a message."""


def mentions(text: str, part: str) -> bool:
    """True where a text has a part as whole words, apart from its lines of the program."""
    left, right = r"(?<!\w)" * part[0].isalnum(), r"(?!\w)" * part[-1].isalnum()
    return bool(re.search(left + re.escape(part) + right, SOURCES.sub("", text)))


x, y, z = at.dmatrix("x"), at.dmatrix("y"), at.dscalar("z")
v, n, i, c = at.dvector("v"), at.lscalar("n"), at.lvector("i"), at.ltensor3("c")
square, images = at.tensor("float64", shape=(3, 3), name="square"), at.dtensor4("images")
w, k = shared(np.ones(3), name="w"), shared(0, name="k")


def step(a, b=None):
    """Right as a step of one sequence; wrong as nearly anything else."""
    return a * 2


def added(a, b):
    return a + b


def ones():
    yield 1.0


class Duck:
    """An object with the attributes of an array, and no values."""

    shape, dtype, ndim = (2,), "float64", 1


VALUES: dict[str, Any] = {
    "a string": "a",
    "an empty string": "",
    "a flag as a string": "no",
    "bytes": b"a",
    "None": None,
    "True": True,
    "0": 0,
    "-7": -7,
    "99": 99,
    "2**62": 2**62,
    "2**70": 2**70,
    "2.5": 2.5,
    "nan": float("nan"),
    "-inf": float("-inf"),
    "1j": 1j,
    "a set": {1},
    "a dict": {"a": 1},
    "an empty list": [],
    "a ragged list": [[1.0], [2.0, 3.0]],
    "a list with None": [[x], [None]],
    "negative sizes": [-2, -3],
    "a fractional size": [2.5],
    "a range": range(3),
    "a generator": ones,
    "an iterator": iter([1, 2]),
    "an object": object(),
    "a class": int,
    "a function": step,
    "a module": jax,
    "a duck": Duck(),
    "an exception": ValueError("a"),
    "a slice": slice(0, 1),
    "...": ...,
    "a masked array": np.ma.masked_array([1.0, 2.0], mask=[0, 1]),
    "a structured array": np.zeros(2, dtype=[("a", "f8")]),
    "an array of longdouble": np.ones(2, np.longdouble),
    "an array of objects": np.array([1, None], dtype=object),
    "an array of strings": np.array(["a", "b"]),
    "a date": np.datetime64("2020-01-01"),
    "an array of nan": np.array([np.nan, 1.0]),
    "an array of six axes": np.ones((1, 1, 1, 1, 1, 1)),
    "a scalar": at.dscalar("s"),
    "integers": at.lvector("l"),
    "booleans": at.tensor("bool", shape=(None, None), name="mask"),
    "complex numbers": at.zvector("zv"),
    "five axes": at.dtensor5("t"),
    "a shared variable": w,
}
"""Values of wrong kinds, sizes, ranks and dtypes, by what they are."""

MADE = {"a generator": ones, "an iterator": lambda: iter([1, 2])}
"""Values that can be read once: made anew for each use."""


@dataclass(frozen=True)
class Call:
    """A right call: a function and its arguments by name, those of ``*args`` as a list."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        every = inspect.signature(self.function).parameters
        return {name: one for name, one in every.items() if one.kind is not one.VAR_KEYWORD}

    def with_value(self, parameter: str, value: Any) -> Any:
        """Call the function with another value of one argument; of ``*args``, that of the first."""
        if self.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
            value = [value, *self.arguments.get(parameter, [])[1:]]
        return self(**{**self.arguments, parameter: value})

    def __call__(self, **given: Any) -> Any:
        args: list[Any] = []
        kwargs = {}
        for name, parameter in self.parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                args += given.get(name, [])
            elif name in given and (
                parameter.kind is parameter.KEYWORD_ONLY or kwargs or len(args) < self._place(name)
            ):
                kwargs[name] = given[name]
            elif name in given:
                args.append(given[name])
        with contextlib.redirect_stdout(io.StringIO()):
            return self.function(*args, **kwargs)

    def _place(self, name: str) -> int:
        return list(self.parameters).index(name)


doubled = loopjax.scan(lambda v_t: 2 * v_t, v)[0]
saved = Path(tempfile.mkdtemp()) / "doubled.npz"
loopjax.function([v], doubled).export(saved, [np.ones(2)])

REQUIRED: dict[str, Any] = {
    "M": square, "a": square, "axis": 0, "axis1": 0, "axis2": 1, "b": square, "broadcastable": (True, False), "c": 1.0,
    "coding_dist": x, "colors": [3, 4], "condition": x > 0, "cost": (v**2).sum(), "cov": np.eye(2), "destination": 1,
    "df": 2.0, "dfden": 3.0, "dfnum": 2.0, "dims": (2, 3), "distribution": "normal", "dtype": "float64",
    "eval_points": v, "expression": v**2, "f": v**2, "fill_value": 1.0, "filters": images, "fn": step,
    "function": loopjax.function([x], x * 2), "indices": i,
    "input": images, "kappa": 1.0, "left": 0.0, "lengths": i, "low": 3, "lower_bound": -1.0, "max": 1.0, "mean": 1.0,
    "min": 0.0, "mode": 0.5, "mu": 0.0, "multi_index": [i, i], "multiplier": 2.0, "n": 3, "nb_class": 3, "nbad": 3,
    "newshape": [(-1,)], "ngood": 3, "nonc": 1.0, "nsample": 2, "output": x, "outputs_info": 1.0, "p": 0.5,
    "part": v[0:1], "pattern": [1, 0], "repeats": 2, "reps": (2, 2), "right": 1.0, "sequences": v, "shape": (2, 3),
    "shift": 1, "source": 0, "splits_size": [1, 1], "start": 1, "stop": 2, "target": x, "tensors": [x, x],
    "true_dist": x, "upper_bound": 1.0, "v": v, "val": 1.0, "value": 1.0, "variable": x, "what": x, "wrt": v, "x": x,
    "y": x,
}  # fmt: skip
"""Right values of required parameters, by name."""

OTHERS: dict[str, dict[str, Any]] = {
    "at.addbroadcast": {"x": at.ones((1, 3)), "axes": [0]}, "at.alloc": {"shape": [2, 3]}, "at.alloc_diag": {"x": v},
    "at.and_": {"x": i, "y": i}, "at.batched_dot": {"x": c, "y": c}, "at.bincount": {"x": i},
    "at.bitwise_and": {"x": i, "y": i}, "at.bitwise_not": {"x": i}, "at.bitwise_or": {"x": i, "y": i},
    "at.bitwise_xor": {"x": i, "y": i}, "at.broadcast_to": {"x": v}, "at.compress": {"condition": v > 0, "x": v},
    "at.diag": {"x": v}, "at.invert": {"x": i}, "at.left_shift": {"x": i, "y": i}, "at.outer": {"x": v, "y": v},
    "at.patternbroadcast": {"x": at.ones((1, 3))}, "at.repeat": {"x": v}, "at.right_shift": {"x": i, "y": i},
    "at.roll": {"x": v}, "at.searchsorted": {"x": v}, "at.split": {"n_splits": 2}, "at.squeeze": {"x": at.ones((1, 3))},
    "at.stack": {"tensors": [[x, x]]}, "at.tensordot": {"axes": 1}, "at.to_one_hot": {"y": i},
    "at.transpose": {"axes": [1, 0]}, "at.unbroadcast": {"axes": [0]}, "at.xor": {"x": i, "y": i},
    "linalg.cho_solve": {"c_and_lower": (square, True)}, "linalg.matrix_dot": {"args": [square, square]},
    "loopjax.associative_scan": {"fn": at.add, "elems": v},
    "loopjax.foldl": {"fn": added}, "loopjax.foldr": {"fn": added},
    "loopjax.function": {"inputs": [x], "outputs": x * 2}, "loopjax.reduce": {"fn": added},
    "at.ifelse": {"condition": z > 0, "then_branch": x, "else_branch": x}, "loopjax.load": {"path": saved},
    "loopjax.scan": {"sequences": v},
    "loopjax.scan_checkpoints": {"fn": added, "sequences": v, "outputs_info": z},
    "loopjax.stepper": {"outputs": doubled},
    "loopjax.to_jax": {"inputs": [x], "outputs": x * 2}, "loopjax.until": {"condition": z > 0},
    "loopjax.verify_grad": {"fun": lambda a: a**2, "pt": [np.ones(2)]}, "loopjax.wrap_jax": {"fn": jax.numpy.tanh},
    "nnet.softmax_with_bias": {"b": v}, "rs.beta": {"a": 1.0, "b": 1.0}, "rs.betabinom": {"a": 1.0, "b": 1.0},
    "rs.categorical": {"p": [0.5, 0.5]}, "rs.choice": {"a": 3}, "rs.dirichlet": {"alpha": [1.0, 1.0]},
    "rs.gamma": {"shape": 1.0}, "rs.gen": {"args": [0.0, 1.0]}, "rs.gengamma": {"alpha": 1.0, "p": 1.0, "lambd": 1.0},
    "rs.invgamma": {"shape": 1.0}, "rs.multinomial": {"p": [0.5, 0.5]},
    "rs.multivariate_normal": {"mean": [0.0, 1.0]},
    "rs.pareto": {"b": 1.0}, "rs.permutation": {"x": 3}, "rs.standard_gamma": {"shape": 1.0},
    "rs.truncexpon": {"b": 1.0}, "rs.weibull": {"a": 1.0},
}  # fmt: skip
"""Arguments of functions that need others than ``REQUIRED``."""

NAMESPACES = {"at": at, "linalg": at.linalg, "nnet": at.nnet, "loopjax": loopjax, "rs": RandomStream(3)}

LEFT_OUT = {
    "at.Constant": "a class of graphs: users call constant",
    "at.TensorType": "a class of graphs: users call tensor",
    "at.Variable": "a class of graphs: users call tensor",
    "loopjax.Function": "made by function",
}
"""Public names that no user calls, and why."""


def calls() -> Iterator[Call]:
    """A right call of each public function; of constructors, those of two dtypes."""
    seen: set[int] = set()
    for prefix, namespace in NAMESPACES.items():
        for name in getattr(namespace, "__all__", None) or [one for one in dir(namespace) if one[0] != "_"]:
            function, full = getattr(namespace, name), f"{prefix}.{name}"
            constructed = name in at.CONSTRUCTORS and name[0] not in "di"
            if isinstance(function, types.ModuleType) or not callable(function) or full in LEFT_OUT or constructed:
                continue
            if prefix == "rs" or id(function) not in seen:
                seen.add(id(function))
                yield Call(full, function, _arguments(full, function))


def _arguments(full: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Right values of the parameters that need one."""
    others = OTHERS.get(full, {})
    parameters = inspect.signature(function).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.name in REQUIRED]
    return {name: REQUIRED[name] for name in needed if name not in others} | others


NUMBERS = {"True", "0", "-7", "99", "2**62", "2.5", "nan", "-inf", "1j"}
ARRAYS = {"an empty list", "negative sizes", "a fractional size", "an array of nan", "an array of six axes"}
VARIABLES = {"a scalar", "integers", "booleans", "complex numbers", "five axes", "a shared variable"}
SIZES = {"0", "99", "2**62"}
EVERY = set(VALUES)


@dataclass(frozen=True)
class Accepted:
    """Values that are right to accept, for parameters of these names or annotations, and why."""

    parameters: str
    values: set[str]
    reason: str

    def covers(self, call: Call, parameter: inspect.Parameter, label: str) -> bool:
        described = f"{call.name} {parameter.name}: {parameter.annotation} = {parameter.default}"
        return label in self.values and re.search(self.parameters, described) is not None


ACCEPTED = [
    Accepted(r"= None$", {"None"}, "the default"),
    Accepted(r" (then_branch|else_branch): ", NUMBERS | ARRAYS | VARIABLES, "a value: any number or array"),
    Accepted(
        r"loopjax.(function|to_jax|stepper) (inputs|outputs): ", {"a list with None"}, "a pytree, where None is no leaf"
    ),
    Accepted(r"loopjax.associative_scan elems: ", ARRAYS | VARIABLES, "any array, or pytree"),
    Accepted(r"loopjax.stepper parameters: ", VARIABLES, "one variable, for a list of it"),
    Accepted(
        r" (x|y|a|b|M|more|args|value|fill_value|val|min|max|v|weights|condition|target|output|alpha|tensors): .*Any",
        NUMBERS | ARRAYS | VARIABLES,
        "an operand: any number or array",
    ),
    Accepted(r": (TensorLike|LoopArgument)", NUMBERS | ARRAYS | VARIABLES, "an operand: any number or array"),
    Accepted(r": LoopArgument", {"a range", "a ragged list", "None"}, "a range is an array, a list holds several"),
    Accepted(r": bool", {"True", "0"}, "0 and 1 are flags of old programs"),
    Accepted(
        r" (axis|axis1|axis2|axes|source|destination|pattern): ", {"0", "an empty list", "negative sizes"}, "axes"
    ),
    Accepted(r"(shape_padaxis|expand_dims|squeeze) axis", {"None"}, "no axis is new, or every axis of size 1 goes"),
    Accepted(
        r" (dtype|acc_dtype|first): ", {"a class", "a flag as a string", "None"}, "int is a dtype; names come first"
    ),
    Accepted(r" (name|names): ", {"a string", "an empty string", "a flag as a string"}, "a name"),
    Accepted(r" names: ", {"0", "99", "an empty list"}, "a number of variables without names, or none"),
    Accepted(r": (Size|StepCount)| (shape|size|newshape|reps|dims): ", SIZES | {"an empty list"}, "sizes and lengths"),
    Accepted(r" shape: ", {"None", "an array of objects"}, "sizes that are not known"),
    Accepted(
        r" (k|offset|n|ddof|seed|num_groups|n_tests|n_ones|ndim|unroll|checkpoint|truncate_gradient): ",
        {"-7", "0", "99"},
        "ints",
    ),
    Accepted(r": float", NUMBERS | {"2**70"}, "a float"),
    Accepted(r"(subsample|filter_dilation|border_mode|nb_class|minlength|save_every_N|n_splits): ", SIZES, "sizes"),
    Accepted(r" (fn|fun): ", {"a function", "a class"}, "callable with these arguments"),
    Accepted(r" checkpoint: ", {"a function", "2**62", "2**70"}, "a policy of JAX, or steps"),
    Accepted(r" progress: ", {"a string", "an empty string", "a flag as a string"}, "the label of the bar"),
    Accepted(
        r" (updates|givens|replace|known_grads|wrt|f|consider_constant|no_default_updates|output|what|without"
        r"|broadcastable): ",
        {"an empty list"},
        "none",
    ),
    Accepted(
        r" (consider_constant|output|variable|what|pt): ", VARIABLES | {"a fractional size"}, "variables and values"
    ),
    Accepted(r"(In value|Out variable): ", EVERY, "function reads them, and refuses there"),
    Accepted(r" (mode|profile|allow_gc|out_type): Any", EVERY, "accepted for old programs and not read"),
    Accepted(r" tensors: ", {"a ragged list"}, "vectors of two lengths"),
    Accepted(r" (num|m|n|repeats|shift|nb_class): ", SIZES, "sizes"),
    Accepted(r"arange (start|stop|step): ", NUMBERS | {"a scalar"}, "numbers"),
    Accepted(r"linspace (start|stop): ", NUMBERS | VARIABLES | ARRAYS, "numbers, or arrays that broadcast"),
    Accepted(
        r"(take|unravel_index) indices: | (splits_size|true_dist|eval_points): ", {*NUMBERS, "integers"}, "integers"
    ),
    Accepted(r" eval_points: ", {"an array of nan", "a shared variable", *ARRAYS}, "vectors"),
    Accepted(r" (coding_dist|true_dist): ", {"booleans"}, "matrices"),
    Accepted(r" sorter: ", {"negative sizes", "integers"}, "positions, also from the end"),
    Accepted(r": Axis|clip (min|max)", {"None"}, "all axes; no bound"),
    Accepted(r"(sort axis|constant value): ", {"None", "a range"}, "all axes; integers"),
    Accepted(r" (dims|shape|lengths): ", {"integers"}, "a vector of sizes"),
    Accepted(
        r" (indices|shift|true_dist): ", {"negative sizes", "an empty list", "-7"}, "positions, also from the end"
    ),
    Accepted(r"(matrix_power n|shared value): ", {"2**70", "a range"}, "a power by squaring; integers"),
    Accepted(r"conv2d (input|filter|image)_shape: ", {"an empty list"}, "hints of old programs, not read"),
    Accepted(r"Packed lengths|until condition", {"a range"}, "integers"),
    Accepted(r"take indices", {"2**70"}, "an index out of bounds, an error of the call"),
    Accepted(r" trans: ", {"0"}, "one of its choices"),
    Accepted(r" ord: ", {"None", "-inf", "0", "99", "2.5"}, "orders of norms"),
    Accepted(r" (reassociate|tune|loop_kernels|linker): ", {"None"}, "the default"),
]


def is_accepted(call: Call, parameter: inspect.Parameter, label: str) -> bool:
    """True where the table says that the value is right."""
    return any(row.covers(call, parameter, label) for row in ACCEPTED)


def state() -> tuple[Any, ...]:
    """All that a wrong use could change."""
    settings = (config.floatX, config.lengths, config.verify, config.cache, config.mode, config.poison)
    return (w.get_value().tolist(), int(k.get_value()), settings, jax.config.jax_enable_x64)


@dataclass(frozen=True)
class Outcome:
    """A use and what became of it: the error, or the value that was accepted."""

    use: str
    parameter: str
    value: Any
    error: BaseException | None
    made: Any
    accepted: bool
    changed: bool

    @property
    def fault(self) -> str | None:
        """The fault of the outcome, if there is one."""
        if self.changed:
            return "changed state"
        if self.error is None:
            return None if self.accepted else "silent"
        text = str(self.error)
        if not isinstance(
            self.error, (TypeError, ValueError, IndexError, OverflowError, FileNotFoundError, LoopJaxError)
        ):
            return "internal"
        if FOREIGN.search(text.replace(f"{self.value!r:.80}", "")):
            return "another layer's words"
        if code_of(self.error) is None and not isinstance(self.error, FileNotFoundError):
            return "no code"
        if self.error.__cause__ is not None or not (self.error.__suppress_context__ or self.error.__context__ is None):
            return "two tracebacks"
        return None

    @property
    def missing(self) -> list[str]:
        """The parts that the message does not have."""
        text = str(self.error)
        value = self.value
        shown = [
            repr(value)[:20].strip(),
            str(value)[:20].strip(),
            type(value).__name__,
            str(getattr(value, "type", "")),
        ]
        with contextlib.suppress(Exception):
            shown.append(repr(value[0])[:20])
        with contextlib.suppress(Exception):
            array = at.as_variable(value)
            shown += [str(array.type), array.dtype, str(array.type.shape), f"{array.ndim} dimensions"]
        parts = {
            "line": "wrong_uses.py:" in text,
            "argument": any(mentions(text, name) for name in (self.parameter, *SYNONYMS.get(self.parameter, ()))),
            "actual": any(part in text for part in shown if part),
            "expected": EXPECTED.search(text) is not None,
            "remedy": REMEDY.search(text) is not None,
        }
        return [part for part, there in parts.items() if not there]


OPERAND = ("operands", "array", "arrays", "shapes", "matrix", "matrices", "vector", "vectors", "tensors")
SYNONYMS = {
    **dict.fromkeys(("axes", "axis1", "axis2", "pattern", "source", "destination"), ("axis",)),
    **dict.fromkeys(("x", "y", "a", "b", "M", "more", "args"), OPERAND),
    "val": ("value",),
    "indices": ("index", "key"),
    "value": ("fill_value",),
    "acc_dtype": ("dtype",),
    "first": ("dtype",),
    "f": ("cost",),
    "fill_value": ("value",),
}
"""Other words by which messages name a parameter: an operand by what it is."""


def outcomes(every: int = 1) -> Iterator[Outcome]:
    """The outcome of each use, or of one in ``every``: other values at each parameter."""
    number = 0
    before = state()
    for call in calls():
        for parameter in call.parameters.values():
            for label, value in VALUES.items():
                number += 1
                if number % every:
                    continue
                value, error, made = MADE[label]() if label in MADE else value, None, None
                try:
                    made = call.with_value(parameter.name, value)
                except Exception as raised:
                    error = raised
                changed = state() != before
                accepted = is_accepted(call, parameter, label)
                yield Outcome(
                    f"{call.name}({parameter.name}={label})", parameter.name, value, error, made, accepted, changed
                )


def main() -> None:
    """Print what is wrong, and counts."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--every", type=int, default=1, help="make one use in so many")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    faults: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for outcome in outcomes(options.every):
        fault = outcome.fault
        faults[fault or ("accepted" if outcome.error is None else "refused")] += 1
        if outcome.error is not None and fault is None:
            missing = outcome.missing
            parts[", ".join(missing) or "none"] += 1
            fault = f"without {', '.join(missing)}" if missing else None
        if fault:
            print(f"{fault}: {outcome.use}: {type(outcome.error).__name__} {str(outcome.error)[:200]!r}")
    print(dict(faults), "missing parts:", dict(parts))


if __name__ == "__main__":
    main()
