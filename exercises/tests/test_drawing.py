"""Diagrams as pictures: all is drawn, nothing lies on something else, and a screen reader gets the text."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from exercises.course.diagrams import Link, Message, as_text, read
from exercises.course.drawing import draw
from exercises.course.layout import Box, place
from exercises.tests.test_diagrams import DIAGRAMS

SIZE = (100.0, 40.0)


def placed(*arrows: str) -> dict[str, Box]:
    pairs = [(arrow[0], arrow[1]) for arrow in arrows]
    return place({name: SIZE for pair in pairs for name in pair}, pairs).boxes


def overlap(one: Box, other: Box) -> bool:
    return (
        abs(one.x - other.x) < (one.width + other.width) / 2
        and abs(one.y - other.y) < (one.height + other.height) / 2
    )


class TestLayout:
    def test_an_arrow_runs_from_left_to_right(self):
        boxes = placed("ab", "bc", "ac")
        assert boxes["a"].x < boxes["b"].x < boxes["c"].x

    def test_no_node_lies_on_another(self):
        boxes = placed("ab", "ac", "ad", "be", "ce", "de", "ea")
        assert not [pair for pair in combinations(boxes.values(), 2) if overlap(*pair)]

    def test_an_arrow_that_closes_a_circle_runs_back_below(self):
        arrows = [("a", "b"), ("b", "a")]
        found = place({"a": SIZE, "b": SIZE}, arrows)
        assert [way.back for way in found.ways] == [False, True]
        assert max(y for _, y in found.ways[1].points) > found.boxes["a"].y + SIZE[1] / 2

    def test_two_arrows_back_have_a_level_each(self):
        arrows = [("a", "b"), ("b", "c"), ("b", "a"), ("c", "a")]
        found = place(dict.fromkeys("abc", SIZE), arrows)
        levels = {max(y for _, y in way.points) for way in found.ways if way.back}
        assert len(levels) == 2

    def test_an_arrow_across_a_column_passes_beside_the_node_there(self):
        arrows = [("a", "b"), ("b", "c"), ("a", "c")]
        found = place(dict.fromkeys("abc", SIZE), arrows)
        middle = found.boxes["b"]
        there = [y for x, y in found.ways[2].points if abs(x - middle.x) <= middle.width / 2]
        assert there
        assert all(abs(y - middle.y) > middle.height / 2 for y in there)

    def test_children_stand_in_the_order_of_their_parents(self):
        boxes = placed("ac", "bd", "xa", "xb")
        assert (boxes["a"].y < boxes["b"].y) == (boxes["c"].y < boxes["d"].y)


@pytest.mark.parametrize("source", [source for _, source in DIAGRAMS], ids=[label for label, _ in DIAGRAMS])
def test_the_diagrams_of_the_course_are_drawn_whole(source):
    svg = ET.fromstring(str(draw(source))).find("svg")
    assert svg is not None
    assert svg.get("aria-label") == ". ".join(as_text(source))
    arrows = [path for path in svg.iter("path") if "arrow" in path.get("class", "")]
    links = [each for each in read(source) if isinstance(each, Link | Message)]
    assert len(arrows) == sum(len(each.targets) if isinstance(each, Link) else 1 for each in links)
    drawn = " ".join(text.text or "" for text in svg.iter("text"))
    for each in links:
        assert set(each.said.split()) <= set(drawn.split())
    left, top, width, height = map(float, svg.get("viewBox", "").split())
    for text in svg.iter("text"):
        assert top < float(text.get("y", "nan")) < top + height
        if "transform" not in str(draw(source)):
            assert left < float(text.get("x", "nan")) < left + width


def test_a_label_is_text_and_no_mark_of_the_page():
    drawn = str(draw('flowchart LR\n a["<b>bold</b>"] --> b'))
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
