"""A nerve cell with branches, movements read from nerve cells, a piece of cortex and rhythms of parts of a brain."""

# ruff: noqa: N803, N806 - voltages, matrices and couplings have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

TIME, CAPACITY, CALCIUM, POTASSIUM, LEAK, SLOW = 0.25, 20.0, 4.4, 8.0, 2.0, 0.04
BIN = 0.01
PEAK = 30.0
TICK, LATE, GAIN, LOSS, FAST, LONG, LINKS = 1e-3, 10, 3.25, 22.0, 100.0, 50.0, 135.0


def dendrite(aesara: Any) -> Any:
    """Voltage of the body of a nerve cell over time, and of all its parts at the end, by implicit steps whose equations
    are those of a tree (Hines 1984), which a loop over parts from the tips and one back solve, with channels of Morris
    and Lecar (1981). Part 0 is the body; ``parent`` is that of each other part, which comes before it, and ``axial``
    what conducts to it. Float64."""
    at = aesara.tensor
    current, V, w = at.dvector("current"), at.dvector("V"), at.dvector("w")
    parent, axial = at.ivector("parent"), at.dvector("axial")
    part = at.arange(1, V.shape[0], dtype="int32")
    neighbours = at.inc_subtensor(at.inc_subtensor(at.zeros_like(V)[part], axial)[parent], axial)

    def step(current_t: Any, V: Any, w: Any) -> list[Any]:
        calcium, potassium = CALCIUM * (1 + at.tanh((V + 1.2) / 18)) / 2, POTASSIUM * w
        diagonal = CAPACITY / TIME + calcium + potassium + LEAK + neighbours
        right = CAPACITY / TIME * V + 120 * calcium - 84 * potassium - 60 * LEAK
        right = at.inc_subtensor(right[0], current_t)

        def inwards(j: Any, parent_j: Any, axial_j: Any, d: Any, b: Any) -> list[Any]:
            share = axial_j / d[j]
            new_d = at.inc_subtensor(d[parent_j], -share * axial_j)
            return [new_d, at.inc_subtensor(b[parent_j], share * b[j])]

        sequences = [part, parent, axial]
        (d, b), _ = aesara.scan(inwards, sequences=sequences, outputs_info=[diagonal, right], go_backwards=True)
        d, b = d[-1], b[-1]

        def outwards(j: Any, parent_j: Any, axial_j: Any, V: Any) -> Any:
            return at.set_subtensor(V[j], (b[j] + axial_j * V[parent_j]) / d[j])

        start = at.set_subtensor(V[0], b[0] / d[0])
        new, _ = aesara.scan(outwards, sequences=sequences, outputs_info=start)
        new_V = new[-1]
        rest = (1 + at.tanh((new_V - 2) / 30)) / 2
        new_w = w + TIME * SLOW * at.cosh((new_V - 2) / 60) * (rest - w)
        return [new_V, new_w, new_V[0]]

    (all_V, _, body), updates = aesara.scan(step, sequences=current, outputs_info=[V, w, None])
    return aesara.function([current, V, w, parent, axial], [body, all_V[-1]], updates=updates)


def spike_decoder(aesara: Any) -> Any:
    """Place and velocity of a hand at each time, from the numbers of spikes of nerve cells that its velocity drives
    (Eden, Frank, Barbieri, Solo and Brown 2004), and their log-likelihood. ``spikes (time, cell)``, ``tuning (cell,
    2)``, ``F`` and ``Q (4, 4)``. Float64."""
    at = aesara.tensor
    spikes, base, tuning = at.dmatrix("spikes"), at.dvector("base"), at.dmatrix("tuning")
    F, Q, x, P = at.dmatrix("F"), at.dmatrix("Q"), at.dvector("x"), at.dmatrix("P")

    def step(spikes_t: Any, x: Any, P: Any) -> list[Any]:
        x = at.dot(F, x)
        P = at.dot(at.dot(F, P), F.T) + Q
        expected = BIN * at.exp(base + at.dot(tuning, x[2:]))
        score = (spikes_t * at.log(expected) - expected).sum()
        known = at.dot(tuning.T * expected, tuning)
        P = at.linalg.inv(at.inc_subtensor(at.linalg.inv(P)[2:, 2:], known))
        x = x + at.dot(P[:, 2:], at.dot(tuning.T, spikes_t - expected))
        return [x, P, score]

    (xs, _, score), updates = aesara.scan(step, sequences=spikes, outputs_info=[x, P, None])
    return aesara.function([spikes, base, tuning, F, Q, x, P], [xs, score.sum()], updates=updates)


