"""``explain``: what it says of loops, in words and as a picture."""

import html.parser
import re
import xml.etree.ElementTree

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.report.loops import in_bytes, quantity
from loopjax.report.svg import WIDTH, Block, _columns
from loopjax.rewrite import cost_model


def network(**options):
    x, W, h0 = at.dmatrix("x"), at.dmatrix("W"), at.dvector("h0")
    h, _ = loopjax.scan(
        lambda u, h, W: at.tanh(u + h @ W), sequences=x, outputs_info=h0, non_sequences=W, name="network"
    )
    error = (h[-1] ** 2).sum()
    f = loopjax.function([x, W, h0], [error, loopjax.grad(error, W)], name="model", **options)
    return f, (np.ones((10, 4)), np.ones((4, 4)), np.zeros(4))


class TestText:
    def test_of_a_gradient(self):
        f, arguments = network(mode="FAST_COMPILE")
        f(*arguments)
        lines = str(loopjax.explain(f)).split("\n")
        assert lines[0] == "model: 1 stage, 1 loop"
        assert re.fullmatch(
            r"scan 'network' \[test_explain.py:\d+\]: 10 steps -> scan: each step needs the one before", lines[1]
        )
        assert lines[2] == "  keeps all of h0; differentiated; stacks 320 bytes"
        # 2 * 16 for the product, 4 for the sum and 4 for tanh; each of the three values is stored, and the state.
        assert re.fullmatch(
            r"  a step: about 40 operations on \d+ bytes, 32 bytes handed to the next, up to 128 bytes stored for the "
            r"gradient",
            lines[3],
        )
        assert len(lines) == 4

    def test_of_what_a_rewrite_did(self):
        k = at.lscalar("k")
        sums, _ = loopjax.scan(lambda i, so_far: so_far + i, sequences=at.arange(k), outputs_info=np.int64(0))
        f = loopjax.function([k], sums[-1])
        assert int(f(5)) == 10
        assert "  rewritten: sequences[0], a range, is counted in the carry" in str(loopjax.explain(f)).split("\n")
        g = loopjax.function([k], sums[-1], mode="FAST_COMPILE")
        assert int(g(5)) == 10
        assert "rewritten" not in str(loopjax.explain(g))

    def test_of_sums_over_the_steps(self):
        k = at.lscalar("k")
        out, _ = loopjax.scan(lambda h: h * 2, outputs_info=np.float64(1), n_steps=k, name="powers")
        f = loopjax.function([k], [out.sum(), out[3]])
        f(5)
        (loop,) = loopjax.explain(f).loops
        assert set(loop.outputs) == {"the sum of h", "step 3 of h"}
        assert {(part.name, part.role) for part in loop.leaves} == {
            ("h", "the sum"),
            ("h", "step 3"),
        }

    def test_before_a_call_shapes_are_not_known(self):
        f, _ = network()
        (loop,) = loopjax.explain(f).loops
        assert (loop.plan, loop.step, loop.details) == (None, None, ())
        assert str(loop).endswith("a run-time number of steps; not lowered yet: call the function first")

    def test_stages_are_apart(self):
        limit = at.dscalar("limit")
        p, _ = loopjax.scan(lambda p: (p * 2, loopjax.until(p * 2 > limit)), outputs_info=np.float64(1), n_steps=9999)
        f = loopjax.function([limit], loopjax.map(lambda v: v + 1, p)[0])
        f(100.0)
        lines = str(loopjax.explain(f)).split("\n")
        assert lines[0] == "function: 2 stages, 2 loops"
        assert lines[1] == "stage 1:"
        assert "up to 9,999 steps -> while: it stops when until says so" in lines[2]
        assert "stage 2:" in lines


class TestParts:
    def test_by_their_names_and_what_they_are_to_the_loop(self):
        x, start, total = at.dvector("x"), at.dvector("start"), loopjax.shared(np.float64(0), name="total")
        stream = at.random.RandomStream(1)

        def step(now, later, older, old, factor):
            return factor * (now + later + older + old) + stream.normal(), {total: total + now}

        out, updates = loopjax.scan(
            step,
            sequences={"input": x, "taps": [0, 2]},
            outputs_info={"initial": start, "taps": [-3, -1]},
            non_sequences=2 * x[0],
        )
        f = loopjax.function([x, start], out, updates=updates, mode=loopjax.Mode().excluding("loop_prologue"))
        f(np.ones(8), np.ones(3))
        (loop,) = loopjax.explain(f).loops
        assert [part[:3] for part in loop.enters] == [
            ("x", "a row a step, taps 0, 2", "float64(8,)"),
            ("start", "where start starts, taps -3, -1", "float64(3,)"),
            ("total", "shared state", "float64()"),
            (loop.enters[3].name, "random key", "key()"),
            ("2.0 * index(...)", "the same at every step", "float64()"),
        ]
        assert [part[:3] for part in loop.leaves] == [
            ("start", "all", "float64(6,)"),
            ("shared state", "after the last step", "float64()"),
        ]

    def test_inner_loops_know_the_names_outside(self):
        x, y = at.dvector("x"), at.dvector("y")

        def outer(a, s):
            inner, _ = loopjax.scan(lambda b, h: h * a + b, sequences=y, outputs_info=s)
            return inner[-1]

        out, _ = loopjax.scan(outer, sequences=x, outputs_info=np.float64(0), name="outer")
        cost = out[-1] ** 2
        f = loopjax.function([x, y], loopjax.grad(cost, [x, y]))
        f(np.ones(3), np.ones(4))
        first, second = loopjax.explain(f).loops
        assert [part.name for part in first.enters if part.type != "int64()"] == ["x", "0.0", "y"]
        assert (first.depth, second.depth, first.differentiated, second.differentiated) == (0, 1, True, True)
        assert [part.name for part in second.enters] == ["y", "s", "x[t]"]


