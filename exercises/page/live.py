"""What the live panels show of an open shop, and which commands their buttons may start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from werkzeug.datastructures import MultiDict

from exercises.checks.open_shop import OpenShop
from exercises.errors import ExerciseError
from exercises.page import shop_map
from exercises.page.measuring import Meter
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


def shown(shop: OpenShop, meter: Meter, log_of: str) -> dict[str, Any]:
    """The map, the table and the newest lines of the logs; `log_of` may name a service or one of its processes."""
    reading = meter.read(shop)
    members = [member.label for member in shop.members if log_of in {member.label, member.name}]
    log_of = log_of if members else ""
    tail = LogTail(shop.folder / "logs", tuple(members))
    tail.skip_to_last(LOG_LINES if log_of else LINES_OF_EACH)
    return {
        "shop": shop,
        "map": shop_map.draw(shop, reading),
        "services": shop_map.services(shop, reading),
        "log_of": log_of,
        "lines": [(label, readable(line)[:MAX_LINE]) for label, line in tail.lines()][-LOG_LINES:],
    }


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
