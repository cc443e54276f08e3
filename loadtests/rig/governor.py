"""Keep process groups to a share of a core by pausing and resuming them: `python -m loadtests.rig.governor`.

For systems where no control group can be written (macOS, an ordinary user's container). Orders come as JSON
lines on standard input, `{"group": 123, "cores": 0.1}` or `"cores": null` to let go; each is answered by a
line. When the input ends, for whatever reason, every group is resumed: a paused shop must not outlive its
lab.

Each group is looked at when something can have happened to it and not more often, because waking up is what a governor
costs. A busy one runs on the share of one period, then stands still while the next is saved up: two looks a period.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

from loadtests.rig.processes import cpu_seconds, members, session_pids

PERIOD_SECONDS = 0.032  # at 0.025 a lone busy group cost 0.8 to 1.2 % of a core to look after
SOONEST_SECONDS = 0.001
LATEST_SECONDS = 0.008  # an idle group may start to work at any time, and must not work for long unseen
TOGETHER_SECONDS = 0.0005  # who is due so soon is looked at now: waking up costs more than looking
ROUNDING_SECONDS = 1e-7
MEMBERS_EVERY_SECONDS = 1.0


@dataclass
class Account:
    """The CPU account of one process group: credit in seconds grows with time and falls with use."""

    cores: float
    members: list[int]
    clocks: dict[int, float] = field(default_factory=dict)
    used: float = 0.0
    credit: float = 0.0
    paused: bool = False
    seen: float = 0.0
    due: float = 0.0

    def use(self) -> float:
        """CPU seconds of all members so far, also of those that have ended. Lean: this is what a look consists of."""
        for pid in self.members:
            try:
                self.clocks[pid] = cpu_seconds(pid)
            except ProcessLookupError:
                continue
        return sum(self.clocks.values())

    @property
    def enough(self) -> float:
        """What a group must have saved up to go on: on one core it then runs for its share of a period."""
        return max(0.0, self.cores * (1 - self.cores) * PERIOD_SECONDS)

    def settle(self, now: float, used: float) -> bool:
        """Book the time since the last look and the group's total use; returns whether it must stand still now."""
        earned = self.cores * (now - self.seen) - (used - self.used)
        most = self.cores * PERIOD_SECONDS
        self.credit = min(self.credit + earned, most)
        self.used, self.seen = used, now
        stand_still = self.credit < (self.enough - ROUNDING_SECONDS if self.paused else ROUNDING_SECONDS)
        if stand_still:
            wait = (self.enough - self.credit) / self.cores
        elif self.credit < most and self.cores < 1:
            wait = self.credit / (1 - self.cores)  # until one busy core has used it up
        else:
            wait = LATEST_SECONDS
        self.due = now + max(wait, SOONEST_SECONDS)
        return stand_still


class Governor:
    """All accounts. Orders and looks come from two threads; `lock` keeps them apart."""

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
                    cores, session_pids(group), credit=cores * PERIOD_SECONDS, seen=time.monotonic()
                )
                account.used = account.use()
                self.accounts[group] = account

    def look(self, now: float) -> float:
        """Settle the accounts that are due, pause or resume their groups; returns the seconds until the next look."""
        with self.lock:
            for group, account in self.accounts.items():
                if account.due <= now + TOGETHER_SECONDS:
                    pause = account.settle(now, account.use())
                    if pause != account.paused:
                        self._signal(group, account, pause=pause)
            soonest = min((account.due for account in self.accounts.values()), default=now + LATEST_SECONDS)
        return max(soonest - now, SOONEST_SECONDS)

    def refresh(self) -> None:
        """Look for processes that joined or left the groups."""
        found = members(set(self.accounts))
        for group, account in list(self.accounts.items()):
            account.members = found[group]

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
            return  # it has ended; the next order about it will say so


def _take_orders(governor: Governor, ended: threading.Event) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        governor.order(order["group"], order["cores"])
        print("done", flush=True)  # noqa: T201 - the answer of the protocol
    ended.set()


def main() -> None:
    """Look after the groups until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the lab's to handle; it closes our input
    governor, ended = Governor(), threading.Event()
    threading.Thread(target=_take_orders, args=(governor, ended), daemon=True).start()
    refreshed = time.monotonic()
    try:
        while not ended.is_set():
            now = time.monotonic()
            # A plain sleep: waiting for the event costs several times as much, and the end is noticed soon enough.
            time.sleep(min(governor.look(now), PERIOD_SECONDS))
            if now - refreshed > MEMBERS_EVERY_SECONDS:
                governor.refresh()
                refreshed = now
    finally:
        governor.resume_all()


if __name__ == "__main__":
    main()
