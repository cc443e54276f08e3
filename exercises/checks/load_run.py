"""Visitors for the shop that `exercises serve` keeps open: a mix, and a spike of the hot part in the middle.

The lab's generator makes the visits. This writes one line a second beside what it counts: for the terminal, and for
the charts of the page. These are no results. To compare shops, use `loadtests run`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exercises.checks.open_shop import GATEWAY, OpenShop
from exercises.checks.seeding import DATA_SIZES
from exercises.errors import ExerciseError, NotStarted
from loadtests.load.moments import MOMENTS

POINTS, EARLIER = "points.jsonl", "earlier.jsonl"
SHARES = {"window-shopper": 0.2, "searcher": 0.1, "buyer": 0.4, "recommendation-widget": 0.3}
"""The parts of the mix, as in the lab's experiments."""
HOT = "recommendation-widget"
MIN_USERS, USERS_PER_RATE = 4, 4
"""As many visits of a persona may be under way as arrive in four seconds; more count as not started."""
LOOK_SECONDS = 0.2
LEAD_SECONDS = 0.3
Point = dict[str, Any]
"""A second of a run: a `Moment` of the lab, and the number of replicas."""


@dataclass(frozen=True, slots=True)
class Mix:
    """The load of one run, in three parts of the same length."""

    rate: float
    """Visits per second."""
    spike: float
    """In the middle part, how many times as many visits ask for recommendations."""
    seconds: float

    def phases(self) -> list[dict[str, Any]]:
        """For the lab's generator."""
        quiet = {persona: self.rate * share for persona, share in SHARES.items()}
        spike = {**quiet, HOT: quiet[HOT] * self.spike}
        names = (("before", quiet), ("spike", spike), ("after", quiet))
        return [{"name": name, "seconds": self.seconds / 3, "rates": rates} for name, rates in names]

    def users(self) -> dict[str, int]:
        """How many visits may be under way."""
        most = {persona: share * self.rate for persona, share in SHARES.items()}
        most[HOT] *= max(1.0, self.spike)
        return {persona: max(MIN_USERS, round(rate * USERS_PER_RATE)) for persona, rate in most.items()}


def run(look: Callable[[], OpenShop | None], folder: Path, mix: Mix, show: Callable[[Point], None]) -> None:
    """Send the load to the shop, and `show` each second; NotStarted when the shop does not answer.

    `look` gives the shop as it is now, `folder` is where the points are written.
    """
    shop = look()
    if shop is None:
        raise NotStarted("No shop is open; exercises serve opens yours.")
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / POINTS).exists():
        (folder / POINTS).replace(folder / EARLIER)
    (folder / MOMENTS).unlink(missing_ok=True)
    spec = folder / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "seed": f"{time.time():.0f}",
                "phases": mix.phases(),
                "users": mix.users(),
                "out": str(folder / "requests.csv.gz"),
                "controlled": True,
                "customers": int(DATA_SIZES["SHOP_CUSTOMERS"]),
            }
        ),
        encoding="utf-8",
    )
    process = subprocess.Popen(  # noqa: S603 -- our own generator
        [sys.executable, "-m", "loadtests.load.generate", str(spec)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _begin(process, shop.url)
        with (folder / POINTS).open("w", encoding="utf-8") as points:
            for moment in _moments(process, folder / MOMENTS):
                point = {**moment, "replicas": _replicas(look())}
                points.write(json.dumps(point) + "\n")
                points.flush()
                show(point)
        if process.returncode:
            raise ExerciseError("The load ended early; is your shop still open?")
    finally:
        process.kill()
        process.communicate()


def points(file: Path) -> list[Point]:
    """The points of a run; empty when there is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]
    except (OSError, ValueError):
        return []


def _begin(process: subprocess.Popen[str], url: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"prepare {url}\n")
    process.stdin.flush()
    if process.stdout.readline().strip() != "ready":
        _, err = process.communicate()
        raise NotStarted((err.strip().splitlines() or ["The load could not begin."])[-1])
    process.stdin.write(f"start {time.time() + LEAD_SECONDS}\n")
    process.stdin.flush()


def _moments(process: subprocess.Popen[str], file: Path) -> Iterator[Point]:
    """The lines that the generator appends, until it ends."""
    read = 0
    while True:
        ended = process.poll() is not None
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        for line in whole[read:].splitlines():
            yield json.loads(line)
        read = len(whole)
        if ended:
            return
        time.sleep(LOOK_SECONDS)


def _replicas(shop: OpenShop | None) -> int:
    return sum(member.name != GATEWAY for member in shop.members) if shop else 0