def cortex(aesara: Any, excitatory: int, steps: int) -> Any:
    """Mean rates of two kinds of nerve cells, those that excite and those that inhibit, in spikes a second, of a
    network with noise, a step a millisecond (Izhikevich 2003). ``S (to, from)``. Float32."""
    at, trng = aesara.tensor, stream(aesara)
    S = at.fmatrix("S")
    constants = a, b, c, d, noise = [at.fvector(name) for name in ("a", "b", "c", "d", "noise")]

    def step(v: Any, u: Any) -> list[Any]:
        fired = v >= PEAK
        v = at.switch(fired, c, v)
        u = at.switch(fired, u + d, u)
        spikes = at.cast(fired, "float32")
        current = noise * trng.normal(size=v.shape, dtype="float32") + at.dot(S, spikes)
        for _ in range(2):
            v = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + current)
        return [v, u + a * (b * v - u), spikes]

    start = at.zeros_like(a) - 65
    (_, _, spikes), updates = aesara.scan(step, outputs_info=[start, b * start, None], n_steps=steps)
    rate = 1000 * spikes.mean(axis=0)
    return aesara.function(
        [S, *constants], at.stack([rate[:excitatory].mean(), rate[excitatory:].mean()]), updates=updates
    )


def brain_rhythms(aesara: Any) -> Any:
    """Mean square error of the potentials of parts of a brain, of three kinds of cells each (Jansen and Rit 1995), that
    drive each other ten steps later, and its gradient in how they do (David and Friston 2003). ``drive`` and ``seen
    (time, part)``. Float64."""
    at = aesara.tensor
    drive, seen, K = at.dmatrix("drive"), at.dmatrix("seen"), at.dmatrix("K")

    def pulses(v: Any) -> Any:
        return 5 * at.sigmoid(0.56 * (v - 6))

    def step(drive_t: Any, late: Any, y_0: Any, y_1: Any, y_2: Any, z_0: Any, z_1: Any, z_2: Any) -> list[Any]:
        sent = pulses(y_1 - y_2)
        excited = drive_t + at.dot(K, late) + 0.8 * LINKS * pulses(LINKS * y_0)
        inhibited = 0.25 * LINKS * pulses(0.25 * LINKS * y_0)
        z_0 = z_0 + TICK * (GAIN * FAST * sent - 2 * FAST * z_0 - FAST**2 * y_0)
        z_1 = z_1 + TICK * (GAIN * FAST * excited - 2 * FAST * z_1 - FAST**2 * y_1)
        z_2 = z_2 + TICK * (LOSS * LONG * inhibited - 2 * LONG * z_2 - LONG**2 * y_2)
        return [sent, y_0 + TICK * z_0, y_1 + TICK * z_1, y_2 + TICK * z_2, z_0, z_1, z_2]

    zeros = at.zeros_like(drive[0])
    before = {"initial": at.zeros((LATE, drive.shape[1]), dtype="float64"), "taps": [-LATE]}
    outputs, updates = aesara.scan(step, sequences=drive, outputs_info=[before] + [zeros] * 6)
    cost = ((outputs[2] - outputs[3] - seen) ** 2).mean()
    return aesara.function([drive, seen, K], [cost, aesara.grad(cost, K)], updates=updates)