class Page(html.parser.HTMLParser):
    """Reads a picture: its text, and whether every element is closed."""

    VOID = ("rect", "path")

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.tags, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


class TestPicture:
    def test_has_what_the_text_has(self):
        f, arguments = network()
        f(*arguments)
        report = loopjax.explain(f)
        page = Page(report._repr_html_())
        assert not page.open
        (loop,) = report.loops
        kept = [f"{part.name}: {part.role}" for part in loop.leaves]
        others = [line for line in loop.details if line[:5] not in ("keeps", "diffe")]
        amounts = [text for pair in loop.step.amounts for text in pair]
        for text in (
            report.title,
            "network",
            "10 steps",
            "scan",
            "x[t]",
            "W",
            "h0[t-1]",
            "float64(10, 4)",
            *others,
            *kept,
        ):
            assert text in " ".join(page.texts), text
        assert set(amounts) <= set(page.texts)

    def test_needs_nothing_else(self):
        f, arguments = network()
        f(*arguments)
        page = Page(loopjax.explain(f)._repr_html_())
        assert not {"script", "link", "img", "iframe"}.intersection(page.tags)
        assert not [value for name, value in page.attributes if name in ("src", "href", "onclick")]

    def test_of_loops_in_loops_and_stages(self):
        limit = at.dscalar("limit")
        p, _ = loopjax.scan(lambda p: (p * 2, loopjax.until(p * 2 > limit)), outputs_info=np.float64(1), n_steps=9999)

        def outer(a, s):
            return loopjax.scan(lambda h: h * a, outputs_info=s, n_steps=3, name="inner")[0][-1]

        out, _ = loopjax.scan(outer, sequences=p, outputs_info=np.float64(1), name="outer")
        f = loopjax.function([limit], out[-1])
        f(100.0)
        text = loopjax.explain(f)._repr_html_()
        page = Page(text)
        assert not page.open
        assert text.index("stage 1") < text.index("outer") < text.index("stage 2") < text.index("inner")
        assert page.tags.count("svg") == 3  # the heading and the two outermost loops

    def test_names_are_text(self):
        x = at.dvector("<b>&x")
        out, _ = loopjax.map(lambda v: v * 2, x, name="<script>")
        f = loopjax.function([x], out, name="a<b")
        f(np.ones(3))
        page = Page(loopjax.explain(f)._repr_html_())
        assert "script" not in page.tags
        assert "1. <script>" in page.texts
        assert "<b>&x[t]" in page.texts

    def test_before_a_call_and_without_loops(self):
        f, _ = network()
        assert "not lowered yet" in loopjax.explain(f)._repr_html_()
        x = at.dvector("x")
        assert "1 stage, 0 loops" in loopjax.explain(loopjax.function([x], x + 1))._repr_html_()

    @pytest.mark.parametrize(("width", "columns"), [(860, 2), (400, 1)])
    def test_saved_in_columns(self, tmp_path, width, columns):
        x = at.dvector("x")
        outs = [loopjax.scan(lambda v, s: v + s, x, np.float64(k), name=f"loop{k}")[0][-1] for k in (1, 2)]
        f = loopjax.function([x], [outs[0], at.exp(outs[1])], mode="FAST_COMPILE")
        f(np.ones(30))
        report = loopjax.explain(f)
        report.save(tmp_path / "plan.svg", width=width)
        root = xml.etree.ElementTree.parse(tmp_path / "plan.svg").getroot()
        assert len(report.loops) == 2
        assert float(root.get("width")) == columns * 436 - 16 + 2
        places = [one.get("transform") for one in root.iter("{http://www.w3.org/2000/svg}g")]
        assert len({place.split()[0] for place in places}) == columns
        inside = root.iter("{http://www.w3.org/2000/svg}rect")
        assert all(float(one.get("x")) + float(one.get("width")) <= columns * 436 - 15 for one in inside)

    def test_what_moved_out_is_drawn_with_its_loop(self):
        x, W = at.dmatrix("x"), at.dmatrix("W")
        h, _ = loopjax.scan(lambda x, h: at.tanh(x @ W + h), sequences=x, outputs_info=np.zeros(3), name="network")
        f = loopjax.function([x, W], h[-1])
        f(np.ones((20, 4)), np.ones((4, 3)))
        assert len(loopjax.explain(f).loops) == 2
        page = Page(loopjax.explain(f)._repr_html_())
        assert page.tags.count("svg") == 2  # the heading and one block
        heads = [text for text in page.texts if text.startswith("1. ")]
        assert heads == ["1. network, before the loop", "1. network"]

    def test_columns_are_as_short_as_their_order_allows(self):
        blocks = [Block(WIDTH, y=height) for height in (300, 300, 100, 500)]
        assert _columns(blocks, 2) == [blocks[:2], blocks[2:]]
        assert _columns(blocks, 1) == [blocks]

    def test_saved_as_svg_only(self, tmp_path):
        f, _ = network()
        with pytest.raises(ValueError, match=r"file is .*plan.png'; expected a name that ends in \.svg"):
            loopjax.explain(f).save(tmp_path / "plan.png")

    def test_taps_and_what_is_kept(self):
        x = at.dvector("x")
        y, _ = loopjax.scan(
            lambda a, b, y2, y1: a - b + 0.5 * y1 * y1 - 0.2 * y2,
            sequences={"input": x, "taps": [-2, 0]},
            outputs_info={"initial": at.zeros(2, dtype="float64"), "taps": [-2, -1]},
        )
        f = loopjax.function([x], y[-1])
        f(np.ones(30))
        (loop,) = loopjax.explain(f).loops
        sequence, state = loop.enters
        assert (sequence.kind, sequence.taps) == ("sequence", (-2, 0))
        assert (state.kind, state.taps, state.state) == ("state", (-2, -1), "y")
        page = Page(loopjax.explain(f)._repr_html_())
        assert {"x[t-2], x[t]", "y[t-2]", "y[t-1]", "y[t]"} <= set(page.texts)
        assert sum(one == ("class", "kept") for one in page.attributes) == 1


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1 byte"), (24, "24 bytes"), (9999, "9,999 bytes"), (34304, "34.3 kB"), (2.5e9, "2.5 GB")]
)
def test_bytes(number, text):
    assert in_bytes(int(number)) == text


