"""Gate in full: at three times its capacity a shop keeps most of its goodput and refuses the rest at once.

The load is open: requests are sent on a schedule, whether or not earlier ones were answered, as independent customers
would send them. The generator and the shop share the machine's cores, so on a busy machine this gate is the first to be
inconclusive.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from loadtests.analysis.stats import ratio
from loadtests.analysis.summaries import percentile
from microservices.chaos.load import PLENTY
from microservices.tests.gates import monolith, split, within_bounds

pytestmark = [pytest.mark.processes, pytest.mark.full, pytest.mark.timed]

ROUNDS, SECONDS = 3, 5.0
CLIENTS = 16
"""For the measurement of the capacity: enough to keep every thread of the hot part busy, too few to be refused."""
OVERLOAD, MIN_GOODPUT, REFUSED_SECONDS = 3.0, 0.8, 0.25
TIMEOUT_SECONDS = 5.0
HOT = f"/api/products/{PLENTY[0]}/recommendations"
SHOPS = {"split": split, "monolith": monolith}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    seconds: float
    retry_after: bool


class Connections:
    """Keep-alive connections to one port, as many as are needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.answers: list[Answer] = []

    async def ask(self) -> None:
        """One request; the status is 0 when no answer comes."""
        began = time.monotonic()
        status, retry_after = 0, False
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, retry_after = await self._exchange()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            pass
        self.answers.append(Answer(status, time.monotonic() - began, retry_after))

    async def _exchange(self) -> tuple[int, bool]:
        connection = (
            self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        )
        reader, writer = connection
        try:
            writer.write(f"GET {HOT} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self._idle.append(connection)
        return int(head.split()[1]), b"\r\nretry-after:" in head

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _closed_loop(port: int) -> list[Answer]:
    connections, until = Connections(port), time.monotonic() + SECONDS

    async def client() -> None:
        while time.monotonic() < until:
            await connections.ask()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    connections.close()
    return connections.answers


async def _open_loop(port: int, rate: float) -> list[Answer]:
    connections, began = Connections(port), time.monotonic()
    asking = set()
    for number in range(int(rate * SECONDS)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        asking.add(asyncio.create_task(connections.ask()))
    await asyncio.gather(*asking)
    connections.close()
    return connections.answers


def _goodput(answers: list[Answer]) -> float:
    return sum(answer.status == 200 for answer in answers) / SECONDS


@pytest.mark.parametrize("shop", SHOPS)
def test_at_three_times_the_capacity_most_of_the_goodput_stays_and_refusals_are_fast(shop, tmp_path):
    with SHOPS[shop](tmp_path) as shop_under_test, within_bounds(shop_under_test) as figures:
        peaks, goodputs, refused = [], [], []
        for _ in range(ROUNDS):
            peaks.append(_goodput(asyncio.run(_closed_loop(shop_under_test.port))))
            answers = asyncio.run(_open_loop(shop_under_test.port, OVERLOAD * peaks[-1]))
            goodputs.append(_goodput(answers))
            refused += [answer for answer in answers if answer.status in {429, 503}]
            assert {answer.status for answer in answers} <= {200, 429, 503}
        assert refused, "nothing was refused, so this was no overload"
        assert all(answer.retry_after for answer in refused)
        kept = ratio(goodputs, peaks)
        print(f"peak {peaks}, goodput {goodputs}, kept {kept}")  # noqa: T201
        figures.append(("peak : goodput", 1 / kept.value, 1 / MIN_GOODPUT))
        slowest = percentile([answer.seconds for answer in refused], 0.95)
        figures.append((f"p95 of {len(refused)} refusals", slowest, REFUSED_SECONDS))
