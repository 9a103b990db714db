"""Pictures of loops as SVG, for ``explain``: operands above a loop, its box, and below it what is kept.

A picture is a list of blocks of one width, one block per outermost loop with the work that moved out of it before and
after it. In a notebook each block is an SVG of its own and the page sets them in columns; so does a file. All text lies
on filled shapes and colours follow ``prefers-color-scheme``, so that a picture reads on any page. Text is measured by
estimates of its width, since nothing that sets type is needed to import or to run this.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from itertools import pairwise

from loopjax.report.loops import LoopReport, Part, at_step

WIDTH = 420
"""The width of a block in pixels: a phone's, or half of a page's."""

GAP = 16
"""Pixels between blocks."""

SIDE = 14
"""Width and height of a step, in pixels."""

SHOWN = 8
"""Steps that are drawn at most: of a longer loop the first few, dots, and the last."""

MOST = 6
"""Operands, states and results that are drawn at most, of each."""

_LIGHT = {
    "text": "fill:#1f2328",
    "dim": "fill:#59636e",
    "box": "fill:#ffffff;stroke:#aab4bf",
    "line": "stroke:#6e7781;fill:none",
    "arrow": "stroke:#818b98;fill:none;stroke-width:1.5",
    "sequence": "fill:#ddf4ff;stroke:#54aeff",
    "state": "fill:#fff1e5;stroke:#fb8f44",
    "key": "fill:#fbefff;stroke:#c297ff",
    "constant": "fill:#f1f3f5;stroke:#aab4bf",
    "result": "fill:#dafbe1;stroke:#4ac26b",
    "kept": "fill:#2da44e;stroke:#2da44e",
    "pill": "fill:#0969da;stroke:none",
    "gradient": "fill:#bc4c00;stroke:none",
}
_DARK = {
    "text": "fill:#f0f6fc",
    "dim": "fill:#a3adb8",
    "box": "fill:#151b23;stroke:#4c555f",
    "line": "stroke:#9198a1;fill:none",
    "sequence": "fill:#10263f;stroke:#388bfd",
    "state": "fill:#34200f;stroke:#db6d28",
    "key": "fill:#281f40;stroke:#8957e5",
    "constant": "fill:#252c35;stroke:#5b6570",
    "result": "fill:#10291b;stroke:#2ea043",
    "kept": "fill:#3fb950;stroke:#3fb950",
}
_FONTS = """
.loopjax text {font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 12px; stroke: none}
.loopjax .name {font-weight: 600} .loopjax .head {font-weight: 600; font-size: 15px}
.loopjax .type {font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 11px}
.loopjax .on {fill: #ffffff; font-weight: 600}
"""
_KINDS = {"outputs_info": "state", "sequences": "sequence"}
POSITION = r"(outputs_info|sequences)\[(\d+)\]"
"""The name of an argument that has none of its own."""

_DARK_PAGES = ('[data-theme="dark"] ', '[data-jp-theme-light="false"] ')
"""Selectors of pages whose reader chose dark: of documentation and of JupyterLab."""


def _rules(colours: dict[str, str], page: str = "") -> str:
    return "".join(f"{page}.loopjax .{name}{{{style}}}" for name, style in colours.items())


STYLE = (
    f"<style>{_FONTS}{_rules(_LIGHT)}@media (prefers-color-scheme: dark){{{_rules(_DARK)}}}"
    f"{''.join(_rules(_DARK, page) for page in _DARK_PAGES)}</style>"
)


@dataclass
class Block:
    """Shapes of ``width`` pixels, from the top down to ``y``."""

    width: float
    left: float = 0
    y: float = 0
    shapes: list[str] = field(default_factory=list)

    @property
    def right(self) -> float:
        return self.left + self.width

    def text(self, x: float, y: float, text: str, kind: str = "text", anchor: str = "start") -> None:
        self.shapes.append(f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str, radius: float = 6) -> None:
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" class="{kind}"/>'
        )

    def path(self, drawn: str, kind: str = "line", dashes: str = "") -> None:
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.shapes.append(f'<path d="{drawn}" class="{kind}"{dashed}/>')

    def paragraph(self, text: str, kind: str = "dim", bullet: str = "") -> None:
        """Text in lines of the block's width."""
        indent = 14 if bullet else 0
        if bullet:
            self.text(self.left, self.y + 12, bullet, kind)
        for line in textwrap.wrap(text, int((self.width - indent) / 6.1), break_long_words=True) or [""]:
            self.text(self.left + indent, self.y + 12, line, kind)
            self.y += 16

    def arrow_down(self) -> None:
        self.path(f"M{self.left + self.width / 2:g} {self.y + 3:g} v13 m-5 -5 l5 5 l5 -5", "arrow")
        self.y += 21

    def chips(self, chips: Sequence[Chip]) -> None:
        """Chips in rows from left to right."""
        shown = list(chips[: MOST if len(chips) > MOST + 1 else None])
        if len(shown) < len(chips):
            shown.append(Chip("constant", f"and {len(chips) - len(shown)} more", ""))
        x = self.left
        for chip in shown:
            width = min(chip.width, self.width)
            if x > self.left and x + width > self.right:
                x, self.y = self.left, self.y + 46
            chip.draw(self, x, width)
            x += width + 8
        self.y += 42 if chips else 0


@dataclass
class Chip:
    """An operand or a result: its name, its type, and the steps of it that are kept."""

    kind: str
    name: str
    type: str
    kept: str = ""

    @property
    def width(self) -> float:
        return max(_width(self.name, 12, 0.6), _width(self.type, 11, 0.62) + bool(self.kept) * 66) + 18

    def draw(self, block: Block, x: float, width: float) -> None:
        y = block.y
        block.rectangle(x, y, width, 40, self.kind)
        block.text(x + 9, y + 16, _cut(self.name, (width - 18) / 7.2), "text name")
        block.text(x + 9, y + 32, _cut(self.type, (width - 18) / 6.8), "dim type")
        if self.kept:
            _kept(block, x + width - 64, y + 24, self.kept)


def _width(text: str, size: float, share: float) -> float:
    return len(text) * size * share


def _cut(text: str, letters: float) -> str:
    return text if len(text) <= letters + 0.01 else text[: max(1, int(letters) - 1)] + "\N{HORIZONTAL ELLIPSIS}"


def _kept(block: Block, x: float, y: float, kept: str) -> None:
    """Steps as small squares, those that are kept filled; one of twice the width for a reduction."""
    patterns = {"all": range(6), "last": (5,), "every": range(1, 6, 2)}
    filled = patterns.get(kept.split()[0])
    if filled is None:
        block.rectangle(x + 36, y, 17, 8, "kept", 2)
        return
    for place in range(6):
        block.rectangle(x + place * 9, y, 7, 8, "kept" if place in filled else "line", 2)


def html(title: str, lines: Sequence[str], loops: Sequence[Block]) -> str:
    """A heading and blocks as HTML that wraps them, each an SVG."""
    heading, *shown = (
        f'<svg viewBox="-1 -1 {block.width + 2:g} {block.y + 2:g}" width="{block.width + 2:g}" role="img" '
        f'style="display:block;margin-bottom:{GAP}px;break-inside:avoid;max-width:100%;height:auto">'
        f"{''.join(block.shapes)}</svg>"
        for block in (_heading(title, lines, WIDTH), *loops)
    )
    columns = f"columns:{min(len(loops), 9)} {WIDTH + 2}px;column-gap:{GAP}px;max-width:{len(loops) * (WIDTH + GAP)}px"
    return f'<div class="loopjax">{STYLE}<div>{heading}</div><div style="{columns}">{"".join(shown)}</div></div>'


def svg(title: str, lines: Sequence[str], loops: Sequence[Block], width: int) -> str:
    """A heading and blocks in columns, down the first and then the next, as one SVG."""
    n_columns = max(1, min(len(loops), (width + GAP) // (WIDTH + GAP)))
    wide = n_columns * (WIDTH + GAP) - GAP
    heading = _heading(title, lines, wide)
    placed, high = [(0, 0.0, heading)], heading.y + GAP
    for column, blocks in enumerate(_columns(loops, n_columns)):
        y = heading.y + GAP
        for block in blocks:
            placed.append((column * (WIDTH + GAP), y, block))
            y += block.y + GAP
        high = max(high, y)
    high -= GAP
    shapes = [f'<g transform="translate({x:g} {y:g})">{"".join(one.shapes)}</g>' for x, y, one in placed]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="loopjax" viewBox="-1 -1 {wide + 2} {high + 2:g}" '
        f'width="{wide + 2}" height="{high + 2:g}" role="img"><title>{escape(title)}</title>{STYLE}'
        f"{''.join(shapes)}</svg>"
    )


def _columns(blocks: Sequence[Block], count: int) -> list[Sequence[Block]]:
    """Blocks in columns, in their order, the longest column as short as it can be."""

    @cache
    def split(start: int, count: int) -> tuple[float, tuple[int, ...]]:
        """Return the height of the longest column of the blocks from ``start`` on, and where each column ends."""
        if count == 1:
            return sum(block.y + GAP for block in blocks[start:]), (len(blocks),)
        found = []
        for end in range(start + 1, len(blocks) - count + 2):
            longest, ends = split(end, count - 1)
            found.append((max(longest, sum(block.y + GAP for block in blocks[start:end])), (end, *ends)))
        return min(found)

    return [blocks[start:stop] for start, stop in pairwise((0, *split(0, count)[1]))]


def picture(stages: Sequence[Sequence[LoopReport]]) -> list[Block]:
    """A block for each outermost loop and what moved out of it, in the order in which they run."""
    found: list[Block] = []
    for number, stage in enumerate(stages, start=1):
        where = f"stage {number} of {len(stages)}" if len(stages) > 1 else ""
        before: LoopReport | None = None
        for loop, inner in _nests(stage):
            is_after = before is not None and _moved(loop, before, "loop_epilogue")
            if before is None or not (is_after or _moved(before, loop, "loop_prologue")):
                found.append(Block(WIDTH))
            elif is_after:
                found[-1].arrow_down()
            following = next((one for one, _ in _nests(stage) if _moved(loop, one, "loop_prologue")), None)
            part = ", after the loop" if is_after else ", before the loop" if following else ""
            own = [one for one in loop.enters if not (is_after and one.name.startswith(f"{loop.name}."))]
            shown = loop._replace(enters=tuple(own), leaves=() if following else loop.leaves)
            _loop(found[-1], shown, inner, f"{len(found)}. ", where, part)
            if following:
                found[-1].arrow_down()
            before = loop
    return found


def _moved(part: LoopReport, loop: LoopReport, rewrite: str) -> bool:
    """Test if a loop is the work that a rewrite took out of another one."""
    is_own = part is not loop and (part.name, part.line) == (loop.name, loop.line) and not part.notes
    return is_own and any(note.startswith(rewrite) for note in loop.notes)


def _nests(loops: Sequence[LoopReport]) -> Iterator[tuple[LoopReport, Sequence[LoopReport]]]:
    """The outermost loops, each with its inner loops: those after it that are nested deeper."""
    starts = [place for place, loop in enumerate(loops) if loop.depth == loops[0].depth]
    for start, stop in pairwise([*starts, len(loops)]):
        yield loops[start], loops[start + 1 : stop]


def _heading(title: str, lines: Iterable[str], width: float) -> Block:
    block = Block(width)
    inside = Block(width - 24, 12, 8)
    inside.paragraph(title, "text name")
    for line in lines:
        inside.paragraph(line, bullet="\N{BULLET}")
    block.rectangle(0, 0, width, inside.y + 8, "box", 8)
    block.shapes += inside.shapes
    block.y = inside.y + 8
    return block


def _loop(
    block: Block, loop: LoopReport, inner: Sequence[LoopReport], which: str = "", stage: str = "", part: str = ""
) -> None:
    """A loop below its operands and above its results."""
    block.chips([_operand(part) for part in loop.enters])
    if loop.enters:
        block.arrow_down()
    top = block.y
    inside = Block(block.width - 28, block.left + 14, top + 8)
    _head(inside, loop, which, stage, part)
    _steps(inside, loop)
    states = [part for part in loop.enters if part.kind == "state" and part.taps]
    for state in states[:MOST]:
        _state(inside, state)
    if len(states) > MOST:
        inside.paragraph(f"and {len(states) - MOST} more states")
    if loop.step is not None:
        inside.y += 2
        for number, (amount, meaning) in enumerate(loop.step.amounts):
            inside.text(inside.left + 100, inside.y + 12, amount, "text name", "end")
            inside.text(inside.left + 108, inside.y + 12, meaning, "dim")
            inside.y += 16 if number + 1 < len(loop.step.amounts) else 18
    _remarks(inside, loop)
    for one, others in _nests(inner):
        inside.y += 6
        _loop(inside, one, others)
    block.shapes.append(
        f'<rect x="{block.left:g}" y="{top:g}" width="{block.width:g}" height="{inside.y + 8 - top:g}" rx="8" '
        f'class="box"/>'
    )
    block.rectangle(block.left, top + 8, 4, inside.y - 8 - top, "gradient" if loop.differentiated else "pill", 2)
    block.shapes += inside.shapes
    block.y = inside.y + 8
    if loop.leaves:
        block.arrow_down()
    block.chips([Chip("result", f"{_short(part.name)}: {part.role}", part.type, part.role) for part in loop.leaves])


def _operand(part: Part) -> Chip:
    """The chip of an operand, with the rows of it that a step reads."""
    name = _short(part.name)
    if part.kind == "sequence":
        name = ", ".join(f"{name}[{at_step(tap)}]" for tap in part.taps)
    elif part.kind == "state" and part.name != part.state:
        name = f"{name}, start of {_short(part.state)}"
    return Chip(part.kind, name, part.type)


def _short(name: str) -> str:
    """A name, or the position of what has none."""
    return re.sub(f"^{POSITION}", _named, name)


def _named(found: re.Match[str]) -> str:
    return f"{_KINDS[found[1]]} {found[2]}"


def _head(block: Block, loop: LoopReport, which: str, stage: str, part: str) -> None:
    """Name, kind, number of steps and the reason of the plan."""
    kind = "not lowered yet" if loop.plan is None else loop.plan.kind
    width = _width(kind, 12, 0.62) + 16
    block.text(block.left, block.y + 15, _cut(which + loop.name + part, (block.width - width) / 9), "text head")
    block.rectangle(block.right - width, block.y, width, 20, "pill", 10)
    block.text(block.right - width / 2, block.y + 14, kind, "on", "middle")
    block.y += 22
    facts = [loop.steps, loop.line.strip(" []"), stage, "differentiated" * loop.differentiated]
    block.paragraph(" \N{MIDDLE DOT} ".join(fact for fact in facts if fact), "text")
    if loop.plan is not None:
        block.paragraph(loop.plan.reason)
    block.y += 2


def _remarks(block: Block, loop: LoopReport) -> None:
    """The other facts of the plan, and what rewrites did."""
    moved = [note for note in loop.notes if " loop" in note or "moved out" in note]
    others = [note for note in loop.notes if note not in moved]
    for lines, bullet, kind in ((moved, "\N{UPWARDS ARROW FROM BAR}", "text"), (others, "\N{BULLET}", "dim")):
        for line in lines[:MOST]:
            block.paragraph(re.sub(POSITION, _named, line), kind, bullet)
        if len(lines) > MOST:
            block.paragraph(f"and {len(lines) - MOST} more", kind, bullet)
    for line in loop.details:
        if line != "differentiated" and not line.startswith("keeps "):
            block.paragraph(line, "dim", "\N{BULLET}")


def _state(block: Block, part: Part) -> None:
    """The steps of a state that a step reads, an arrow to the one it computes, and one back."""
    cells = [*(at_step(tap) for tap in sorted(part.taps)), "t"]
    most = (block.width - 24) / len(cells) - 14
    x, y, middles = block.left, block.y + 2, []
    for place, cell in enumerate(cells):
        label = _cut(f"{_short(part.state)}[{cell}]", most / 6.6)
        width = _width(label, 11, 0.62) + 12
        if place == len(cells) - 1:
            block.path(f"M{x + 1:g} {y + 11:g} h14 m-4 -4 l4 4 l-4 4")
            x += 19
        block.rectangle(x, y, width, 22, "state", 4)
        block.text(x + 6, y + 15, label, "text type")
        middles.append(x + width / 2)
        x += width + 5
    block.path(f"M{middles[-1]:g} {y + 22:g} v7 H{middles[-2]:g} v-6 m-4 4 l4 -4 l4 4")
    if len(middles) > 2:
        block.path(f"M{middles[-2] - 6:g} {y + 22:g} v7 H{middles[0]:g} v-6 m-4 4 l4 -4 l4 4", dashes="3 2")
    block.y += 38


def _steps(block: Block, loop: LoopReport) -> None:
    """The steps as squares: joined by arrows where a step needs the one before, framed where several make an iteration,
    dashed where they may not run."""
    plan = loop.plan
    if plan is None or not loop.n_steps or plan.kind == "empty":
        return
    few = loop.n_steps <= SHOWN
    places = list(range(loop.n_steps)) if few else [*range(SHOWN - 2), SHOWN - 1]
    in_turn = plan.kind not in ("vmap", "batched", "associative")
    pitch = SIDE * (2 if in_turn else 1) + 2
    left, top = block.left + 3, block.y + 4
    middle = top + SIDE / 2
    for place in places:
        last_of_many = not few and place == SHOWN - 1
        x = left + place * pitch
        dashed = "3 2" if loop.varies and place else ""
        block.path(f"M{x:g} {top:g} h{SIDE} v{SIDE} h-{SIDE} z", dashes=dashed)
        if in_turn and place and not last_of_many:
            block.path(f"M{x - pitch + SIDE + 2:g} {middle:g} h{pitch - SIDE - 5} m-4 -3 l4 3 l-4 3")
    if not few:
        block.path(f"M{left + (SHOWN - 2) * pitch + 1:g} {middle:g} h{pitch - 4}", dashes="2 3")
    if plan.unroll > 1:
        width = (min(plan.unroll, SHOWN if few else SHOWN - 2) - 1) * pitch + SIDE + 6
        block.rectangle(left - 3, top - 4, width, SIDE + 8, "line", 5)
    block.y += SIDE + 14