def test_quantities():
    assert quantity(1, "step") == "1 step"
    assert quantity(12_000, "step") == "12,000 steps"
    assert quantity(2_345_678, "operation") == "2.35 million operations"


def test_costs_of_products():
    x, y = at.tensor(dtype="float32", shape=(3, 5)), at.tensor(dtype="float32", shape=(5, 7))
    assert cost_model.cost(Graph([x, y], [x @ y])).flops == 2 * 3 * 5 * 7
    assert cost_model.cost(Graph([x, y], [at.tensordot(x, y, 1)])).flops == 2 * 3 * 5 * 7
    assert cost_model.cost(Graph([x], [at.exp(x).sum()])).flops == 30


def test_a_stream_that_no_update_advances_is_reported():
    stream = loopjax.random.RandomStream(1)
    draws, updates = loopjax.scan(lambda: stream.normal(), n_steps=3)
    still, moving = loopjax.function([], draws), loopjax.function([], draws, updates=updates)
    still()
    moving()
    assert "never advanced: every call draws the same numbers" in str(loopjax.explain(still))
    assert "never advanced" not in str(loopjax.explain(moving))


def test_the_plan_of_the_last_call_is_there_after_every_call():
    x, w = at.dvector("x"), at.dscalar("w")
    h, _ = loopjax.scan(
        lambda u, h, w: (at.tanh(h * w + u), loopjax.until(h > 0.9)), x, np.float64(0.1), non_sequences=w
    )
    cost = (at.cumsum(h) ** 2).sum()
    f = loopjax.function([x, w], loopjax.grad(cost, w))
    for n in (3, 4, 7, 9, 5):
        f(np.full(n, 0.1), 0.8)
        assert loopjax.explain(f).loops[0].plan is not None


@pytest.mark.parametrize("under", [lambda f: f, jax.grad])
def test_the_plan_of_a_function_that_ran_inside_of_jax_alone(under):
    x = at.fvector("x")
    total, _ = loopjax.scan(lambda x_t, s: at.tanh(x_t + s), x, at.zeros((), dtype="float32"))
    f = loopjax.function([x], total[-1])
    jax.jit(under(f))(np.ones(4, "float32"))
    (loop,) = loopjax.explain(f).loops
    assert loop.n_steps == 4
    assert loop.plan is not None
    assert "not lowered" not in str(loopjax.explain(f))


def test_checks_of_lengths_have_the_names_of_what_they_check():
    x, lengths = at.dmatrix("x"), at.lvector("lengths")
    out, _ = loopjax.scan(lambda x_t, h: at.tanh(h + at.exp(x_t)), x, np.zeros(2), lengths=lengths, name="loop")
    f = loopjax.function([x, lengths], out)
    f(np.ones((4, 2)), [4, 2])
    found = [part.name for loop in loopjax.explain(f).loops for part in (*loop.enters, *loop.leaves)]
    assert {"x", "lengths"} <= set(found)
    assert not [name for name in found if any(word in name for word in ("of_batch", "example_lengths", "hoisted"))]
