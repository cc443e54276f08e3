"""Reads Mermaid diagrams: flowcharts, sequence diagrams and state diagrams, as far as the exercises use them.

`read` gives what a diagram says, for a drawing. `as_text` gives it as lines for a terminal:
`gateway -> monolith: everything else`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

NODE = re.compile(
    r"(?P<id>\w+|\[\*\])(?P<shape>\[\(|\(\[|\{\{|\[|\{)?(?P<label>.*?)(?:\)\]|\]\)|\}\}|\]|\})?\s*$"
)
EDGE = re.compile(
    r"""\s*(?:
      --?>\|(?P<bar>[^|]*)\|            # a -->|text| b
    | --\s+"?(?P<dashes>[^">]*?)"?\s+-->  # a -- "text" --> b
    | -\.\s+(?P<dots>[^>]*?)\s+\.->     # a -. text .-> b
    | -->|-\.->|---|==>
    )\s*""",
    re.VERBOSE,
)
MESSAGE = re.compile(r"(\w+)\s*(--?>>?|--?x|--?\))\s*(\w+)\s*:\s*(.*)")
SUBGRAPH = re.compile(r"^subgraph (?:\w+ \[)?|\]$")
SKIPPED = ("direction", "classDef", "class ", "style ", "linkStyle")
SHAPES = {"[(": "database", "([": "round", "{{": "gate", "{": "choice", "[": "box"}
BEGIN = "[*]"


@dataclass(frozen=True, slots=True)
class Node:
    """Something that is connected with others."""

    id: str
    label: str
    shape: str = "box"
    """One of the values of SHAPES."""
    note: str = ""
    """What is said of it besides its name."""

    @property
    def text(self) -> str:
        """Its name in a line of text."""
        is_database = self.shape == "database" and self.label != "database"
        return f"{self.label} (database)" if is_database else self.label


@dataclass(frozen=True, slots=True)
class Group:
    """The nodes that follow, up to the next group, belong together."""

    title: str


@dataclass(frozen=True, slots=True)
class Link:
    """Arrows from one node, or lines without a direction."""

    source: Node
    targets: tuple[Node, ...]
    said: str = ""
    dotted: bool = False
    directed: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a sequence, from a participant to another."""

    source: str
    target: str
    said: str
    dotted: bool
    lost: bool


@dataclass(frozen=True, slots=True)
class Remark:
    """What is written between the messages of a sequence."""

    said: str


Statement = Node | Group | Link | Message | Remark


def read(source: str) -> list[Statement]:
    """What the diagram says, in its order."""
    first, *lines = [line.strip() for line in source.strip().splitlines()]
    lines = [line for line in lines if line and "~~~" not in line and not line.startswith(SKIPPED)]
    kind = first.partition(" ")[0]
    reader = {"sequenceDiagram": _sequence, "stateDiagram-v2": _states}.get(kind, _flow)
    return list(reader(lines))


def as_text(source: str) -> list[str]:
    """The lines that say what the diagram shows."""
    return [_line(statement) for statement in read(source)]


def _line(statement: Statement) -> str:
    match statement:
        case Group(title):
            return f"{title}:"
        case Link(source, targets, said, _, directed):
            names = ", ".join(target.text for target in targets)
            return f"{source.text} {'->' if directed else '--'} {names}{f': {said}' if said else ''}"
        case Message(source, target, said, _, lost):
            return f"{source} -> {target}{' (lost)' if lost else ''}: {said}"
        case Remark(said):
            return f"({said})"
        case Node(label=label, note=note):
            return f"{label}, {note}" if note else label


def _flow(lines: list[str]) -> Iterator[Statement]:
    nodes: dict[str, Node] = {}
    for line in lines:
        if line.startswith("subgraph"):
            yield Group(_plain(SUBGRAPH.sub("", line)))
        elif line != "end":
            parts, edges = EDGE.split(line)[::4], list(EDGE.finditer(line))
            named = [tuple(_node(each, nodes) for each in part.split(" & ")) for part in parts]
            for sources, edge, targets in zip(named, edges, named[1:], strict=False):
                said = _plain(next((text for text in edge.groups() if text), ""))
                for source in sources:
                    yield Link(source, targets, said, "." in edge[0], edge[0].strip() != "---")


def _sequence(lines: list[str]) -> Iterator[Statement]:
    names: dict[str, str] = {}
    for line in lines:
        if line.startswith(("participant", "actor")):
            name, _, label = line.split(" ", 1)[1].partition(" as ")
            names[name] = label or name
        elif found := MESSAGE.match(line):
            source, target = (names.get(found[n], found[n]) for n in (1, 3))
            arrow = found[2]
            yield Message(source, target, _plain(found[4]), arrow.startswith("--"), arrow.endswith("x"))
        elif line.startswith("Note"):
            yield Remark(_plain(line.partition(":")[2]))


def _states(lines: list[str]) -> Iterator[Statement]:
    nodes: dict[str, Node] = {}
    for line in lines:
        if "-->" not in line:
            name, _, label = line.partition(":")
            title, _, note = _plain(label).partition(", ")
            node = nodes[name.strip()] = Node(name.strip(), title, "round", note)
            yield node
        else:
            ends, _, said = line.partition(":")
            names = [each.strip() for each in ends.split("-->")]
            source, target = (
                nodes.get(name, Node(name, word if name == BEGIN else name, "point"))
                for name, word in zip(names, ("begin", "end"), strict=True)
            )
            yield Link(source, (target,), _plain(said))


def _node(text: str, nodes: dict[str, Node]) -> Node:
    found = NODE.match(text.strip())
    if not found:
        return Node(text.strip(), _plain(text))
    if found["shape"]:
        nodes[found["id"]] = Node(found["id"], _plain(found["label"]), SHAPES[found["shape"]])
    return nodes.get(found["id"], Node(found["id"], found["id"]))


def _plain(text: str) -> str:
    return re.sub(r",?<br ?/?>", ", ", text).strip(' "')
