"""Mermaid diagrams as lines of text, for a terminal: `gateway -> monolith: everything else`.

It reads the parts of the language that the exercises use: flowcharts, sequence diagrams and state diagrams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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


def as_text(source: str) -> list[str]:
    """The lines that say what the diagram shows."""
    first, *lines = [line.strip() for line in source.strip().splitlines()]
    lines = [line for line in lines if line and "~~~" not in line and not line.startswith(SKIPPED)]
    kind = first.partition(" ")[0]
    read = {"sequenceDiagram": _sequence, "stateDiagram-v2": _states}.get(kind, _flow)
    return list(read(lines))


def _flow(lines: list[str]) -> Iterator[str]:
    labels: dict[str, str] = {}
    for line in lines:
        if line.startswith("subgraph"):
            yield f"{_plain(SUBGRAPH.sub('', line))}:"
        elif line != "end":
            parts, edges = EDGE.split(line)[::4], list(EDGE.finditer(line))
            named = [[_node(each, labels) for each in part.split(" & ")] for part in parts]
            for sources, edge, targets in zip(named, edges, named[1:], strict=False):
                said = _plain(next((text for text in edge.groups() if text), ""))
                arrow = "--" if edge[0].strip() == "---" else "->"
                for source in sources:
                    yield f"{source} {arrow} {', '.join(targets)}{f': {said}' if said else ''}"


def _sequence(lines: list[str]) -> Iterator[str]:
    names: dict[str, str] = {}
    for line in lines:
        if line.startswith(("participant", "actor")):
            name, _, label = line.split(" ", 1)[1].partition(" as ")
            names[name] = label or name
        elif found := MESSAGE.match(line):
            lost = " (lost)" if found[2].endswith("x") else ""
            source, target = (names.get(found[n], found[n]) for n in (1, 3))
            yield f"{source} -> {target}{lost}: {_plain(found[4])}"
        elif line.startswith("Note"):
            yield f"({_plain(line.partition(':')[2])})"


def _states(lines: list[str]) -> Iterator[str]:
    labels: dict[str, str] = {}
    for line in lines:
        if "-->" not in line:
            name, _, label = line.partition(":")
            labels[name.strip()] = _plain(label).partition(", ")[0]
            yield _plain(label)
        else:
            ends, _, said = line.partition(":")
            source, target = (labels.get(each.strip(), each.strip()) for each in ends.split("-->"))
            source, target = source.replace("[*]", "begin"), target.replace("[*]", "end")
            yield f"{source} -> {target}{f': {_plain(said)}' if said else ''}"


def _node(text: str, labels: dict[str, str]) -> str:
    found = NODE.match(text.strip())
    if not found:
        return _plain(text)
    if found["shape"]:
        label = _plain(found["label"])
        is_database = found["shape"] == "[(" and label != "database"
        labels[found["id"]] = f"{label} (database)" if is_database else label
    return labels.get(found["id"], found["id"])


def _plain(text: str) -> str:
    return re.sub(r",?<br ?/?>", ", ", text).strip(' "')
