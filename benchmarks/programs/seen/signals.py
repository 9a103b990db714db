"""Signal processing, float64."""

from __future__ import annotations

from typing import Any

THRESHOLD, RATIO, ATTACK, RELEASE = -20.0, 4.0, 0.9, 0.999
DAMPING = 0.996
WINDOW, FEEDBACK, ADAPTING = 8, 4, 0.01


def compressor(aesara: Any) -> Any:
    """A signal whose loud parts are made quieter, by a smooth decoupled level detector (Giannoulis, Massberg and Reiss
    2012)."""
    at = aesara.tensor
    x = at.dvector("x")

    def step(x_t: Any, level: Any) -> Any:
        over = at.maximum(20 * at.log10(abs(x_t) + 1e-6) - THRESHOLD, 0) * (1 - 1 / RATIO)
        keep = at.switch(over > level, *(at.constant(value, dtype="float64") for value in (ATTACK, RELEASE)))
        return keep * level + (1 - keep) * over

    level, updates = aesara.scan(step, sequences=x, outputs_info=at.zeros((), dtype="float64"))
    return aesara.function([x], x * at.exp(-0.11512925464970229 * level), updates=updates)


def plucked_string(aesara: Any, period: int) -> Any:
    """The sound of a plucked string (Karplus and Strong 1983): a delay line with an average of two."""
    at = aesara.tensor
    x = at.dvector("x")

    def step(x_t: Any, late: Any, later: Any) -> Any:
        return x_t + DAMPING / 2 * (late + later)

    taps = {"initial": at.zeros((period + 1,), dtype="float64"), "taps": [-period, -period - 1]}
    y, updates = aesara.scan(step, sequences=x, outputs_info=taps)
    return aesara.function([x], y, updates=updates)


def equalizer(aesara: Any) -> Any:
    """Decisions and last weights of a decision-feedback equalizer that learns from its decisions (Austin 1967)."""
    at = aesara.tensor
    x, w, b = at.dvector("x"), at.dvector("w"), at.dvector("b")

    def step(*values: Any) -> list[Any]:
        seen = at.stack(values[:WINDOW])
        w, b = values[WINDOW : WINDOW + 2]
        past = at.stack(values[WINDOW + 2 :])
        y = at.dot(w, seen) - at.dot(b, past)
        decision = at.switch(y > 0, 1.0, -1.0)
        error = decision - y
        return [w + ADAPTING * error * seen, b - ADAPTING * error * past, decision]

    taps = {"initial": at.zeros((FEEDBACK,), dtype="float64"), "taps": list(range(-1, -FEEDBACK - 1, -1))}
    (w_t, b_t, decisions), updates = aesara.scan(
        step, sequences={"input": x, "taps": list(range(WINDOW))}, outputs_info=[w, b, taps]
    )
    return aesara.function([x, w, b], [decisions, w_t[-1], b_t[-1]], updates=updates)
