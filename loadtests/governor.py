"""Keep process groups to a share of a core by pausing and resuming them: `python -m loadtests.governor`.

For systems where no control group can be written (macOS, an ordinary user's container). Orders come as JSON
lines on standard input, `{"group": 123, "cores": 0.1}` or `"cores": null` to let go; each is answered by a
line. When the input ends, for whatever reason, every group is resumed: a paused shop must not outlive its
lab.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

from loadtests.processes import Meter, session_pids

TICK_SECONDS = 0.002
ALLOWANCE_SECONDS = 0.020  # unused share is kept for one period, as a control group's quota is
MEMBERS_EVERY_SECONDS = 0.5


@dataclass
class Account:
    """The CPU account of one process group: credit grows with time, falls with use."""

    cores: float
    members: list[int]
    meter: Meter = field(default_factory=Meter)
    used: float = 0.0
    credit: float = 0.0
    paused: bool = False

    def settle(self, elapsed: float, used: float) -> bool:
        """Book `elapsed` seconds and the group's total use; returns whether the group must be paused now."""
        self.credit = min(
            self.credit + self.cores * elapsed - (used - self.used), self.cores * ALLOWANCE_SECONDS
        )
        self.used = used
        return self.credit < 0


class Governor:
    """All accounts. Orders and ticks come from two threads; `lock` keeps them apart."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.lock = threading.Lock()

    def order(self, group: int, cores: float | None) -> None:
        """Open, change or close an account."""
        if group in (0, os.getpgid(0)):
            raise ValueError("the governor does not pause itself")
        with self.lock:
            if cores is None:
                if group in self.accounts:
                    self._signal(group, self.accounts.pop(group), pause=False)
            elif group in self.accounts:
                self.accounts[group].cores = cores
            else:
                account = Account(cores, session_pids(group))
                account.used = account.meter.read("", account.members)
                self.accounts[group] = account

    def tick(self, elapsed: float) -> None:
        """Settle every account and pause or resume its group."""
        with self.lock:
            for group, account in self.accounts.items():
                pause = account.settle(elapsed, account.meter.read("", account.members))
                if pause != account.paused:
                    self._signal(group, account, pause=pause)

    def refresh(self) -> None:
        """Look for processes that joined or left the groups."""
        for group, account in list(self.accounts.items()):
            account.members = session_pids(group)

    def resume_all(self) -> None:
        """Let every group run."""
        with self.lock:
            for group, account in self.accounts.items():
                self._signal(group, account, pause=False)

    @staticmethod
    def _signal(group: int, account: Account, *, pause: bool) -> None:
        account.paused = pause
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGSTOP if pause else signal.SIGCONT)


def _take_orders(governor: Governor, ended: threading.Event) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        governor.order(order["group"], order["cores"])
        print("done", flush=True)  # noqa: T201 - the answer of the protocol
    ended.set()


def main() -> None:
    """Tick until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the lab's to handle; it closes our input
    governor, ended = Governor(), threading.Event()
    threading.Thread(target=_take_orders, args=(governor, ended), daemon=True).start()
    last, refreshed = time.monotonic(), 0.0
    try:
        while not ended.wait(TICK_SECONDS):
            now = time.monotonic()
            governor.tick(now - last)
            last = now
            if now - refreshed > MEMBERS_EVERY_SECONDS:
                governor.refresh()
                refreshed = now
    finally:
        governor.resume_all()


if __name__ == "__main__":
    main()
