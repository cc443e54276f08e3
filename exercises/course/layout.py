"""Places nodes in columns, from left to right along the arrows, and finds a way for each arrow.

Columns: a node stands behind everything that points to it. Arrows that would close a circle run back below, each at a
level of its own. Order within a column: each node moves towards the middle of its neighbours, so that few arrows cross.
An arrow across several columns gets a place in each, so that it runs between the nodes and not through them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ROW_GAP, COLUMN_GAP, LEVEL = 22.0, 44.0, 26.0
SIDE = 16.0
"""Room beside a node for an arrow that runs down there."""
PASSING = 10.0
"""Height that an arrow takes in a column that it only passes."""
SWEEPS = 6
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A node's place; x and y are its centre."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Way:
    """An arrow's points from the edge of its source to the edge of its target; `back` when it runs below."""

    points: tuple[Point, ...]
    back: bool = False


@dataclass(slots=True)
class Layout:
    """Everything's place, in the units of the sizes."""

    boxes: dict[str, Box]
    ways: list[Way]
    """One for each arrow, in their order."""
    width: float = 0.0
    height: float = 0.0


@dataclass(slots=True)
class _Columns:
    rank: dict[str, int]
    columns: list[list[str]]
    routes: dict[int, list[str]] = field(default_factory=dict)
    """Arrow to the nodes and passing places that it runs through."""


def place(
    sizes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str]],
    texts: Mapping[int, tuple[float, float]] | None = None,
) -> Layout:
    """The places of nodes of these sizes; `texts` is the size of what is written on an arrow, by its number."""
    texts = texts or {}
    rank, backward = _ranks(list(sizes), arrows)
    found = _columns(rank, arrows, backward)
    _sort(found)
    boxes = _coordinates(found, sizes, arrows, texts)
    bottom = max((box.y + box.height / 2 for box in boxes.values()), default=0)
    levels = {number: bottom + LEVEL * level for level, number in enumerate(sorted(backward), start=1)}
    ways = [
        _back(boxes, levels[number], *arrow)
        if number in levels
        else _forward(boxes, found.routes[number], *arrow)
        for number, arrow in enumerate(arrows)
    ]
    real = {name: boxes[name] for name in sizes}
    right = [x for way in ways for x, _ in way.points] + [box.x + box.width / 2 for box in real.values()]
    return Layout(real, ways, max(right, default=0), max([bottom, *levels.values()]))


def _ranks(names: list[str], arrows: Sequence[tuple[str, str]]) -> tuple[dict[str, int], set[int]]:
    """Each node's column, and the numbers of the arrows that run back."""
    order, backward = _depth_first(names, arrows)
    rank = dict.fromkeys(names, 0)
    for name in order:
        for number, (source, target) in enumerate(arrows):
            if source == name and number not in backward:
                rank[target] = max(rank[target], rank[name] + 1)
    return rank, backward


def _depth_first(names: list[str], arrows: Sequence[tuple[str, str]]) -> tuple[list[str], set[int]]:
    """The nodes, each before all that it points to; and the numbers of the arrows that would close a circle."""
    backward: set[int] = set()
    ended: list[str] = []
    open_now: set[str] = set()

    def visit(name: str) -> None:
        open_now.add(name)
        for number, (source, target) in enumerate(arrows):
            if source == name and target in open_now:
                backward.add(number)
            elif source == name and target not in ended:
                visit(target)
        open_now.remove(name)
        ended.append(name)

    pointed_at = {target for source, target in arrows if source != target}
    for name in [*(each for each in names if each not in pointed_at), *names]:
        if name not in ended:
            visit(name)
    return ended[::-1], backward


def _columns(rank: dict[str, int], arrows: Sequence[tuple[str, str]], backward: set[int]) -> _Columns:
    columns: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for name, column in rank.items():
        columns[column].append(name)
    found = _Columns(rank, columns)
    for number, (source, target) in enumerate(arrows):
        if number in backward:
            continue
        passing = [f"\0{number}:{column}" for column in range(rank[source] + 1, rank[target])]
        for column, name in enumerate(passing, start=rank[source] + 1):
            columns[column].append(name)
        found.routes[number] = [source, *passing, target]
    return found


def _sort(found: _Columns) -> None:
    """Move each node towards the middle of its neighbours, forwards and backwards in turn."""
    before, behind = defaultdict(list), defaultdict(list)
    for route in found.routes.values():
        for left, right in pairwise(route):
            before[right].append(left)
            behind[left].append(right)
    for sweep in range(SWEEPS):
        neighbours = before if sweep % 2 == 0 else behind
        ordered = found.columns if sweep % 2 == 0 else found.columns[::-1]
        at = {name: n / max(len(column), 1) for column in found.columns for n, name in enumerate(column)}
        for column in ordered:
            middle = {
                name: sum(at[each] for each in neighbours[name]) / len(neighbours[name])
                if neighbours[name]
                else at[name]
                for name in column
            }
            column.sort(key=lambda name: middle[name])
            at |= {name: n / len(column) for n, name in enumerate(column)}


def _coordinates(
    found: _Columns,
    sizes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str]],
    texts: Mapping[int, tuple[float, float]],
) -> dict[str, Box]:
    heights = {name: height for name, (_, height) in sizes.items()}
    for number, route in found.routes.items():
        heights |= dict.fromkeys(route[1:-1], max(PASSING, texts.get(number, (0, 0))[1]))
    totals = [sum(heights[n] for n in column) + ROW_GAP * (len(column) - 1) for column in found.columns]
    tallest = max(totals, default=0)
    boxes: dict[str, Box] = {}
    left = 0.0
    for number, column in enumerate(found.columns):
        width = max((sizes[name][0] for name in column if name in sizes), default=0)
        top = (tallest - totals[number]) / 2
        for name in column:
            boxes[name] = Box(
                left + width / 2, top + heights[name] / 2, sizes.get(name, (width, 0))[0], heights[name]
            )
            top += heights[name] + ROW_GAP
        wanted = [
            texts[each][0]
            for each, (source, _) in enumerate(arrows)
            if each in texts and found.rank[source] == number
        ]
        left += width + max(COLUMN_GAP, *wanted, 0)
    return boxes


def _forward(boxes: Mapping[str, Box], route: list[str], source: str, target: str) -> Way:
    start, end = boxes[source], boxes[target]
    points = [(start.x + start.width / 2, start.y)]
    for name in route[1:-1]:
        box = boxes[name]
        points += [(box.x - box.width / 2, box.y), (box.x + box.width / 2, box.y)]
    return Way((*points, (end.x - end.width / 2, end.y)))


def _back(boxes: Mapping[str, Box], level: float, source: str, target: str) -> Way:
    """Down from the source, back below everything, and up into the target; beside nodes that stand below the source."""
    start, end = boxes[source], boxes[target]
    beneath = [box for box in boxes.values() if abs(box.x - start.x) < start.width / 2 and box.y > start.y]
    last = [(end.x, level), (end.x, end.y + end.height / 2)]
    if not beneath:
        return Way(((start.x, start.y + start.height / 2), (start.x, level), *last), back=True)
    side = max(box.x + box.width / 2 for box in [start, *beneath]) + SIDE
    return Way(((start.x + start.width / 2, start.y), (side, start.y), (side, level), *last), back=True)
