"""What the live panels show of an open shop, and which commands their buttons may start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from exercises.checks.open_shop import OpenShop
from exercises.errors import ExerciseError
from exercises.page import shop_map
from exercises.page.measuring import Meter, Numbers, Reading
from exercises.page.usage import UsageMeter
from microservices.launcher.logs import LogTail

LOADS = {"rate": 8.0, "spike": 6.0, "seconds": 60.0}
"""The options of `exercises load` that the page offers."""
STEERING = ("scale", "restart", "kill", "pause", "slow", "resume", "close")
PERSONAS = {
    "recommendation-widget": "Recommendations",
    "window-shopper": "Window shoppers",
    "searcher": "Searchers",
    "buyer": "Buyers",
}
"""The visitors of the lab's mix, with their name on the page. The first ones are the spike."""
LOG_LINES, LINES_OF_EACH = 60, 15
MAX_LINE = 400
"""Letters of a line of a log that are shown."""


@dataclass(slots=True)
class Meters:
    """What reads the numbers of one shop."""

    traffic: Meter = field(default_factory=Meter)
    usage: UsageMeter = field(default_factory=UsageMeter)


def shown(shop: OpenShop, meters: Meters, chosen: str) -> dict[str, Any]:
    """The map, the table and the newest lines of the logs.

    `chosen` may name a service or one of its processes: then its numbers are shown too, and only its log.
    """
    reading = meters.traffic.read(shop)
    members = [member for member in shop.members if chosen in {member.label, member.name}]
    chosen = chosen if members else ""
    tail = LogTail(shop.folder / "logs", tuple(member.label for member in members))
    tail.skip_to_last(LOG_LINES if chosen else LINES_OF_EACH)
    usage = meters.usage.read(members)
    return {
        "shop": shop,
        "map": shop_map.draw(shop, reading),
        "services": shop_map.services(shop, reading),
        "chosen": chosen,
        "numbers": [(each.label, reading.members.get(each.label), usage.get(each.label)) for each in members],
        "calls": _calls(reading, members[0].name) if members else [],
        "lines": [(label, readable(line)[:MAX_LINE]) for label, line in tail.lines()][-LOG_LINES:],
    }


def _calls(reading: Reading, name: str) -> list[tuple[str, str, Numbers]]:
    """Caller, called service and numbers of the calls that a service makes or answers, its own ones first."""
    own = [(*pair, numbers) for pair, numbers in reading.calls.items() if name in pair]
    return sorted(own, key=lambda call: (call[0] != name, call[:2]))


def readable(line: str) -> str:
    """A line of a log as people read it: time, level and message of a JSON line; any other line as it is."""
    try:
        entry = json.loads(line)
        return f"{entry['time'][11:19]} {entry['level']}: {entry['message']}"
    except (ValueError, TypeError, KeyError):
        return line


def steering(shop: OpenShop, what: str, form: MultiDict[str, str]) -> list[str]:
    """The words of `exercises shop` for a button; ExerciseError when there is no such button, or no such process."""
    one_of(what, STEERING)
    if what == "close":
        return [what]
    names = [part for member in shop.members for part in (member.label, member.name)]
    name = one_of(form.get("name", ""), names)
    return [what, f"{name}={form.get('count', 0, int)}" if what == "scale" else name]


def loading(form: MultiDict[str, str]) -> list[str]:
    """The options of `exercises load`, as numbers."""
    values = {name: form.get(name, default, float) for name, default in LOADS.items()}
    return [word for name, value in values.items() for word in (f"--{name}", f"{value:g}")]


def one_of(word: str, known: Sequence[str]) -> str:
    """The word, when it is known; else ExerciseError."""
    if word not in known:
        raise ExerciseError(f"There is no {word[:40]!r} here; there are {', '.join(known)}.")
    return word
