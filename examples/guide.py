"""The programs of the guide to scan, each run on data and compared with plain Python or NumPy.

``python -m loopjax`` runs this file, which prints them. Each program is written as the guide writes it, so it also
shows how to use the library.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.errors import MissingInputError
from loopjax.ir.graph import Variable


class Value(NamedTuple):
    """One value of a program: computed, expected, and the tolerance of each element (a number or an array)."""

    label: str
    computed: Any
    expected: Any
    within: Any = 0.0

    @property
    def ok(self) -> bool:
        """True if both have the same shape and no element differs by more than the tolerance; NaN is never right."""
        computed, expected = np.asarray(self.computed), np.asarray(self.expected)
        if computed.shape != expected.shape:
            return False
        if computed.dtype.kind in "US" or expected.dtype.kind in "US":
            return bool(np.array_equal(computed, expected))
        difference = np.abs(computed.astype(np.float64) - expected.astype(np.float64))
        return bool(np.all(difference <= self.within))


@dataclass(frozen=True)
class Result:
    """The values that a program computed, beside the expected ones.

    ``functions`` are the compiled functions that it called, for ``loopjax.explain``. ``first`` and ``later`` are the
    seconds of the first and the second call of the first function; the first call compiles.
    """

    name: str
    values: tuple[Value, ...]
    functions: tuple[loopjax.Function, ...]
    first: float
    later: float

    @property
    def computed(self) -> dict[str, Any]:
        """The computed values by label."""
        return {value.label: value.computed for value in self.values}

    @property
    def expected(self) -> dict[str, Any]:
        """The expected values by label."""
        return {value.label: value.expected for value in self.values}

    @property
    def ok(self) -> bool:
        """True if every value is right."""
        return all(value.ok for value in self.values)


@dataclass(frozen=True)
class Program:
    """A program of the guide: its name, what it shows, and a function that builds and runs it."""

    name: str
    title: str
    run: Callable[[], Result]


class _Timed:
    """A compiled function whose calls wait for their results and are timed."""

    def __init__(self, function: loopjax.Function) -> None:
        self.function = function
        self.seconds: list[float] = []

    def __call__(self, *args: Any) -> Any:
        start = time.perf_counter()
        result = jax.block_until_ready(self.function(*args))
        self.seconds.append(time.perf_counter() - start)
        return result

    def twice(self, *args: Any) -> Any:
        """Call the function twice with equal arguments; return the second result."""
        self(*args)
        return self(*args)


def _timed(inputs: list[Variable], outputs: Any, name: str, updates: Any = None) -> _Timed:
    """``loopjax.function``, timed. The first function that a program makes has the program's name."""
    return _Timed(loopjax.function(inputs, outputs, updates=updates, name=name))


def _result(values: list[Value], timed: _Timed, *others: _Timed) -> Result:
    functions = tuple(one.function for one in (timed, *others))
    return Result(timed.function.name, tuple(values), functions, timed.seconds[0], timed.seconds[1])


# -- Loops over a number of steps, over sequences, and into a scalar


def power() -> Result:
    """``A**k`` for every element: ``k`` is an input, and only the last of the powers is kept."""
    k = at.iscalar("k")
    A = at.vector("A")

    powers, updates = loopjax.scan(
        fn=lambda so_far, factor: so_far * factor, outputs_info=at.ones_like(A), non_sequences=A, n_steps=k
    )
    timed = _timed([A, k], powers[-1], "power", updates)

    bases = np.arange(10, dtype=np.float32)
    values = [Value(f"k={n}", timed(bases, n), [base**n for base in range(10)]) for n in (2, 4)]
    return _result(values, timed)


def polynomial() -> Result:
    """A polynomial from its coefficients: two sequences, the shorter decides, and a sum over terms."""
    coefficients = at.vector("coefficients")
    x = at.scalar("x")
    exponents = at.arange(10_000)

    terms, _ = loopjax.scan(
        fn=lambda coefficient, exponent, at_x: coefficient * at_x**exponent,
        outputs_info=None,
        sequences=[coefficients, exponents],
        non_sequences=x,
    )
    timed = _timed([coefficients, x], terms.sum(), "polynomial")

    given = [1, 0, 2]
    expected = sum(coefficient * 3**exponent for exponent, coefficient in enumerate(given))
    array = np.asarray(given, np.float32)
    return _result([Value("at 3", timed.twice(array, 3), expected)], timed)


