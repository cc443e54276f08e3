"""One change of a text, and the kinds of changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

SENTENCE = re.compile(r"[A-Z].* .*[.!?]", re.DOTALL)
SMALL = 10


class Kind(StrEnum):
    """What a mutant does, in the words that are shown."""

    STATEMENT = "statement removed"
    LOOP = "loop left out"
    CONDITION = "condition turned"
    CONSTANT = "constant changed"
    RETURN = "return value replaced"
    ARGUMENT = "argument left out"
    HANDLER = "handler narrowed"
    DECORATOR = "decorator removed"
    KEY = "key left out"
    DIRECTIVE = "directive left out"
    FILE = "file kept"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one place of a file: the characters from `start` to `end` become `new`."""

    kind: Kind
    start: int
    end: int
    new: str
    within: str = ""
    """The function, class or block around it, such as "Shadow.suggest"."""

    def apply(self, text: str) -> str:
        """The text with this change."""
        return text[: self.start] + self.new + text[self.end :]


def other_number(number: float) -> float:
    """Another number: the next one for small integers, otherwise the double.

    A bound of 500 that becomes 501 is hardly ever a different promise, but one that becomes 1000 is.
    """
    if isinstance(number, int) and abs(number) < SMALL:
        return number + 1
    return number * 2 or 1.0


def is_sentence(text: str) -> bool:
    """Whether the text is for people. A change of such a text leaves the program as it is."""
    return SENTENCE.fullmatch(text.strip()) is not None
