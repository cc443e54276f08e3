"""A rate limit for passwords: a try is taken before the hash is computed, and given back if the password was right.

Tries are a token bucket that refills at a steady rate. It is stored as one number, the moment at which it will be full
(the generic cell rate algorithm). A single statement takes a try or finds none left, so concurrent threads and
replicas get no more tries than there are. That is why accounts uses statements here, and a session elsewhere: a
session would read the number and write it back, and two concurrent requests could take the same try.
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
    """A bucket of `tries`; one try is added again every `seconds`."""

    tries: int
    seconds: float


FROM_A_NETWORK = Limit(10, 90.0)
FROM_ANYWHERE = Limit(50, 72.0)
"""Fifty and one every 72 s are at most 100 in any hour, the bound of OWASP's ASVS for one account."""

ANYWHERE = "anywhere"
KNOWN_SECONDS = 30 * 24 * 3600.0
"""How long a network stays known after the customer signed in from it."""
SWEPT_AT_ONCE = 100


class TooManyAttempts(Problem):
    status, slug, title = 429, "too-many-attempts", "Too many wrong passwords"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"There were too many wrong passwords for this email; try again in {seconds} seconds."
        )
        self.headers = {"Retry-After": str(seconds)}


def network_of(address: str | None) -> str:
    """The network of an address: an IPv4 address itself, or the 64 bits of an IPv6 address that one customer gets."""
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
    """Take a try from each bucket that applies, and return their names; raises TooManyAttempts, and takes none then.

    The bucket for all networks together limits attackers who use many addresses. It could lock out the customer
    too, so it does not apply to a network from which this customer has signed in before.
    """
    now = time.time()
    with writing() as db:
        _take(db, email, network, FROM_A_NETWORK, now)
        if _is_known(db, email, network, now):
            return [network]
        _take(db, email, ANYWHERE, FROM_ANYWHERE, now)
        return [network, ANYWHERE]


def record_success(email: str, network: str, taken: list[str]) -> None:
    """Give the tries back, and store the network as known for this customer."""
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
    """Delete expired rows, a few at a time; the failed try itself was counted before."""
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
            # Rows that another transaction has locked are skipped until next time: no wait, so no deadlock.
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