def triangular() -> Result:
    """Triangular numbers: a state that starts as a scalar of exactly the dtype that a step returns."""
    up_to = at.iscalar("up_to")
    numbers = at.arange(up_to)

    def add(number: Variable, so_far: Variable) -> Variable:
        return so_far + number

    zero = at.as_tensor_variable(np.asarray(0, numbers.dtype))
    sums, _ = loopjax.scan(fn=add, outputs_info=zero, sequences=numbers)
    timed = _timed([up_to], sums, "triangular")

    expected = [n * (n + 1) // 2 for n in range(15)]
    return _result([Value("up to 15", timed.twice(15), expected)], timed)


def scatter() -> Result:
    """Matrices of zeros with one value each: a step makes variables of its own."""
    location = at.imatrix("location")
    value = at.vector("value")
    model = at.matrix("model")

    def place(where: Variable, what: Variable, like: Variable) -> Variable:
        zeros = at.zeros_like(like)
        return at.set_subtensor(zeros[where[0], where[1]], what)

    matrices, _ = loopjax.scan(fn=place, outputs_info=None, sequences=[location, value], non_sequences=model)
    timed = _timed([location, value, model], matrices, "scatter")

    places, numbers = [(1, 1), (2, 3)], [42, 50]
    expected = np.zeros((2, 5, 5))
    for step, ((row, column), number) in enumerate(zip(places, numbers, strict=True)):
        expected[step, row, column] = number
    arguments = (np.asarray(places, np.int32), np.asarray(numbers, np.float32), np.zeros((5, 5), np.float32))
    return _result([Value("matrices", timed.twice(*arguments), expected)], timed)


# -- Shared variables and random streams


class Machine(NamedTuple):
    """The weights of the guide's restricted Boltzmann machine: two visible units, two hidden ones."""

    W: np.ndarray[Any, np.dtype[np.float64]]
    bvis: np.ndarray[Any, np.dtype[np.float64]]
    bhid: np.ndarray[Any, np.dtype[np.float64]]


CHAIN = 10
"""Steps of a Gibbs chain."""

DRAWS = 2_000
"""Chains that are run to compare frequencies."""


def machine() -> Machine:
    """The guide's weights, from its seed."""
    rng = np.random.default_rng(203940)
    return Machine(rng.uniform(size=(2, 2)), rng.uniform(size=2), rng.uniform(size=2))


def chain_probabilities(weights: Machine) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The probabilities of the visible states 00, 01, 10, 11 after a chain from 00, by its transition matrix."""
    states = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

    def probabilities(given: Any, matrix: Any, bias: Any) -> Any:
        """From each state of one layer (rows) to each of the other (columns)."""
        ones = 1 / (1 + np.exp(-(given @ matrix + bias)))
        return np.prod(np.where(states[None] == 1, ones[:, None], 1 - ones[:, None]), axis=-1)

    transition = probabilities(states, weights.W, weights.bhid) @ probabilities(states, weights.W.T, weights.bvis)
    reached: np.ndarray[Any, np.dtype[np.float64]] = np.linalg.matrix_power(transition, CHAIN)[0]
    return reached


def _frequencies(timed: _Timed, dtype: str, weights: Machine) -> Value:
    """The frequency of each visible state at the end of a chain, to within five standard errors."""
    counts = np.zeros(4)
    start = np.zeros(2, dtype)
    for _ in range(DRAWS):
        first, second = np.asarray(timed(start))
        counts[int(2 * first + second)] += 1
    expected = chain_probabilities(weights)
    return Value("frequencies", counts / DRAWS, expected, 5 * np.sqrt(expected * (1 - expected) / DRAWS))


def _different(timed: _Timed) -> int:
    """The number of 20 equal calls that return a result no call before them did."""
    return len({np.asarray(timed(np.zeros(2, np.int64))).tobytes() for _ in range(20)})


def gibbs() -> Result:
    """A Gibbs chain whose step uses shared variables that nobody passes, with the stream's updates and without."""
    weights = machine()
    W = loopjax.shared(weights.W)
    bvis = loopjax.shared(weights.bvis)
    bhid = loopjax.shared(weights.bhid)
    stream = at.random.RandomStream(1234)

    def one_step(visible: Variable) -> Variable:
        hidden_mean = at.sigmoid(at.dot(visible, W) + bhid)
        hidden = stream.binomial(1, hidden_mean, size=hidden_mean.shape)
        visible_mean = at.sigmoid(at.dot(hidden, W.T) + bvis)
        return stream.binomial(1, visible_mean, size=visible.shape)

    sample = at.lvector("sample")
    samples, updates = loopjax.scan(one_step, outputs_info=sample, n_steps=CHAIN)
    still = _timed([sample], samples, "gibbs without updates")
    timed = _timed([sample], samples[-1], "gibbs", updates)
    moving = _timed([sample], samples, "gibbs, every step", updates)

    values = [
        Value("different chains in 20 calls without updates", _different(still), 1),
        Value("different chains in 20 calls", _different(moving), 20, within=5),
        _frequencies(timed, "int64", weights),
    ]
    return _result(values, timed, moving, still)


def _explicit_chain(stream: Any, strict: bool) -> tuple[Variable, Variable, Any]:
    """The sample, the chain's states and updates; the step gets the shared variables as arguments."""
    weights = machine()
    W = loopjax.shared(weights.W)
    bvis = loopjax.shared(weights.bvis)
    bhid = loopjax.shared(weights.bhid)

    def one_step(visible: Variable, W: Variable, bvis: Variable, bhid: Variable) -> Variable:
        hidden_mean = at.sigmoid(at.dot(visible, W) + bhid)
        hidden = stream.binomial(size=hidden_mean.shape, n=1, p=hidden_mean)
        visible_mean = at.sigmoid(at.dot(hidden, W.T) + bvis)
        drawn: Variable = stream.binomial(size=visible.shape, n=1, p=visible_mean, dtype=loopjax.config.floatX)
        return drawn

    sample = at.vector("sample")
    samples, updates = loopjax.scan(
        fn=one_step, outputs_info=sample, non_sequences=[W, bvis, bhid], n_steps=CHAIN, strict=strict
    )
    return sample, samples, updates


def gibbs_explicit() -> Result:
    """The same chain, its step given the shared variables as non-sequences, over samples of floats."""
    sample, samples, updates = _explicit_chain(at.random.RandomStream(1234), strict=False)
    timed = _timed([sample], samples[-1], "gibbs-explicit", updates)
    return _result([_frequencies(timed, sample.dtype, machine())], timed)


def strict() -> Result:
    """``strict=True`` refuses a step that uses a shared variable it is not given, and runs one that is given all."""
    weights = machine()
    W = loopjax.shared(weights.W, name="W")
    stream = at.random.RandomStream(1234)

    def one_step(visible: Variable) -> Variable:
        mean = at.sigmoid(at.dot(visible, W))
        return stream.binomial(size=visible.shape, n=1, p=mean, dtype=loopjax.config.floatX)

    refused = "nothing raised"
    try:
        loopjax.scan(one_step, outputs_info=at.vector(), n_steps=CHAIN, strict=True)
    except MissingInputError as error:
        refused = type(error).__name__

    sample, samples, updates = _explicit_chain(at.random.RandomStream(1234), strict=True)
    timed = _timed([sample], samples[-1], "strict", updates)
    values = [Value("W not passed", refused, "MissingInputError"), _frequencies(timed, sample.dtype, weights)]
    return _result(values, timed)


def counter() -> Result:
    """A shared variable that a loop counts up, before and after; without the updates it stands still."""
    a = loopjax.shared(1, name="a")
    _, updates = loopjax.scan(lambda: {a: a + 1}, n_steps=10)
    before = a + 1
    after = updates[a] + 1

    still = _timed([], [before, after], "counter without updates")
    timed = _timed([], [before, after], "counter", updates)
    values = []
    for call in (1, 2):
        b, c = still()
        values.append(Value(f"without updates, call {call}: b, c, a", [b, c, a.get_value()], [2, 12, 1]))
    for call in (1, 2):
        b, c = timed()
        expected = [10 * call - 8, 10 * call + 2, 10 * call + 1]
        values.append(Value(f"with updates, call {call}: b, c, a", [b, c, a.get_value()], expected))
    return _result(values, timed, still)


# -- Taps, until, checkpoints


def recurrent() -> Result:
    """A recurrent network that reads u(n-4), u(n), x(n-3), x(n-1) and y(n-1): nine values of u give five steps."""
    W, W_in_1, W_in_2 = at.dmatrix("W"), at.dmatrix("W_in_1"), at.dmatrix("W_in_2")
    W_feedback, W_out = at.dmatrix("W_feedback"), at.dmatrix("W_out")
    u, x0, y0 = at.dmatrix("u"), at.dmatrix("x0"), at.dvector("y0")

    def one_step(u_tm4: Any, u_t: Any, x_tm3: Any, x_tm1: Any, y_tm1: Any, *matrices: Any) -> list[Variable]:
        W, W_in_1, W_in_2, W_feedback, W_out = matrices
        x_t = at.tanh(
            at.dot(x_tm1, W) + at.dot(u_t, W_in_1) + at.dot(u_tm4, W_in_2) + at.dot(y_tm1, W_feedback),
        )
        return [x_t, at.dot(x_tm3, W_out)]

    matrices = [W, W_in_1, W_in_2, W_feedback, W_out]
    (x, y), updates = loopjax.scan(
        fn=one_step,
        sequences={"input": u, "taps": [-4, 0]},
        outputs_info=[{"initial": x0, "taps": [-3, -1]}, y0],
        non_sequences=matrices,
    )
    timed = _timed([u, x0, y0, *matrices], [x, y], "recurrent", updates)

    rng = np.random.default_rng(0)
    shapes = [(3, 3), (3,), (3, 3), (1, 3), (1, 3), (3, 3), (3, 3)]
    drawn = [rng.normal(0, 0.3, shape) for shape in shapes]
    inputs = np.arange(9.0)[:, None]
    computed = timed.twice(inputs, *drawn)
    expected = _recurrent_in_numpy(inputs, *drawn)
    values = [
        Value(label, got, wanted, within=1e-12)
        for label, got, wanted in zip(("x", "y"), computed, expected, strict=True)
    ]
    return _result(values, timed)


def _recurrent_in_numpy(
    u: Any, x0: Any, y0: Any, w: Any, w_in_1: Any, w_in_2: Any, w_feedback: Any, w_out: Any
) -> tuple[Any, Any]:
    xs, ys = list(x0), [y0]
    for n in range(4, len(u)):
        x, y = np.tanh(xs[-1] @ w + u[n] @ w_in_1 + u[n - 4] @ w_in_2 + ys[-1] @ w_feedback), xs[-3] @ w_out
        xs.append(x)
        ys.append(y)
    return np.stack(xs[len(x0) :]), np.stack(ys[1:])


def until() -> Result:
    """Powers of two until one is larger than a value: of 1,024 steps at most, as many as it takes."""
    limit = at.scalar("limit")

    def double(previous: Variable, limit: Variable) -> tuple[Variable, loopjax.until]:
        return previous * 2, loopjax.until(previous * 2 > limit)

    powers, _ = loopjax.scan(double, outputs_info=at.constant(1.0), non_sequences=limit, n_steps=1024)
    timed = _timed([limit], powers, "until")

    expected = [2]
    while expected[-1] <= 45:
        expected.append(expected[-1] * 2)
    return _result([Value("up to 45", timed.twice(45), expected)], timed)


def checkpoints() -> Result:
    """``A**k`` and its gradient with every tenth power saved: the same as with all of them."""
    k = at.iscalar("k")
    A = at.dvector("A")
    arguments: dict[str, Any] = {
        "fn": lambda so_far, factor: so_far * factor,
        "outputs_info": at.ones_like(A),
        "non_sequences": A,
        "n_steps": k,
    }
    few, _ = loopjax.scan_checkpoints(**arguments, save_every_N=10)
    all_, _ = loopjax.scan(**arguments)
    timed = _timed([A, k], [few[-1], loopjax.grad(few[-1].sum(), A)], "checkpoints")
    plain = _timed([A, k], [all_[-1], loopjax.grad(all_[-1].sum(), A)], "checkpoints, plain scan")

    bases, n = np.array([0.5, 1.0, 1.5]), 25
    value, gradient = timed.twice(bases, n)
    plain_value, plain_gradient = plain(bases, n)
    expected, slope = bases**n, n * bases ** (n - 1)
    values = [
        Value("A**25", value, expected, 1e-13 * expected),
        Value("gradient", gradient, slope, 1e-13 * slope),
        Value("A**25 less the plain scan's", value - plain_value, np.zeros(3), 1e-15 * expected),
        Value("gradient less the plain scan's", gradient - plain_gradient, np.zeros(3), 1e-15 * slope),
    ]
    return _result(values, timed, plain)


PROGRAMS = (
    Program("power", "A**k for every element, the last step kept", power),
    Program("polynomial", "two sequences, the shorter decides", polynomial),
    Program("triangular", "a running sum over arange(n), n an input", triangular),
    Program("scatter", "one value in a matrix of zeros, each step", scatter),
    Program("gibbs", "a Gibbs chain, shared variables found", gibbs),
    Program("gibbs-explicit", "the same, shared variables passed", gibbs_explicit),
    Program("strict", "strict=True wants every shared variable passed", strict),
    Program("counter", "a shared variable counted up by a loop", counter),
    Program("recurrent", "a recurrent network with taps", recurrent),
    Program("until", "powers of two until one is above 45", until),
    Program("checkpoints", "a gradient with every tenth state saved", checkpoints),
)
"""The guide's programs, in its order."""


# -- The command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the programs named in ``argv``, all of them where it names none.

    Returns 0, or 1 where a value is not what was expected. An unknown name exits with 2 and the names there are.
    """
    parser = argparse.ArgumentParser(
        prog="python -m loopjax",
        description="Runs the guide's programs and shows what each computed beside what was expected.",
    )
    parser.add_argument("names", nargs="*", metavar="name", help="a program to run; all unless given")
    parser.add_argument("--list", action="store_true", help="list the programs and run none")
    arguments = parser.parse_args(argv)
    programs: dict[str, Any] = {program.name: program for program in PROGRAMS}
    unknown = [name for name in arguments.names if name not in programs]
    if unknown:
        parser.error(f"no program is called {', '.join(unknown)}; there are {', '.join(programs)}")
    if arguments.list:
        width = max(map(len, programs))
        print("\n".join(f"{name:{width}}  {program.title}" for name, program in programs.items()))
        return 0
    chosen = [programs[name] for name in dict.fromkeys(arguments.names)] or list(programs.values())
    off = [program.name for program in chosen if not _show(program, program.run())]
    print(f"{len(chosen) - len(off)} of {len(chosen)} programs as expected" + f"; off: {', '.join(off)}" * bool(off))
    return 1 if off else 0


def _show(program: Any, result: Any) -> bool:
    """Prints a result; true where it is as expected."""
    print(f"{program.name}: {program.title}")
    for value in result.values:
        print(_line(value))
    for function in result.functions:
        print(textwrap.indent(str(loopjax.explain(function)), "  "))
    print(f"  first result after {_duration(result.first)}, a later one after {_duration(result.later)}\n", flush=True)
    return result.ok


def _line(value: Any) -> str:
    """A value's label, the computed and the expected value; on one line where that is short."""
    computed, expected, within = _text(value.computed), _text(value.expected), float(np.max(value.within))
    expected += f"  (within {within:.1g})" if within else ""
    short = len(value.label) + len(computed) + len(expected) < 80
    gap = "   " if short else "\n    "
    off = "" if value.ok else "   <-- NOT AS EXPECTED"
    return f"  {value.label}:{gap if not short else ' '}computed {computed}{gap}expected {expected}{off}"


def _text(value: Any) -> str:
    """A value on one line."""
    array = np.asarray(value)
    if array.dtype.kind in "US":
        return str(value)
    formatter: Any = {"float_kind": "{:.4g}".format, "int_kind": str}
    shown = np.array2string(array, formatter=formatter, max_line_width=10_000)
    return " ".join(shown.split())


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    sys.exit(main())
