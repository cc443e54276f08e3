"""How often passwords may be guessed: a try is taken before the hash is computed, and given back if it was right.

Tries are a bucket that fills again at a steady rate, kept as one number, the moment at which it will be full (the
generic cell rate algorithm). One statement takes a try or finds none left, so however many threads and replicas ask
at once, they get no more than there are. That is why these are statements, unlike the rest of accounts: a session
would read the number and write it back, and two requests at once could take the same try.
"""

from __future__ import annotations

import ipaddress
import math
import time
from dataclasses import dataclass

from sqlalchemy import Connection, case, delete, select, tuple_, update

from ..chassis.database import upsert, writing
from ..chassis.errors import Problem
from .models import KnownNetwork, Tries


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries at once, and then one more whenever so many seconds have passed."""

    tries: int
    seconds: float


FROM_A_NETWORK = Limit(10, 90.0)
FROM_ANYWHERE = Limit(50, 72.0)
"""Fifty and one every 72 s are at most 100 in any hour, the bound of OWASP's ASVS for one account."""

ANYWHERE = "anywhere"
KNOWN_SECONDS = 30 * 24 * 3600.0
"""How long a network is remembered from which the customer has signed in."""
SWEPT_AT_ONCE = 100


class TooManyAttempts(Problem):
    status, slug, title = 429, "too-many-attempts", "Too many wrong passwords"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"There were too many wrong passwords for this email; try again in {seconds} seconds."
        )
        self.headers = {"Retry-After": str(seconds)}


def network_of(address: str | None) -> str:
    """What counts as one place: an IPv4 address, or the 64 bits of an IPv6 address that one customer gets."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip.packed[:8] + bytes(8), 64)))


def take_try(email: str, network: str) -> list[str]:
    """Take a try from each bucket that counts, and return their names; raises TooManyAttempts, and takes none then.

    Tries from anywhere keep many strangers together from guessing. They could keep the customer out as well,
    so whoever comes from where this customer has signed in before is not held up by them.
    """
    now = time.time()
    with writing() as db:
        _take(db, email, network, FROM_A_NETWORK, now)
        if _is_known(db, email, network, now):
            return [network]
        _take(db, email, ANYWHERE, FROM_ANYWHERE, now)
        return [network, ANYWHERE]


def was_right(email: str, network: str, taken: list[str]) -> None:
    """Give the tries back, and remember where the customer signed in."""
    with writing() as db:
        for place in taken:
            cost = (FROM_ANYWHERE if place == ANYWHERE else FROM_A_NETWORK).seconds
            bucket = update(Tries).where(Tries.email == email, Tries.place == place)
            db.execute(bucket.values(full_at=Tries.full_at - cost))
        seen = upsert(db.dialect.name, KnownNetwork).values(email=email, network=network, seen_at=time.time())
        db.execute(
            seen.on_conflict_do_update(
                index_elements=["email", "network"], set_={"seen_at": seen.excluded.seen_at}
            )
        )


def sweep_expired() -> None:
    """Delete what counts no more, a little at a time; the failed try itself was counted before."""
    now = time.time()
    with writing() as db:
        for table, key, old in (
            (Tries, (Tries.email, Tries.place), Tries.full_at < now),
            (
                KnownNetwork,
                (KnownNetwork.email, KnownNetwork.network),
                KnownNetwork.seen_at < now - KNOWN_SECONDS,
            ),
        ):
            # Rows that somebody else holds are left for the next time: nobody waits, so nobody waits for each other.
            some = select(*key).where(old).limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True)
            db.execute(delete(table).where(tuple_(*key).in_(some)))


def _take(db: Connection, email: str, place: str, limit: Limit, now: float) -> None:
    latest = now + (limit.tries - 1) * limit.seconds
    take = (
        upsert(db.dialect.name, Tries)
        .values(email=email, place=place, full_at=now + limit.seconds)
        .on_conflict_do_update(
            index_elements=["email", "place"],
            set_={"full_at": case((Tries.full_at > now, Tries.full_at), else_=now) + limit.seconds},
            where=Tries.full_at <= latest,
        )
        .returning(Tries.full_at)
    )
    if db.execute(take).first() is None:
        bucket = select(Tries.full_at).where(Tries.email == email, Tries.place == place)
        raise TooManyAttempts(max(1, math.ceil(db.execute(bucket).scalar_one() - latest)))


def _is_known(db: Connection, email: str, network: str, now: float) -> bool:
    known = select(KnownNetwork.email).where(
        KnownNetwork.email == email,
        KnownNetwork.network == network,
        KnownNetwork.seen_at > now - KNOWN_SECONDS,
    )
    return db.execute(known).first() is not None
