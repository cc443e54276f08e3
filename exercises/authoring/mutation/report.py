"""What a run of mutants says: which check caught how many, what survived, what is explained as equivalent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exercises.authoring.mutation.equivalent import MAX_SHARE, Equivalent
from exercises.authoring.mutation.mutants import Mutant
from exercises.authoring.mutation.results import End, Result
from exercises.errors import Exit


@dataclass(frozen=True, slots=True)
class Report:
    """The results of some or all mutants of one exercise."""

    everything: Sequence[Mutant]
    """All mutants of the exercise, also those that were not tried."""
    results: Mapping[Mutant, Result]
    equivalents: Sequence[Equivalent]
    invalid: int = 0

    def ended(self, end: End) -> list[Mutant]:
        """The mutants that ended like this, in the order of the files."""
        return [each for each in self.everything if each in self.results and self.results[each].end is end]

    @property
    def survivors(self) -> list[Mutant]:
        """Those that no check caught and no confirmed explanation covers."""
        return [each for each in self.ended(End.SURVIVED) if not self._is_explained(each)]

    @property
    def equivalent(self) -> list[Mutant]:
        """Those that no check caught and a confirmed explanation covers."""
        return [each for each in self.ended(End.SURVIVED) if self._is_explained(each)]

    @property
    def caught_by(self) -> Counter[str]:
        """How many mutants each check caught."""
        return Counter(self.results[each].check for each in self.ended(End.CAUGHT))

    @property
    def share(self) -> float:
        """The share of the exercise's mutants that are explained as equivalent, from 0 to 1."""
        explained = sum(map(self._is_explained, self.everything))
        return explained / len(self.everything) if self.everything else 0.0

    @property
    def mistakes(self) -> list[str]:
        """Sentences about what is wrong in equivalent.toml."""
        found = []
        for each in self.equivalents:
            about = [mutant for mutant in self.everything if each.is_about(mutant)]
            if not about:
                found.append(
                    f"no mutant of {each.file} is {_line(each.mutant)}; remove the entry or correct it."
                )
            for mutant in about:
                result = self.results.get(mutant)
                if result and result.end not in {End.SURVIVED, End.UNDECIDED}:
                    found.append(f"{_line(mutant.text)} is no equivalent: {result.end} ({result.check}).")
        if self.share > MAX_SHARE:
            found.append(f"{self.share:.1%} of the mutants are equivalents; at most {MAX_SHARE:.0%} may be.")
        return found

    @property
    def status(self) -> Exit:
        """Pass when nothing survived and every explanation is right; inconclusive when only some are undecided."""
        if self.survivors or self.mistakes or self.ended(End.BROKE):
            return Exit.NOT_YET
        return Exit.INCONCLUSIVE if self.ended(End.UNDECIDED) else Exit.PASS

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "mutants": len(self.everything),
            "tried": len(self.results),
            "not_valid": self.invalid,
            "survived": len(self.survivors),
            "equivalent": len(self.equivalent),
            "equivalent_share": round(self.share, 4),
            "mistakes": self.mistakes,
            "results": [
                {
                    "file": each.file,
                    "line": each.line,
                    "within": each.within,
                    "kind": each.kind.value,
                    "mutant": each.text,
                    "result": result.end.value,
                    "check": result.check,
                    "words": result.words,
                    "seconds": round(result.seconds, 1),
                }
                for each, result in self.results.items()
            ],
        }

    def _is_explained(self, mutant: Mutant) -> bool:
        return any(each.confirmed and each.is_about(mutant) for each in self.equivalents)


def _line(text: str) -> str:
    return repr(" ".join(text.split()))
