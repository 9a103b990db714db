"""A process that holds one program or model compiled by one mode, and times its calls when it is asked to.

Each mode has its own process, so that a compilation that does not end can be stopped, and that no mode changes the
settings of another (PyTensor's JAX mode turns JAX's x64 flag on). The modes of a row are kept alive together and are
timed in turns. A call of a function of PyTensor ends when its results are NumPy arrays, which PyTensor's JAX mode
leaves to its caller.

JAX runs in the thread that calls it (``jax_cpu_enable_async_dispatch`` off), as inside of a sampler, which is one
program: otherwise XLA hands programs that it counts as 1,000 operations or more to another thread, which takes longer
than many of these calls, and which programs those are depends on few operations.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

PARTS = {"programs": ("value", "gradient"), "models": ("value", "gradient", "sampler")}
"""What is compiled of a program and of a model: its value; value and gradient in one function of PyTensor; and, of a
model, the log density with its gradient as a JAX function, as NumPyro takes it."""

SAMPLED = ("LoopJAX", "JAX")
"""The modes that have a JAX function. Their processes have JAX's x64 flag on, as PyTensor's JAX mode turns it on."""

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["benchmarks.pytensor.programs", "benchmarks.pytensor.models", "loopjax.pytensor"])


class Compiled(NamedTuple):
    """A function with its arguments, after its first call."""

    function: Callable[..., Any]
    args: Sequence[Any]
    end: Callable[[Sequence[Any]], object]
    calls: int = 1

    def seconds(self) -> float:
        """The time of a call, as the mean of a few."""
        function, args = self.function, self.args
        start = time.perf_counter()
        for _ in range(self.calls):
            self.end(function(*args))
        return (time.perf_counter() - start) / self.calls


def _as_arrays(results: Sequence[Any]) -> list[Any]:
    return [np.asarray(one) for one in results]


def _done(results: Sequence[Any]) -> None:
    for one in results:
        one.block_until_ready()


def mode_of(name: str) -> Any:
    """The mode of a column."""
    import loopjax.pytensor

    known = {"LoopJAX": loopjax.pytensor.mode, "C": lambda: "CVM", "Reference": lambda: "FAST_COMPILE"}
    return known[name]() if name in known else name.upper()


def _of_program(name: str, part: str, mode: str) -> tuple[Callable[..., Any], list[Any]]:
    import pytensor

    from benchmarks.pytensor import programs

    programs.RNG = np.random.default_rng(1)  # the same arguments in each process and for each part
    made = programs.PROGRAMS[name]()
    gradient = pytensor.gradient.grad(made.cost, made.wrt) if made.wrt and part == "gradient" else []
    function = pytensor.function(made.inputs, [made.cost, *gradient], mode=mode_of(mode), on_unused_input="ignore")
    function.trust_input = True
    return function, [_aligned(one) for one in made.args]


def _of_model(name: str, part: str, mode: str) -> tuple[Callable[..., Any], list[Any]]:
    import jax
    import pytensor

    from benchmarks.pytensor.models import MODELS

    model = MODELS[name]()
    rng = np.random.default_rng(1)
    point = {key: np.asarray(v + 0.1 * rng.normal(size=np.shape(v))) for key, v in model.initial_point().items()}
    args = [_aligned(point[variable.name]) for variable in model.value_vars]
    if part == "sampler":
        return _for_a_sampler(model, mode), [jax.numpy.asarray(one) for one in args]
    outputs = [model.logp(), *([] if part == "value" else [model.dlogp()])]
    function = pytensor.function(model.value_vars, outputs, mode=mode_of(mode), on_unused_input="ignore")
    function.trust_input = True
    return function, args


def _aligned(value: Any) -> np.ndarray[Any, Any]:
    """An array at an address that XLA reads without a copy, so that chance does not choose which mode pays 2 us."""
    value = np.asarray(value)
    room = np.empty(value.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    array = room[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    array[...] = value
    return array


def _for_a_sampler(model: Any, mode: str) -> Callable[..., Any]:
    """The log density and its gradient as NumPyro's sampler computes them."""
    import jax
    from pymc.sampling.jax import get_jaxified_graph

    import loopjax.pytensor

    with loopjax.pytensor.pymc() if mode == "LoopJAX" else contextlib.nullcontext():
        density = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])

    @jax.jit
    def both(*args: Any) -> list[Any]:
        value, gradient = jax.value_and_grad(lambda args: density(*args)[0])(args)
        return [value, jax.numpy.concatenate([one.ravel() for one in gradient])]

    return both


