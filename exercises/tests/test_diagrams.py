"""Each diagram of the course can be read as text."""

from __future__ import annotations

import re

import pytest

from exercises.course.diagrams import as_text
from exercises.tests.test_sealing import REAL

DIAGRAMS = [
    (step.label, source)
    for step in REAL.steps
    for source in re.findall(r"```mermaid\n(.*?)```", step.file("README.md").read_text(), re.DOTALL)
]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (
            'flowchart LR\n a["the page"] -->|asks| b{{gate}}\n b --- db[(stock)]',
            ["the page -> gate: asks", "gate -- stock (database)"],
        ),
        ("flowchart LR\n a --> r1[one] & r2[two]\n r1 -. reads .-> t", ["a -> one, two", "one -> t: reads"]),
        (
            'flowchart LR\n subgraph now ["before"]\n  direction LR\n  a --> b\n end\n now ~~~ then',
            ["before:", "a -> b"],
        ),
        (
            "sequenceDiagram\n participant V as visitor\n V->>shop: GET /\n shop--xV: 200 (late)\n Note over V: waits",
            ["visitor -> shop: GET /", "shop -> visitor (lost): 200 (late)", "(waits)"],
        ),
        (
            "stateDiagram-v2\n open: open<br>no call\n [*] --> open\n open --> [*]: at last",
            ["open, no call", "begin -> open", "open -> end: at last"],
        ),
    ],
)  # fmt: skip
def test_the_kinds_of_diagrams(source, lines):
    assert as_text(source) == lines


@pytest.mark.parametrize(("label", "source"), DIAGRAMS, ids=[label for label, _ in DIAGRAMS])
def test_the_diagrams_of_the_course_leave_no_mark_of_the_language(label, source):
    lines = as_text(source)
    assert lines != []
    assert [
        line for line in lines if re.search(r"[\[\]{}|]|--[>x)]|-\.|<br>|^(subgraph|participant|end)", line)
    ] == []
