"""Block sampling: the random draws of several steps are made at once.

Drawing a few numbers at every step costs far more than drawing them together. Loops of known length draw for all steps
before the loop (``loop_prologue``). This pass serves the others: loops whose length only the run knows, and loops whose
draws take too much memory for all steps. A block of steps draws together, then its steps run one after the other:

    before   scan:  h' = 0.5 * h + draw_normal(key, 1.0)     after   draws:  draw_normal(key, 1.0), for a block of steps
                                                                     scan:   h' = 0.5 * h + sample

A draw whose parameters a step decides is first reparametrized (``reparametrize.py``): the base sample is drawn for the
block, its transform stays in the loop. A step's key depends on its number only, so that the numbers are the same.

Measured for states ``h = 0.3 * h + draw`` with normal draws in float32 on two cores, jax 0.10.2, by the numbers drawn
for a block; times as fast as a draw at each step:

| values of a state | 32 | 128 | 256 | 1,024 | 4,096 | 16,384 | 65,536 |
|---|---|---|---|---|---|---|---|
| 1 | 5 | 13 | 6 | 6 | 10 | 10 | 4 |
| 4 | 4 | 6 | 4 | 8 | 8 | 10 | 9 |
| 10 | 0.9 | 1.5 | 1.3 | 1.7 | 2.3 | 2.9 | 2.3 |
| 32 | | 2.4 | 1.4 | 3.2 | 3.4 | 4.4 | 5.0 |
| 100 | | | 0.5 | 1.4 | 1.3 | 2.0 | 1.3 |
| 1,000 | | | | | 1.1 | 2.2 | 2.8 |

XLA on CPU splits the work on more than about 150 numbers between two threads, and that of more of its kernels from
1,500 numbers on, which pays only for many more.

Limits: not in loops inside of others that ``until`` stops, which draw a block for few steps each time (two slice
samplers take 0.8 and 0.9 of the time without), not under a reverse derivative, and only for threefry keys, which JAX
promises to draw the same under ``vmap``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Graph, Variable, copy_node, dependents
from loopjax.ir.scan import BlockSamples, Scan
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.loop_distribution import STEP_DRAW_BYTES
from loopjax.rewrite.reparametrize import is_draw, standard_draws
from loopjax.rewrite.trip_counts import is_forward_only


@dataclass(frozen=True)
class SampleInBlocks(Pass):
    """Moves the draws that do not depend on earlier steps into a region that runs once for a block of steps.

    Attributes
    ----------
    most_step_bytes
        On a CPU: bytes that one step draws, at most.
    block_values, block_steps
        Numbers that the largest draw gives for a block, or steps of a block where those are more.
    block_bytes
        Bytes of all draws of a block, at most.
    varying
        For loops of varying length, where the rest of the last block is drawn for nothing: pairs of numbers for a block
        and the steps for which they must suffice; the first pair that does is taken. In between, threads would share
        what one does sooner.
    varying_steps
        Steps of a block of such a loop where neither suffices.
    least_steps
        Steps from which a block is profitable.
    """

    most_step_bytes: int = STEP_DRAW_BYTES
    block_values: int = 2**15
    block_steps: int = 64
    block_bytes: int = 2**20
    varying: tuple[tuple[int, int], ...] = ((128, 32), (1_200, 8))
    varying_steps: int = 16
    least_steps: int = 4

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        sampled = self._sampled(op) if self._may_sample(op, context) else None
        return None if sampled is None else copy_node(node, inputs, sampled).outputs

    def _may_sample(self, op: Scan, context: Context) -> bool:
        """True where a loop is to be a ``while_loop``, or may be one: nothing is stored for a gradient, nor a stack of
        some of the steps."""
        if not self.target.draws_apart or not op.n_keys or op.linear or op.n_steps == 0:
            return False
        if op.varies:
            return is_forward_only(op, context.derivative) and not (context.in_loop and op.until)
        runs_at_once = "vmap" in self.target and op.is_map and not op.progress
        windows = any(output.saved.steps is not None or output.saved.every > 1 for output in op.outputs)
        return not (context.differentiated or op.checkpoint or windows or runs_at_once)

    def _sampled(self, op: Scan) -> Scan | None:
        """The loop with samples as inputs of its body; ``None`` where there are none, or too many."""
        inputs = op.body_inputs(op.body.inputs)
        keys = set(inputs.keys)
        carried = [*(v for group in (*inputs.slices, *inputs.taps) for v in group), *inputs.states]
        body = standard_draws(op.body, keys, dependents(op.body.applies, carried))
        bound = dependents(body.applies, carried)
        free = [node for node in body.applies if is_draw(node) and node.inputs[0] in keys]
        values = [node.outputs[0] for node in free if bound.isdisjoint(node.inputs)]
        if not values or (self.target.on_cpu and bytes_of(values) > self.most_step_bytes):
            return None
        steps = self._steps(op, values)
        if steps < self.least_steps:
            return None
        samples = {value: Variable(value.type) for value in values}
        body = body.rebuilt(samples, inputs=[*body.inputs, *samples.values()])
        return replace(op, body=body, samples=BlockSamples(Graph([*inputs.keys, *inputs.non_sequences], values), steps))

    def _steps(self, op: Scan, values: Sequence[Variable]) -> int:
        """The steps of a block."""
        largest = max(math.prod(value.type.sizes) for value in values) or 1
        most = self.block_bytes // (bytes_of(values) or 1)
        if op.until or op.n_steps is None:
            enough = (count // largest for count, steps in self.varying if count // largest >= steps)
            return min(next(enough, self.varying_steps), most, op.n_steps or most)
        steps = min(max(self.block_values // largest, self.block_steps), most, op.n_steps)
        if not steps:
            return 0
        blocks = -(-op.n_steps // steps)
        return -(-op.n_steps // blocks)  # equal blocks: few draws of the last one are for no step
