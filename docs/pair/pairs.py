"""What is compared, and what counts as a changed line. Pure: it reads files and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MONOLITH, SPLIT = "monolith", "microservices"
MODULES = ("accounts", "catalog", "recommendations", "cart", "inventory", "payments", "orders", "storefront")
LEFT_OUT = {"tests", "__pycache__", "README.md"}
CONTEXT = 3
"""Equal lines that are shown around a change."""
CHANGED_LINE = (
    "A changed line is a line that only one of the two files has. Where lines of one file replace lines of the other, "
    "only the longer side counts. Blank lines do not count, and neither do files that only one side has."
)

Sign = Literal["=", "|", "<", ">"]
"""Equal, changed, only in the monolith, only in the split: the signs of `diff --side-by-side`."""


class UnknownModule(ValueError):
    """There is no such pair; the message is one sentence for the user."""


class Row(NamedTuple):
    """A line on the left and the line beside it; a line number is None where a side has no line."""

    sign: Sign
    left_number: int | None
    left: str
    right_number: int | None
    right: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are equal on both sides, or lines of one side that replace lines of the other."""

    equal: bool
    left: tuple[str, ...]
    right: tuple[str, ...]
    left_from: int
    """Number of the first line on the left, counted from 1."""
    right_from: int

    @property
    def changed(self) -> int:
        """The number of changed lines, see CHANGED_LINE."""
        return 0 if self.equal else max(_not_blank(self.left), _not_blank(self.right))

    def rows(self) -> Iterator[Row]:
        """The lines of both sides, beside each other."""
        for offset, (left, right) in enumerate(zip_longest(self.left, self.right)):
            sign: Sign = "=" if self.equal else "<" if right is None else ">" if left is None else "|"
            yield Row(
                sign,
                None if left is None else self.left_from + offset,
                left or "",
                None if right is None else self.right_from + offset,
                right or "",
            )


class Stretch(NamedTuple):
    """A part of a file: a change with the equal lines around it, or equal lines far from any change."""

    is_change: bool
    blocks: list[Block]


@dataclass(frozen=True)
class FilePair:
    """One file, as both shops have it."""

    name: str
    """Its path inside the module."""
    left: tuple[str, ...]
    """The monolith's lines."""
    right: tuple[str, ...]
    """The service's lines."""

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The two files from top to bottom."""
        found = []
        left = right = 0
        for group in SequenceMatcher(None, self.left, self.right, autojunk=False).get_grouped_opcodes(
            CONTEXT
        ):
            if group[0][1] > left:
                found.append(Stretch(False, [self._block("equal", left, group[0][1], right, group[0][3])]))
            found.append(Stretch(True, [self._block(*opcode) for opcode in group]))
            left, right = group[-1][2], group[-1][4]
        if left < len(self.left):
            found.append(Stretch(False, [self._block("equal", left, None, right, None)]))
        return found

    @property
    def changed(self) -> int:
        """How many changed lines the pair has."""
        return sum(block.changed for stretch in self.stretches for block in stretch.blocks)

    def _block(self, tag: str, i1: int, i2: int | None, j1: int, j2: int | None) -> Block:
        return Block(tag == "equal", self.left[i1:i2], self.right[j1:j2], i1 + 1, j1 + 1)


@dataclass(frozen=True)
class ModulePair:
    """A module of the monolith and the service with the same name."""

    name: str
    files: tuple[FilePair, ...]
    """The files that both sides have, by name."""
    only_monolith: tuple[str, ...]
    only_split: tuple[str, ...]

    @property
    def changed(self) -> int:
        """How many changed lines the files have that exist on both sides."""
        return sum(file.changed for file in self.files)


def compare(module: str, root: Path = ROOT) -> ModulePair:
    """The pair of `module`, one of MODULES or "chassis"; raises UnknownModule."""
    left, right = root / MONOLITH / module, root / SPLIT / module
    if not (module.isidentifier() and left.is_dir() and right.is_dir()):
        raise UnknownModule(f"No module {module!r} is in both shops; choose one of {', '.join(MODULES)}.")
    ours, theirs = set(_files(left)), set(_files(right))
    pairs = (FilePair(name, _lines(left / name), _lines(right / name)) for name in sorted(ours & theirs))
    return ModulePair(module, tuple(pairs), tuple(sorted(ours - theirs)), tuple(sorted(theirs - ours)))


def _files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        place = file.relative_to(folder)
        if file.is_file() and not LEFT_OUT & set(place.parts) and not place.name.startswith("."):
            yield place.as_posix()


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(file.read_text(encoding="utf-8").splitlines())


def _not_blank(lines: Sequence[str]) -> int:
    return sum(1 for line in lines if line.strip())
