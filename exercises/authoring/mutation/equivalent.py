"""Reads equivalent.toml: the mutants of an exercise that no check can tell from the solution, each with the reason."""

from __future__ import annotations

from pydantic import Field

from exercises.authoring.mutation.mutants import Mutant
from exercises.course.course import Step
from exercises.course.manifest import Sentence, Table, WorkspacePath, read

FILE = "equivalent.toml"
MAX_SHARE = 0.03
"""The largest share of an exercise's mutants that may be equivalent."""


class Equivalent(Table):
    """One mutant that is explained instead of caught."""

    file: WorkspacePath
    within: str = ""
    """The function, class or block, as the report names it."""
    mutant: str = Field(min_length=3)
    """What changes, as the report shows it: lines that begin with "- " or "+ "."""
    why: Sentence
    confirmed: bool = False
    """Whether a second reader agrees. Until then it counts as a survivor."""

    def is_about(self, mutant: Mutant) -> bool:
        """Whether it explains this mutant."""
        said = "\n".join(line.strip() for line in self.mutant.splitlines())
        return (self.file, self.within, said) == (mutant.file, mutant.within, mutant.text)


class Equivalents(Table):
    """equivalent.toml."""

    equivalent: tuple[Equivalent, ...] = ()


def read_equivalents(step: Step) -> tuple[Equivalent, ...]:
    """The explained mutants of an exercise, none when it has no such file; CourseError when it has a mistake."""
    file = step.file(FILE)
    return read(Equivalents, file).equivalent if file.exists() else ()
