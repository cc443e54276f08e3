"""Keep process groups to a share of a core by pausing and resuming them: `python -m loadtests.rig.governor`.

It is for systems where no control group can be written (macOS, an ordinary user's container). Orders come as JSON
lines on standard input: `{"group": 123, "cores": 0.1}`, or `"cores": null` to remove the limit. Each order is answered
by one line. When the input ends, for any reason, every group is resumed: no shop may stay paused after its lab ended.

Each check wakes the governor up, and that is its cost. So it checks a group only when its credit can have run out or
can be enough again. A busy group runs for its share of a period, then stands still until it has earned the next share:
two checks per period.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

from loadtests.rig.processes import cpu_seconds, group_pids, pids_by_group

PERIOD_SECONDS = 0.032  # with 0.025, governing one busy group cost 0.8 to 1.2 % of a core
MIN_WAIT_SECONDS = 0.001
MAX_WAIT_SECONDS = 0.008  # an idle group may become busy at any time, and must not run unchecked for long
BATCH_SECONDS = 0.0005  # a group due this soon is checked now: another wake-up costs more than a check
ROUNDING_SECONDS = 1e-7
REFRESH_SECONDS = 1.0


@dataclass
class Account:
    """The CPU account of one process group: its credit in seconds grows with time and falls with use."""

    cores: float
    pids: list[int]
    clocks: dict[int, float] = field(default_factory=dict)
    used: float = 0.0
    credit: float = 0.0
    paused: bool = False
    checked_at: float = 0.0
    due: float = 0.0

    def use(self) -> float:
        """CPU seconds of all processes so far, ended ones included. It is kept short: it is most of a check's cost."""
        for pid in self.pids:
            try:
                self.clocks[pid] = cpu_seconds(pid)
            except ProcessLookupError:
                continue
        return sum(self.clocks.values())

    @property
    def enough(self) -> float:
        """The credit that resumes a paused group: one busy core then runs for its share of a period."""
        return max(0.0, self.cores * (1 - self.cores) * PERIOD_SECONDS)

    def settle(self, now: float, used: float) -> bool:
        """Update the credit and the next check. Returns whether the group must stand still now.

        `now` is a monotonic time, `used` the group's CPU seconds so far.
        """
        earned = self.cores * (now - self.checked_at) - (used - self.used)
        limit = self.cores * PERIOD_SECONDS
        self.credit = min(self.credit + earned, limit)
        self.used, self.checked_at = used, now
        stand_still = self.credit < (self.enough - ROUNDING_SECONDS if self.paused else ROUNDING_SECONDS)
        if stand_still:
            wait = (self.enough - self.credit) / self.cores
        elif self.credit < limit and self.cores < 1:
            wait = self.credit / (1 - self.cores)  # until one busy core has used it up
        else:
            wait = MAX_WAIT_SECONDS
        self.due = now + max(wait, MIN_WAIT_SECONDS)
        return stand_still


class Governor:
    """All accounts, by process group. Orders and checks come from two threads; `lock` separates them."""

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
                account = Account(
                    cores, group_pids(group), credit=cores * PERIOD_SECONDS, checked_at=time.monotonic()
                )
                account.used = account.use()
                self.accounts[group] = account

    def check(self, now: float) -> float:
        """Settle the accounts that are due, pause or resume their groups; returns the seconds until the next check."""
        with self.lock:
            for group, account in self.accounts.items():
                if account.due <= now + BATCH_SECONDS:
                    pause = account.settle(now, account.use())
                    if pause != account.paused:
                        self._signal(group, account, pause=pause)
            next_due = min(
                (account.due for account in self.accounts.values()), default=now + MAX_WAIT_SECONDS
            )
        return max(next_due - now, MIN_WAIT_SECONDS)

    def refresh(self) -> None:
        """Find processes that joined or left the groups."""
        found = pids_by_group(set(self.accounts))
        for group, account in list(self.accounts.items()):
            account.pids = found[group]

    def resume_all(self) -> None:
        """Let every group run."""
        with self.lock:
            for group, account in self.accounts.items():
                self._signal(group, account, pause=False)

    @staticmethod
    def _signal(group: int, account: Account, *, pause: bool) -> None:
        account.paused = pause
        try:
            os.killpg(group, signal.SIGSTOP if pause else signal.SIGCONT)
        except ProcessLookupError:
            return  # it has ended; the lab will remove its account


def _take_orders(governor: Governor, ended: threading.Event) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        governor.order(order["group"], order["cores"])
        print("done", flush=True)  # noqa: T201 - the answer of the protocol
    ended.set()


def main() -> None:
    """Govern the groups until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab, which then closes our input
    governor, ended = Governor(), threading.Event()
    threading.Thread(target=_take_orders, args=(governor, ended), daemon=True).start()
    refreshed = time.monotonic()
    try:
        while not ended.is_set():
            now = time.monotonic()
            # A plain sleep: waiting for the event costs several times as much, and the end is seen within a period.
            time.sleep(min(governor.check(now), PERIOD_SECONDS))
            if now - refreshed > REFRESH_SECONDS:
                governor.refresh()
                refreshed = now
    finally:
        governor.resume_all()


if __name__ == "__main__":
    main()
