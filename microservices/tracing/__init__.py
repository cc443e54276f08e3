"""Receives traces over OTLP, keeps them in SQLite, and shows one request as a waterfall with its critical path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from microservices.launcher.errors import MissingProgram

if TYPE_CHECKING:
    from microservices.tracing.receiver import Receiver


def receiver_in(home: Path, port: int = 0) -> Receiver:
    """A receiver that stores in the home folder of the shops; MissingProgram when tracing is not installed."""
    try:
        from microservices.tracing.receiver import Receiver
    except ImportError as error:
        raise MissingProgram(
            f"Tracing needs packages that are not installed ({error.name}); run: make extras"
        ) from None
    return Receiver.in_home(home, port)
