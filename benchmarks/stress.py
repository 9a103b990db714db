"""Threads, interrupts, many calls and many functions: ``python -m benchmarks.stress``.

Each check runs to its end and gives a row: how often it was done, what was lost or left held, and how much the memory
of the process grew in its second half. Functions are dropped together with JAX's own caches of them, which
``jax.clear_caches`` empties. ``--short`` runs about a fiftieth, as the tests do.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream


class Row(NamedTuple):
    """The result of a check: ``done`` times, ``wrong`` of which were wrong, and the growth of memory in MB."""

    name: str
    done: int
    wrong: int
    growth: float
    seconds: float


def resident() -> float:
    """Return the resident memory of the process in MB, after a collection."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measured(name: str, half: Callable[[int], int], times: int) -> Row:
    """Run a check in two halves; ``half(times)`` returns what was wrong. Memory must not grow in the second."""
    start = time.perf_counter()
    wrong = half(times // 2)
    before = resident()
    wrong += half(times - times // 2)
    return Row(name, times, wrong, resident() - before, time.perf_counter() - start)


def in_threads(count: int, work: Callable[[int], Any]) -> int:
    """Run ``work(number)`` in so many threads at once; return how many failed or did not end."""
    failed: list[int] = []

    def run(number: int) -> None:
        try:
            work(number)
        except Exception:
            failed.append(number)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    return len(failed) + sum(thread.is_alive() for thread in threads)


def held(variables: Sequence[Any]) -> int:
    """Return how many locks another thread cannot get."""
    found: list[int] = []

    def look() -> None:
        for variable in variables:
            if variable.lock.acquire(timeout=5):
                variable.lock.release()
            else:
                found.append(1)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return len(found)


def threads_of_calls(times: int, threads: int = 64) -> Row:
    """Threads that update the same variables: no update is lost, and two variables never disagree."""
    x = at.dvector("x")
    one, two = loopjax.shared(0, name="one"), loopjax.shared(0, name="two")
    forth = loopjax.function([x], x.sum(), updates=[(one, one + 1), (two, two + 1)])
    back = loopjax.function([x], x.max(), updates=[(two, two + 1), (one, one + 1)])
    arrays = [np.ones(3), [1.0, 2.0, 3.0], jax.numpy.ones(3)]

    def half(count: int) -> int:
        before, each = int(one.get_value()), max(count // threads, 1)

        def work(number: int) -> None:
            for call in range(each):
                (forth if (number + call) % 2 else back)(arrays[call % 2])

        failed = in_threads(threads, work)
        lost = abs(before + each * threads - int(one.get_value()))
        return failed + lost + abs(int(one.get_value()) - int(two.get_value())) + held([one, two])

    return measured(f"calls from {threads} threads", half, times)


def threads_of_draws(times: int, threads: int = 64) -> Row:
    """Threads that record with one stream: no two draws share a key."""

    def half(count: int) -> int:
        stream, each = RandomStream(7), max(count // threads, 1)
        failed = in_threads(threads, lambda number: [stream.normal() for _ in range(each)])
        keys = {np.asarray(jax.random.key_data(key.get_value())).tobytes() for key, _ in stream.state_updates}
        return failed + abs(each * threads - len(keys))

    return measured(f"draws recorded by {threads} threads", half, times)


def interrupts(times: int) -> Row:
    """Interrupts at random moments of calls: all variables are updated or none, and no lock stays held."""
    x = at.dvector("x")
    variables = [loopjax.shared(float(number), dtype="float64") for number in range(3)]
    f = loopjax.function([x], x.sum(), updates={variable: variable + 1 for variable in variables})
    f([1.0])
    f(np.ones(1))
    chance = random.Random(0)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    def half(count: int) -> int:
        wrong = hit = 0
        old = signal.signal(signal.SIGALRM, interrupt)
        gc.disable()  # an interrupt in a callback of the collector is lost
        try:
            while hit < count:
                given = [1.0] if hit % 2 else np.ones(1)
                try:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 1e-3))
                    while True:
                        f(given)
                except KeyboardInterrupt:
                    hit += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
                a, b, c = (float(variable.get_value()) for variable in variables)
                wrong += (b - a, c - b) != (1, 1)
                wrong += bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
                wrong += held(variables)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
            gc.enable()
        return wrong

    return measured("interrupts at random moments", half, times)


def calls(times: int) -> Row:
    """Calls with two hundred lengths, by list, array and keyword: every result is right."""
    x = at.dvector("x")
    count = loopjax.shared(0)
    sums, _ = loopjax.scan(lambda v, s: s + v, x, at.constant(0.0, dtype="float64"))
    f = loopjax.function([x], sums[-1], updates={count: count + 1})
    for length in range(1, 201):  # compiled before memory is measured
        f(np.ones(length))

    def half(number: int) -> int:
        before = int(count.get_value())
        wrong = 0
        for call in range(number):
            length = call % 200 + 1
            given: Any = np.ones(length) if call % 3 else [1.0] * length
            wrong += float(f(x=given) if call % 5 == 0 else f(given)) != length
        return wrong + abs(before + number - int(count.get_value()))

    return measured("calls", half, times)


def functions(times: int) -> Row:
    """Functions that are built, called and dropped: right, and nothing of them stays."""

    def half(number: int) -> int:
        wrong = 0
        for built in range(number):
            x, w = at.dvector("x"), loopjax.shared(float(built), dtype="float64")
            out, _ = loopjax.scan(lambda v, s: s + v * 2, x, w)
            f = loopjax.function([x], out[-1], updates={w: w + 1})
            wrong += float(f(np.ones(3))) != built + 6 or float(w.get_value()) != built + 1
            if built % 100 == 99:
                jax.clear_caches()
        jax.clear_caches()
        return wrong

    return measured("functions built and dropped", half, times)


def run(short: bool = False) -> list[Row]:
    """Run all checks, or about a fiftieth of each."""
    threads = 8 if short else 64
    return [
        threads_of_calls(threads * (40 if short else 320), threads),
        threads_of_draws(threads * (2 if short else 10), threads),
        interrupts(4 if short else 200),
        calls(400 if short else 20_000),
        functions(20 if short else 2_000),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a fiftieth of all checks")
    rows = run(parser.parse_args().short)
    print("| check | times | lost, wrong or held | memory, second half (MB) | seconds |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row.name} | {row.done:,} | {row.wrong} | {row.growth:+.1f} | {row.seconds:.0f} |")


if __name__ == "__main__":
    main()
