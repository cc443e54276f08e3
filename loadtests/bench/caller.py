"""Calls that the bench measures, as a process of their own: `python -m loadtests.bench.caller URL`.

A number on standard input asks for so many calls of `GET URL`, one after the other; a line is printed when they are
made. The client is a bare `requests.Session`. With `--chassis` it is the services' client instead: the deadline, the
breaker, the retries, the metrics, and a service token if the environment has a key.
"""

import os
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from microservices.chassis import context
from microservices.chassis.client import Upstream
from microservices.chassis.config import Config
from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.observability import Metrics
from microservices.chassis.tokens import ServiceTokens

MINUTE = 60.0


def bare(url: str) -> Callable[[], object]:
    """A call as anybody would write it."""
    import requests

    session = requests.Session()
    return lambda: session.get(url).json()


def on_the_chassis(url: str) -> Callable[[], object]:
    """The same call by the services' client, as it makes it for a request that it serves."""
    parts = urlsplit(url)
    config = Config.from_env("caller", os.environ)
    upstream = Upstream(
        "callee",
        f"{parts.scheme}://{parts.netloc}",
        DeadlineAdapter(),
        timeout=config.timeout,
        tokens=ServiceTokens("caller", config.service_key, {}),
        metrics=Metrics(),
    )

    def call() -> object:
        with context.work(MINUTE):
            return upstream.get(parts.path)

    return call


def main(arguments: list[str]) -> None:
    """Make calls until the input ends."""
    *options, url = arguments
    call = on_the_chassis(url) if "--chassis" in options else bare(url)
    for line in sys.stdin:
        for _ in range(int(line)):
            call()
        print("made", flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main(sys.argv[1:])
