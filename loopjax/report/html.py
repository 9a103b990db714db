"""HTML rendering of a report of ``explain`` for notebooks, with inline SVG and nothing to load.

Colours are shades of the page's own, so that it reads on light and on dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise

from loopjax.report.loops import LoopReport, Part

STYLE = """
.loopjax {font: 13px/1.45 system-ui, sans-serif; max-width: 72em}
.loopjax .box {border: 1px solid rgba(128,128,128,.55); border-radius: 8px; padding: 8px 12px; margin: 6px 0;
 background: rgba(128,128,128,.07)}
.loopjax .flow {display: flex; align-items: center; gap: 8px; margin: 6px 0}
.loopjax .flow > .loop {flex: 1; min-width: 22em; border-left: 4px solid #3d8fd1}
.loopjax .flow > .differentiated {border-left-color: #d1793d}
.loopjax .parts {flex: 0 1 15em; display: flex; flex-direction: column; gap: 4px}
.loopjax .loop .flow {flex-direction: column; align-items: stretch}
.loopjax .loop .flow > .loop {min-width: 0}
.loopjax .loop .parts {flex: none; flex-flow: row wrap}
.loopjax .loop .arrow {align-self: center; transform: rotate(90deg)}
.loopjax .part {border: 1px solid rgba(128,128,128,.4); border-radius: 6px; padding: 1px 7px; overflow-wrap: anywhere}
.loopjax .dim {opacity: .72}
.loopjax .kind {border-radius: 9px; padding: 0 8px; margin-left: 6px; background: rgba(61,143,209,.25)}
.loopjax ul {margin: 4px 0 0; padding-left: 1.3em}
.loopjax svg {display: block; margin: 6px 0; fill: none; stroke: currentColor; overflow: visible}
.loopjax code {font-size: 12px; background: none; color: inherit; padding: 0}
"""

ARROW = '<span class="dim arrow">&#10142;</span>'

SIDE = 14
"""Width and height of a step, in pixels."""

SHOWN = 8
"""Steps that are drawn at most: of a longer loop the first few, dots, and the last."""


def render(
    title: str, stages: Sequence[Sequence[LoopReport]], tunings: Sequence[Sequence[str]], remarks: Sequence[str]
) -> str:
    """The loops of each stage, what tuning found for it, and remarks on the program, as HTML."""
    parts = [f"<style>{STYLE}</style>", f"<b>{escape(title)}</b>"]
    for number, (stage, tuning) in enumerate(zip(stages, tunings, strict=True), start=1):
        inside = "".join(_loops(stage)) or '<span class="dim">no loops</span>'
        inside += f"<details><summary>{escape(tuning[0])}</summary>{_items(tuning[1:])}</details>" if tuning else ""
        if len(stages) > 1:
            inside = f'<div class="box"><span class="dim">stage {number}</span>{inside}</div>'
        parts.append(inside)
    return f'<div class="loopjax">{"".join(parts)}{_items(remarks)}</div>'


def _loops(loops: Sequence[LoopReport]) -> Iterator[str]:
    """The outermost loops, each with its inner loops: those after it that are nested deeper."""
    starts = [place for place, loop in enumerate(loops) if loop.depth == loops[0].depth]
    for start, stop in pairwise([*starts, len(loops)]):
        yield _loop(loops[start], loops[start + 1 : stop])


def _loop(loop: LoopReport, inner: Sequence[LoopReport]) -> str:
    """A loop between its operands and its results."""
    kind = "not lowered yet" if loop.plan is None else loop.plan.kind
    head = f"<b>{escape(loop.name)}</b> <span class='dim'>{escape(loop.line.strip())}</span> {escape(loop.steps)}"
    lines = [f"<div>{head}<span class='kind'>{kind}</span></div>", _steps(loop)]
    if loop.plan is not None:
        lines.append(f"<div class='dim'>{escape(loop.plan.reason)}</div>")
    facts = [*loop.details, *([str(loop.step)] if loop.step else [])]
    lines += [_items(facts), *_loops(inner)]
    if loop.notes:
        lines.append(f"<div>rewritten:{_items(loop.notes)}</div>")
    marked = " differentiated" if loop.differentiated else ""
    box = f'<div class="box loop{marked}">{"".join(lines)}</div>'
    return f'<div class="flow">{_parts(loop.enters)}{ARROW}{box}{ARROW}{_parts(loop.leaves)}</div>'


def _parts(parts: Sequence[Part]) -> str:
    shown = [
        f'<div class="part"><b>{escape(part.name)}</b> <code>{escape(part.type)}</code>'
        f'<br><span class="dim">{escape(part.role)}</span></div>'
        for part in parts
    ]
    return f'<div class="parts">{"".join(shown)}</div>'


def _items(lines: Iterable[str]) -> str:
    shown = "".join(f"<li>{escape(line.strip())}</li>" for line in lines)
    return f"<ul>{shown}</ul>" if shown else ""


def _steps(loop: LoopReport) -> str:
    """The steps as squares: joined by arrows where a step needs the one before, framed where several make an iteration,
    dashed where they may not run."""
    plan = loop.plan
    if plan is None or not loop.n_steps or plan.kind == "empty":
        return ""
    few = loop.n_steps <= SHOWN
    places = list(range(loop.n_steps)) if few else [*range(SHOWN - 2), SHOWN - 1]
    in_turn = plan.kind not in ("vmap", "batched", "associative")
    pitch = SIDE * (2 if in_turn else 1) + 2
    shapes = []
    for place in places:
        last_of_many = not few and place == SHOWN - 1
        x = place * pitch
        dashed = ' stroke-dasharray="3 2"' if loop.varies and place else ""
        shapes.append(f'<rect x="{x}" y="4" width="{SIDE}" height="{SIDE}" rx="3"{dashed}/>')
        if in_turn and place and not last_of_many:
            shapes.append(f'<path d="M{x - pitch + SIDE + 2} {4 + SIDE / 2} h{pitch - SIDE - 5} m-4 -3 l4 3 l-4 3"/>')
    if not few:
        shapes.append(f'<path d="M{(SHOWN - 2) * pitch} {4 + SIDE / 2} h{pitch - 6}" stroke-dasharray="2 4"/>')
    if plan.unroll > 1:
        width = (min(plan.unroll, SHOWN if few else SHOWN - 2) - 1) * pitch + SIDE + 6
        shapes.append(f'<rect x="-3" y="0" width="{width}" height="{SIDE + 8}" rx="5" opacity=".55"/>')
    return f'<svg width="{SHOWN * pitch}" height="{SIDE + 8}" role="img"><title>steps</title>{"".join(shapes)}</svg>'
