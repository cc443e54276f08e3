"""How fast a run goes compared with its estimate, so that the time left is true on a slow machine too. Pure."""

from dataclasses import dataclass

from loadtests.planning.remaining import Span


@dataclass
class Pace:
    """What the trials so far took, beside what was estimated for them, and how much of it was void."""

    estimated: float = 0.0
    taken: float = 0.0
    void: float = 0.0

    def add(self, estimated: float, taken: float, *, valid: bool) -> None:
        """Count trials that ended: their estimated seconds, those that they took with the wait before, and whether
        they were valid.
        """
        self.estimated += estimated
        self.taken += taken
        self.void += 0.0 if valid else estimated

    def left(self, planned: Span) -> Span:
        """The seconds that the planned ones will take at this pace. If as many are void as before, it is `most`.

        A void trial is repeated at most twice.
        """
        if not self.taken:
            return planned
        times = self.taken / self.estimated
        void = self.void / self.estimated
        return planned.scaled(times, times * (1 + void + void**2))
