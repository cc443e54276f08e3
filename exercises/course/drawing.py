"""Draws the diagrams of the texts as SVG, in the colours of the page.

The same diagram is read to a screen reader as the lines that `exercises text` shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from markupsafe import Markup

from exercises.course.diagrams import Group, Link, Message, Node, Remark, Statement, as_text, read
from exercises.course.layout import Box, Layout, Way, place

LETTER, LINE = 7.3, 17.0
"""The width of an average letter, and the height of a line, at the size of the drawings' text."""
PADDING = 26.0
NODE_LETTERS, SAID_LETTERS = 18, 18
MARGIN = 8.0
WIDE = 720
"""A wider drawing is scrolled rather than made too small to read."""
GROUP_ROOM = 30.0
LANE, STEP = 215.0, 46.0
EDGE_ROOM = 70.0


def draw(source: str) -> Markup:
    """A figure with the drawing."""
    statements = read(source)
    sequence = any(isinstance(each, Message) for each in statements)
    body, width, height = _sequence(statements) if sequence else _groups(statements)
    return Markup(
        '<figure class="diagram" tabindex="0" role="group" aria-label="Diagram">'
        '<svg class="{}" viewBox="{} {} {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 10 5 0 10Z"/></marker></defs>{}</svg></figure>'
    ).format(
        "wide" if width > WIDE else "",
        -MARGIN,
        -MARGIN,
        round(width + 2 * MARGIN),
        round(height + 2 * MARGIN),
        round(width + 2 * MARGIN),
        round(height + 2 * MARGIN),
        ". ".join(as_text(source)),
        body,
    )


def _groups(statements: Sequence[Statement]) -> tuple[Markup, float, float]:
    """A graph, or several below each other, each in a frame with its title."""
    parts: list[tuple[str, list[Statement]]] = [("", [])]
    for each in statements:
        if isinstance(each, Group):
            parts.append((each.title, []))
        else:
            parts[-1][1].append(each)
    drawn = [(title, *_graph(inside)) for title, inside in parts if inside]
    width = max(each[2] for each in drawn)
    bodies, top = [], 0.0
    for title, body, own_width, height in drawn:
        if not title:
            bodies.append(body)
            top += height
            continue
        frame = Markup('<rect class="frame" x="0" y="{}" width="{}" height="{}" rx="8"/>').format(
            round(top), round(width + 2 * MARGIN), round(height + GROUP_ROOM + MARGIN)
        )
        name = Markup('<text class="said" x="{}" y="{}">{}</text>').format(MARGIN + 2, round(top + 18), title)
        shift = Markup('<g transform="translate({} {})">{}</g>').format(
            round(MARGIN + (width - own_width) / 2), round(top + GROUP_ROOM), body
        )
        bodies += [frame, name, shift]
        top += height + GROUP_ROOM + 2.5 * MARGIN
    framed = any(title for title, *_ in drawn)
    return (
        Markup("").join(bodies),
        width + (2 * MARGIN if framed else 0),
        top - (1.5 * MARGIN if framed else 0),
    )


def _graph(statements: Sequence[Statement]) -> tuple[Markup, float, float]:
    links = [
        (link.source, target, link)
        for link in statements
        if isinstance(link, Link)
        for target in link.targets
    ]
    nodes = {node.id: node for node in statements if isinstance(node, Node)}
    for source, target, _ in links:
        for node in (source, target):
            if node.id not in nodes or nodes[node.id].label == node.id:
                nodes[node.id] = node
    found = place(
        {name: _size(node) for name, node in nodes.items()},
        [(source.id, target.id) for source, target, _ in links],
        {number: _room(link.said) for number, (*_, link) in enumerate(links) if link.said},
    )
    ways = [_arrow(way, link) for way, (*_, link) in zip(found.ways, links, strict=True)]
    said = _sayings(found, [link for *_, link in links])
    shapes = [_node(node, found.boxes[name]) for name, node in nodes.items()]
    return Markup("").join([*ways, *shapes, *said]), found.width, found.height


def _size(node: Node) -> tuple[float, float]:
    if node.shape == "point":
        return 14.0, 14.0
    lines = [*_wrapped(node.label, NODE_LETTERS), *_wrapped(node.note, NODE_LETTERS)]
    return max(_widest(lines) + PADDING, 60.0), LINE * len(lines) + 17


def _node(node: Node, box: Box) -> Markup:
    x, y, width, height = box.x - box.width / 2, box.y - box.height / 2, box.width, box.height
    if node.shape == "point":
        return Markup('<circle class="point" cx="{}" cy="{}" r="6"/>').format(round(box.x), round(box.y))
    if node.shape == "database":
        outline = Markup(
            '<path class="node" d="M{0} {1}a{2} 6 0 0 1 {3} 0v{4}a{2} 6 0 0 1 -{3} 0z"/>'
            '<path class="node edge" d="M{0} {1}a{2} 6 0 0 0 {3} 0"/>'
        ).format(round(x), round(y + 4), width / 2, width, height - 8)
    elif node.shape == "gate":
        outline = Markup('<path class="node" d="M{} {}l10 {}h{}l10 -{}l-10 -{}h-{}z"/>').format(
            round(x, 1), round(box.y, 1), height / 2, width - 20, height / 2, height / 2, width - 20
        )
    else:
        radius = {"round": height / 2, "choice": 2}.get(node.shape, 6)
        outline = Markup('<rect class="node {}" x="{}" y="{}" width="{}" height="{}" rx="{}"/>').format(
            node.shape, round(x, 1), round(y, 1), round(width, 1), round(height, 1), round(radius, 1)
        )
    lines = _wrapped(node.label, NODE_LETTERS)
    shift = 3 if node.shape == "database" else 0
    return outline + _text(lines, box.x, box.y + shift, "label", more=_wrapped(node.note, NODE_LETTERS))


