"""How the rate of a phase changes: in steps, as a spike, as a double wave, or as a CSV file says. Pure.

A curve is a sequence of points (seconds, multiple of the phase's rates) with straight lines between them. Two points
at one time are a step. What is easy to get wrong: a gap drawn at the current rate makes visits late after every rise,
because a long gap drawn in a quiet second reaches far into the spike. Here visits are placed evenly, or at random, on
the axis of the expected number of visits, and each gets the time at which that number is reached.
"""

import csv
import math
import random
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

Point = tuple[float, float]
"""Seconds after the start of the phase, and the multiple of its rates at that time."""

WAVE_POINTS = 60
MAX_MULTIPLE = 1000.0
MAX_RATE = 5000.0
"""Visits per second of all personas together. One generator sends less; a far higher rate would fill the memory."""
HEADER = ["time", "rate"]
DELIMITERS = ",;\t"
"""Spreadsheets of many countries write semicolons between the columns, and then commas in the numbers."""
DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")


class CurveError(ValueError):
    """An invalid curve. The message names the place and what was expected there."""


def steps(seconds: float, multiples: Sequence[float]) -> tuple[Point, ...]:
    """Stretches of equal length, one for each multiple."""
    length = seconds / len(multiples)
    return tuple(
        point
        for number, multiple in enumerate(multiples)
        for point in ((number * length, multiple), ((number + 1) * length, multiple))
    )


def spike(seconds: float, multiple: float, begin: float, end: float) -> tuple[Point, ...]:
    """A multiple of 1, and `multiple` from `begin` to `end` (shares of the phase)."""
    up, down = begin * seconds, end * seconds
    return (0.0, 1.0), (up, 1.0), (up, multiple), (down, multiple), (down, 1.0), (seconds, 1.0)


def double_wave(seconds: float, low: float, high: float) -> tuple[Point, ...]:
    """A day with two peaks (`high`), at a quarter and at three quarters; `low` at both ends and in the middle."""
    middle, amplitude = (low + high) / 2, (high - low) / 2
    return tuple(
        (seconds * n / WAVE_POINTS, middle - amplitude * math.cos(4 * math.pi * n / WAVE_POINTS))
        for n in range(WAVE_POINTS + 1)
    )


def read_csv(lines: Iterable[str], file: str, total: float) -> tuple[Point, ...]:
    """The points of a CSV file with the columns `time,rate`, separated by commas, semicolons or tabs.

    Times are seconds, 0 or more. Rates are visits per second of all personas together. `total` is the sum of the
    phase's rates: the file sets the amount and the rates set the mix. The first rate also holds before the first row,
    the last one after the last row. CurveError names the file and the line.
    """
    lines = iter(lines)
    header = next(lines, "")
    delimiter = next((each for each in DELIMITERS if _names(header, each) == HEADER), "")
    if not delimiter:
        raise CurveError(f'{file}, line 1: expected the header "time,rate", not "{header.strip()}"')
    rows = csv.reader(lines, delimiter=delimiter)
    points: list[Point] = []
    for row in rows:
        if not row:
            continue
        place = f"{file}, line {rows.line_num + 1}"
        time, rate = _numbers(row, delimiter, place)
        if points and time < points[-1][0]:
            raise CurveError(f"{place}: expected a time of {points[-1][0]:g} or later, not {time:g}")
        points.append((time, rate / total))
    if not points:
        raise CurveError(f"{file}: expected at least one row of time and rate below the header")
    return tuple(points)


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in header.split(delimiter)]


def _numbers(row: Sequence[str], delimiter: str, place: str) -> tuple[float, float]:
    found = delimiter.join(row)
    try:
        time, rate = (float(_with_point(cell, delimiter)) for cell in row)
    except ValueError:
        commas = "; with decimal commas, separate the columns by semicolons" if len(row) > len(HEADER) else ""
        raise CurveError(f'{place}: expected two numbers, time and rate, not "{found}"{commas}') from None
    if not (math.isfinite(time) and time >= 0 and math.isfinite(rate) and rate >= 0):
        raise CurveError(f'{place}: expected a time and a rate of 0 or more, not "{found}"')
    if rate > MAX_RATE:
        raise CurveError(f"{place}: expected at most {MAX_RATE:g} visits per second, not {rate:g}")
    return time, rate


def _with_point(cell: str, delimiter: str) -> str:
    return cell.replace(",", ".") if delimiter != "," and DECIMAL_COMMA.fullmatch(cell) else cell


def highest_rate(rates: Iterable[float], points: Sequence[Point] = ()) -> float:
    """The most visits per second of all personas together, at their rates times the curve's highest multiple."""
    return math.fsum(rates) * max((multiple for _, multiple in points), default=1.0)


def clip(points: Sequence[Point], seconds: float) -> list[Point]:
    """The curve from 0 to `seconds`: constant before its first and after its last point, and cut at `seconds`."""
    (first, begin), (last, end) = points[0], points[-1]
    whole = [(0.0, begin), *points] if first > 0 else list(points)
    whole = [*whole, (seconds, end)] if last < seconds else whole
    inside = [point for point in whole if point[0] <= seconds]
    if inside[-1][0] < seconds:
        (t0, m0), (t1, m1) = inside[-1], whole[len(inside)]
        inside.append((seconds, m0 + (m1 - m0) * (seconds - t0) / (t1 - t0)))
    return inside


def multiple_at(points: Sequence[Point], seconds: float) -> float:
    """The multiple at that second of the phase; 1 without points, and at a step the new one."""
    return clip(points, seconds)[-1][1] if points else 1.0


def expected_visits(points: Sequence[Point], rate: float, until: float) -> float:
    """The expected number of visits before `until` seconds, at `rate` visits per second times the curve."""
    cut = clip(points, until)
    return rate * math.fsum((t1 - t0) * (m0 + m1) / 2 for (t0, m0), (t1, m1) in pairwise(cut))


def offsets(
    points: Sequence[Point], rate: float, seconds: float, *, fixed: bool, rng: random.Random
) -> Iterator[float]:
    """The starts of visits, in seconds after the phase begins: evenly along the curve if `fixed`, else Poisson."""
    cut = clip(points, seconds)
    pieces = list(pairwise(cut))
    sums = list(accumulate((rate * (t1 - t0) * (m0 + m1) / 2 for (t0, m0), (t1, m1) in pieces), initial=0.0))
    done = rng.random() if fixed else rng.expovariate(1.0)
    while done < sums[-1]:
        number = min(bisect_right(sums, done) - 1, len(pieces) - 1)
        at = _time_of_area(*pieces[number], (done - sums[number]) / rate)
        if at < seconds:
            yield at
        done += 1.0 if fixed else rng.expovariate(1.0)


def _time_of_area(begin: Point, end: Point, area: float) -> float:
    """The time at which the area under a straight line reaches `area`: a root of a quadratic, numerically stable."""
    (t0, m0), (t1, m1) = begin, end
    slope = (m1 - m0) / (t1 - t0)
    root = math.sqrt(max(0.0, m0 * m0 + 2 * slope * area))
    return min(t1, t0 + 2 * area / (m0 + root)) if area > 0 else t0