def _processor_time() -> float:
    """Seconds of processors, those of compilers that PyTensor starts included."""
    return sum(os.times()[:4])


def _build(kind: str, name: str, part: str, mode: str) -> tuple[dict[str, Any], Compiled | None]:
    make = _of_program if kind == "programs" else _of_model
    start = _processor_time()
    try:
        function, args = make(name, part, mode)
        found = function(*args)
        values = _as_arrays(found)
    except Exception as failed:
        return {"refused": type(failed).__name__, "text": " ".join(str(failed).split())[:200]}, None
    first = _processor_time() - start
    compiled = Compiled(function, args, _done if part == "sampler" else _as_arrays)
    one = min(compiled.seconds() for _ in range(3))
    return {"first_s": first, "values": values}, compiled._replace(calls=max(1, min(1000, int(0.005 / one))))


def _warmed(mode: str) -> None:
    """Compile a small function, so that what a mode imports and starts is not counted in the first row."""
    import pytensor
    import pytensor.tensor as pt

    x = pt.dvector("x")
    pytensor.function([x], [x.sum(), pt.grad((x**2).sum(), x)], mode=mode_of(mode))([1.0, 2.0])


@contextlib.contextmanager
def _alone_on(core: int | None) -> Iterator[None]:
    """Run all threads of this process on one processor, in real time where the system lets it."""
    threads = [] if core is None else [int(one) for one in os.listdir("/proc/self/task")]
    everywhere = os.sched_getaffinity(0)
    _scheduled(threads, {core}, os.SCHED_FIFO, 50)
    try:
        yield
    finally:
        _scheduled(threads, everywhere, os.SCHED_OTHER, 0)


def _scheduled(threads: Sequence[int], cores: Iterable[Any], policy: int, priority: int) -> None:
    for thread in threads:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(thread, cores)
            os.sched_setscheduler(thread, policy, os.sched_param(priority))


def _serve(connection: Connection, kind: str, name: str, mode: str, core: int | None) -> None:
    warnings.simplefilter("ignore")
    if mode in SAMPLED:
        import jax

        jax.config.update("jax_cpu_enable_async_dispatch", False)
        jax.config.update("jax_enable_x64", True)
    with contextlib.suppress(Exception):
        _warmed(mode)
    compiled: dict[str, Compiled] = {}
    with contextlib.suppress(EOFError):
        while True:
            order, part = connection.recv()
            if order == "build":
                row, made = _build(kind, name, part, mode)
                if made is not None:
                    compiled[part] = made
                connection.send(row)
            else:
                with _alone_on(core):
                    seconds = compiled[part].seconds()
                connection.send(seconds)


class Worker:
    """The process of one mode for one row."""

    def __init__(self, kind: str, name: str, mode: str, core: int | None) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, kind, name, mode, core), daemon=True)
        self._process.start()
        theirs.close()

    def build(self, part: str, limit: float) -> dict[str, Any]:
        """Compile a part and call it once."""
        self.start(part)
        return self.built(limit)

    def start(self, part: str) -> None:
        """Begin to compile a part."""
        self._connection.send(("build", part))

    def built(self, limit: float) -> dict[str, Any]:
        """The result of a part that was begun: its values and the processor time to them, or why there are none."""
        try:
            if self._connection.poll(limit):
                return dict(self._connection.recv())
        except EOFError:
            return {"refused": "process ended", "text": "the process of the mode ended while it compiled"}
        self.close()
        return {"refused": "time limit", "text": f"no result within {limit:.0f} s"}

    @property
    def alive(self) -> bool:
        """False where the process was stopped or has ended."""
        return self._process.is_alive()

    def seconds(self, part: str, limit: float) -> float | None:
        """The time of a call; ``None``, and the process is stopped, where calls do not end within the limit."""
        self._connection.send(("time", part))
        if self._connection.poll(limit):
            return float(self._connection.recv())
        self.close()
        return None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()
