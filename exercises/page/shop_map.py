"""The map of an open shop: services as boxes, replicas as boxes behind them, lines that show how much and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from exercises.checks.open_shop import GATEWAY, READY, UP, Drawn, Member, OpenShop
from exercises.course.layout import Box, Layout, Way, place
from exercises.page.measuring import Numbers, Reading

VISITORS = "visitors"
WIDTH, HEIGHT = 142.0, 66.0
BEHIND = 5.0
"""How far a replica's box looks out behind the one before."""
SHOWN_BEHIND = 4
SAID_WIDTH = 62.0
MARGIN = 10.0
DENSITIES = (0.05, 5.0, 25.0, 100.0)
"""Requests per second from which a line is thicker."""
SPEEDS = (10.0, 50.0, 250.0)
"""Milliseconds (p95) from which the dots on a line are slower."""
MIN_ERRORS = 0.05


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One row below the map."""

    name: str
    members: tuple[tuple[Member, str, Numbers], ...]
    """Each process with what it does and its numbers."""
    numbers: Numbers
    slots: int
    scalable: bool

    @property
    def phase(self) -> str:
        """What its processes do; the odd ones first."""
        odd = [phase for _, phase, _ in self.members if phase != READY]
        return odd[0] if odd else READY if self.members else "none"


@dataclass(frozen=True, slots=True)
class _Line:
    source: str
    target: str
    numbers: Numbers


def services(shop: OpenShop, reading: Reading) -> list[ServiceView]:
    """The gateway, then each service."""
    drawn = [Drawn(GATEWAY), *shop.services] if _has_gateway(shop) else [*shop.services]
    return [
        ServiceView(
            each.name,
            tuple(
                (member, reading.phases.get(member.label, ""), reading.members.get(member.label, Numbers()))
                for member in shop.members
                if member.name == each.name
            ),
            reading.services.get(each.name, Numbers()),
            each.slots,
            shop.steered and each.name != GATEWAY,
        )
        for each in drawn
    ]


def draw(shop: OpenShop, reading: Reading) -> Markup:
    """The map as SVG. Everything that it shows is in the table below it as well."""
    rows = {row.name: row for row in services(shop, reading)}
    lines = list(_lines(shop, reading))
    sizes = {VISITORS: (72.0, 36.0)} | dict.fromkeys(rows, (WIDTH, HEIGHT))
    texts = dict.fromkeys(range(len(lines)), (SAID_WIDTH, 18.0))
    found = place(sizes, [(line.source, line.target) for line in lines], texts)
    ways = [_way(way, line, rows) for way, line in zip(found.ways, lines, strict=True)]
    boxes = [_box(row, found.boxes[name]) for name, row in rows.items()]
    room = BEHIND * SHOWN_BEHIND + MARGIN
    return Markup(
        '<svg class="map{}" viewBox="{} {} {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(
        " wide" if found.width > 800 else "",
        -MARGIN,
        -room,
        round(found.width + MARGIN + room),
        round(found.height + MARGIN + room),
        round(found.width + MARGIN + room),
        round(found.height + MARGIN + room),
        "The shop as a map; the table below says the same.",
        Markup("").join([*ways, _visitors(found), *boxes]),
    )


def _has_gateway(shop: OpenShop) -> bool:
    return any(member.name == GATEWAY for member in shop.members)


def _lines(shop: OpenShop, reading: Reading) -> Iterator[_Line]:
    """Visitors to the gateway, the gateway to each public service, services to those that they need."""
    inside = {(each.name, name) for each in shop.services for name in each.needs}
    names = {each.name for each in shop.services}
    called: dict[str, float] = dict.fromkeys(names, 0.0)
    for caller, name in inside:
        called[name] += reading.calls.get((caller, name), Numbers()).rate
    public = [each.name for each in shop.services if each.public]
    from_visitors = {name: _without(reading.services.get(name, Numbers()), called[name]) for name in public}
    if not _has_gateway(shop):
        yield from (_Line(VISITORS, name, from_visitors[name]) for name in public)
    else:
        total = Numbers(
            sum(each.rate for each in from_visitors.values()),
            sum(each.errors for each in from_visitors.values()),
            None,
            max((each.p95_ms for each in from_visitors.values() if each.p95_ms is not None), default=None),
        )
        yield _Line(VISITORS, GATEWAY, total)
        yield from (_Line(GATEWAY, name, numbers) for name, numbers in from_visitors.items())
    for caller, name in sorted(inside):
        calls = reading.calls.get((caller, name), Numbers())
        times = reading.services.get(name, Numbers())
        yield _Line(caller, name, Numbers(calls.rate, calls.errors, times.p50_ms, times.p95_ms))


def _without(numbers: Numbers, rate: float) -> Numbers:
    """The part that comes from visitors."""
    return Numbers(max(0.0, numbers.rate - rate), numbers.errors, numbers.p50_ms, numbers.p95_ms)


def _visitors(found: Layout) -> Markup:
    box = found.boxes[VISITORS]
    return Markup(
        '<rect class="node round" x="{}" y="{}" width="{}" height="{}" rx="20"/>'
        '<text class="middle" x="{}" y="{}">visitors</text>'
    ).format(
        round(box.x - box.width / 2),
        round(box.y - box.height / 2),
        round(box.width),
        round(box.height),
        round(box.x),
        round(box.y + 4),
    )


def _box(row: ServiceView, box: Box) -> Markup:
    x, y = box.x - box.width / 2, box.y - box.height / 2
    count = len(row.members)
    behind = Markup("").join(
        Markup('<rect class="node behind" x="{}" y="{}" width="{}" height="{}" rx="8"/>').format(
            round(x + BEHIND * n), round(y - BEHIND * n), round(box.width), round(box.height)
        )
        for n in range(min(count - 1, SHOWN_BEHIND), 0, -1)
    )
    numbers = row.numbers
    says = f"{numbers.rate:.1f}/s" if row.name != GATEWAY else ""
    if numbers.p95_ms is not None:
        says += f" · {numbers.p95_ms:.0f} ms"
    state = _state(row)
    errors = (
        Markup(
            '<path class="alarm" d="m{} {} 8 14h-16z"/><text class="wrong" x="{}" y="{}">{}</text>'
        ).format(round(x + 17), round(y + 46), round(x + 29), round(y + 59), f"{numbers.errors:.1f} errors/s")
        if numbers.errors >= MIN_ERRORS
        else ""
    )
    return Markup('<g data-log="{}">{}').format(row.name, behind) + Markup(
        '<rect class="node" data-phase="{}" x="{}" y="{}" width="{}" height="{}" rx="8"/>'
        '<text class="name" x="{}" y="{}">{}</text><text class="said" x="{}" y="{}">{}</text>'
        '<text class="said" x="{}" y="{}">{}</text>{}</g>'
    ).format(
        row.phase, round(x), round(y), round(box.width), round(box.height),
        round(x + 12), round(y + 21), row.name,
        round(x + 12), round(y + 39), says,
        round(x + 12), round(y + 57), "" if errors else state, errors,
    )  # fmt: skip


def _state(row: ServiceView) -> str:
    count = len(row.members)
    if row.phase == READY:
        return f"{count} replicas" if count > 1 else "1 process"
    odd = sum(phase == row.phase for _, phase, _ in row.members)
    return f"{odd} of {count} {row.phase}" if count > 1 else row.phase


def _way(way: Way, line: _Line, rows: dict[str, ServiceView]) -> Markup:
    """A line: its width says how much, its dots how fast, its crosses that answers were errors."""
    first, *rest = way.points
    path, (x, y) = f"M{first[0]:.0f} {first[1]:.0f}", first
    for next_x, next_y in rest:
        bend = 0 if way.back else (next_x - x) / 2
        path += f" C{x + bend:.0f} {y:.0f} {next_x - bend:.0f} {next_y:.0f} {next_x:.0f} {next_y:.0f}"
        x, y = next_x, next_y
    density = sum(line.numbers.rate >= limit for limit in DENSITIES)
    speed = sum((line.numbers.p95_ms or 0.0) >= limit for limit in SPEEDS)
    wrong = line.numbers.errors >= MIN_ERRORS or _is_down(rows.get(line.target))
    (x1, y1), (x2, y2) = way.points[-2:] if way.back else (way.points[0], way.points[1])
    said_x, said_y = x1 + (x2 - x1) * 0.5, y1 + (y2 - y1) * 0.62 - 7
    flow = Markup('<path class="flow speed-{}" d="{}"/>').format(speed, path) if density else ""
    cross = (
        Markup('<path class="lost" d="m{} {}l10 10m0-10-10 10"/>').format(
            round(said_x - 5), round(said_y + 2)
        )
        if wrong and density
        else ""
    )
    said = (
        Markup('<text class="said middle" x="{}" y="{}">{}</text>').format(
            round(said_x), round(said_y), f"{line.numbers.rate:.1f}/s"
        )
        if density
        else ""
    )
    return Markup('<g><path class="line density-{}" d="{}"/>{}{}{}</g>').format(
        density, path, flow, said, cross
    )


def _is_down(row: ServiceView | None) -> bool:
    return row is not None and not any(phase in UP for _, phase, _ in row.members)