def _arrow(way: Way, link: Link) -> Markup:
    first, *rest = way.points
    if way.back:
        corners = " ".join(f"L{x:.1f} {y:.1f}" for x, y in rest)
        path = f"M{first[0]:.1f} {first[1]:.1f} {corners}"
    else:
        path, (x, y) = f"M{first[0]:.1f} {first[1]:.1f}", first
        for next_x, next_y in rest:
            bend = (next_x - x) / 2
            path += f" C{x + bend:.1f} {y:.1f} {next_x - bend:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}"
            x, y = next_x, next_y
    return Markup('<path class="arrow{}" d="{}"{}/>').format(
        " dotted" if link.dotted else "", path, Markup(' marker-end="url(#tip)"') if link.directed else ""
    )


def _room(said: str) -> tuple[float, float]:
    lines = _wrapped(said, SAID_LETTERS)
    return _widest(lines) + 36, LINE * len(lines)


def _sayings(found: Layout, links: Sequence[Link]) -> list[Markup]:
    """What is written on the arrows: near the first place where arrows to different targets are apart."""
    drawn = []
    for way, link in zip(found.ways, links, strict=True):
        if not link.said:
            continue
        if way.back:
            (x1, _), (x2, y) = way.points[-3:-1]
            drawn.append(_text([link.said], (x1 + x2) / 2, y - 9, "said"))
            continue
        (x1, y1), (x2, y2) = way.points[0], way.points[1]
        lines = _wrapped(link.said, SAID_LETTERS)
        drawn.append(_text(lines, x1 + (x2 - x1) * 0.54, y1 + (y2 - y1) * 0.8, "said"))
    return drawn


def _sequence(statements: Sequence[Statement]) -> tuple[Markup, float, float]:
    names = list(
        dict.fromkeys(
            name for each in statements if isinstance(each, Message) for name in (each.source, each.target)
        )
    )
    titles = {name: _wrapped(name, 14) for name in names}
    head = LINE * max(map(len, titles.values())) + 17
    middle = {name: LANE * n + EDGE_ROOM for n, name in enumerate(names)}
    bodies, y = [], head + STEP * 0.9
    for each in statements:
        if isinstance(each, Message):
            bodies.append(_message(each, middle[each.source], middle[each.target], y))
        elif isinstance(each, Remark):
            lines = _wrapped(each.said, 44)
            width = _widest(lines) + PADDING
            x = sum(middle.values()) / len(middle)
            box = Markup('<rect class="note" x="{}" y="{}" width="{}" height="{}" rx="4"/>').format(
                round(x - width / 2), round(y - 24), round(width), round(LINE * len(lines) + 12)
            )
            bodies.append(box + _text(lines, x, y - 18 + LINE * len(lines) / 2, "said"))
            y += LINE * (len(lines) - 1)
        y += STEP
    width, height = LANE * (len(names) - 1) + 2 * EDGE_ROOM, y - STEP * 0.4
    lanes = [
        Markup('<path class="lane" d="M{0} {1}V{2}"/>').format(x, head, round(height))
        for x in middle.values()
    ]
    heads = [
        _node(Node(name, name), Box(x, head / 2, max(_widest(titles[name]) + PADDING, 90), head))
        for name, x in middle.items()
    ]
    return Markup("").join([*lanes, *heads, *bodies]), width, height


def _message(each: Message, start: float, end: float, y: float) -> Markup:
    stop = start + (end - start) * (0.62 if each.lost else 1)
    stop -= 3 if end > start else -3
    line = Markup('<path class="arrow{}" d="M{} {}H{}"{}/>').format(
        " dotted" if each.dotted else "",
        round(start),
        round(y),
        round(stop),
        "" if each.lost else Markup(' marker-end="url(#tip)"'),
    )
    cross = Markup('<path class="lost" d="m{} {}l10 10m0-10-10 10"/>').format(round(stop - 5), round(y - 5))
    said = _text([each.said], (start + end) / 2, y - 11, "said")
    return line + said + (cross if each.lost else "")


def _text(lines: list[str], x: float, y: float, kind: str, more: Sequence[str] = ()) -> Markup:
    """Lines of text around a point; `more` is smaller, below."""
    every = [*((line, kind) for line in lines), *((line, "said") for line in more)]
    top = y - LINE * (len(every) - 1) / 2
    return Markup("").join(
        Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
            f"{each} middle", round(x, 1), round(top + LINE * n + 4.5, 1), line
        )
        for n, (line, each) in enumerate(every)
    )


def _wrapped(text: str, letters: int) -> list[str]:
    """Lines of about so many letters; a comma ends a line where both parts are long."""
    return textwrap.wrap(text, letters, break_long_words=False, break_on_hyphens=False)


def _widest(lines: list[str]) -> float:
    return max(map(len, lines), default=0) * LETTER
