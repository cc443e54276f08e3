"""Record what kube-controller-manager decides: `python -m microservices.autoscaler.recording FILE`.

It needs etcd and Kubernetes' own kube-apiserver and kube-controller-manager, of any version, and no node, no container
and no rights. It takes two minutes. The recording that the tests replay was made in this way; no row of it is written
by hand.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import requests

from microservices.autoscaler.recording.control_plane import CONTROLLER, ControlPlane
from microservices.autoscaler.recording.metrics_api import MetricsApi
from microservices.autoscaler.recording.situations import Situation, all_situations
from microservices.autoscaler.recording.watching import WINDOW_SECONDS, Json, Watched
from microservices.launcher.errors import LauncherError, NotStarted

SYNC_SECONDS = 2
AT_A_TIME = 40
"""The controller looks at one policy after the other; with more, a round would take longer than SYNC_SECONDS."""
LONGEST_SECONDS = 240.0
MOST_BATCHES = 12
POLICY_APIS = ("autoscaling/v2", "autoscaling/v2beta2")
"""The newest first. Our files are of the first; 1.20 knows the same fields as the second."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--programs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with kube-apiserver and kube-controller-manager; else they are searched in PATH.",
)
def record(file: Path, programs: Path | None) -> None:
    """Record the decisions of Kubernetes' autoscaler in all our situations, and write FILE."""
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        plane = ControlPlane(Path(folder), programs, SYNC_SECONDS)
        with plane:
            recorded = _recorded(plane)
            version = plane.version()
    head = {"controller": f"{CONTROLLER} {version}", "window_seconds": WINDOW_SECONDS}
    file.write_text(_written(head, recorded), encoding="utf-8")
    click.echo(f"{len(recorded)} situations of {head['controller']} are in {file}.")


def _recorded(plane: ControlPlane) -> list[Json]:
    watched: dict[str, Watched] = {}
    done: dict[str, Watched] = {}
    situations = all_situations()
    with MetricsApi(plane, lambda namespace: watched[namespace].look()) as metrics:
        _wait(metrics.available, "The API server does not reach the metrics API.")
        plane.start_controller()
        api = _policy_api(plane)
        waiting = list(situations)
        for _ in range(MOST_BATCHES):
            batch, waiting = waiting[:AT_A_TIME], waiting[AT_A_TIME:]
            _watch(plane, api, batch, watched)
            for each in list(watched.values())[-len(batch) :]:
                if each.too_close():
                    waiting.append(each.situation)
                else:
                    done[each.situation.name] = each
            if not waiting:
                return [done[situation.name].record() for situation in situations]
    raise NotStarted("The controller looks too irregularly; record on a calmer machine.")


def _watch(
    plane: ControlPlane, api: str, situations: Sequence[Situation], watched: dict[str, Watched]
) -> None:
    """Until the controller has looked as often as these situations want; those without looks get as much time."""
    started = []
    for situation in situations:
        namespace = f"situation-{len(watched)}"
        watched[namespace] = Watched(plane, namespace, situation, api)
        started.append(watched[namespace])
    _wait(
        lambda: all(each.finished for each in started if each.situation.looks),
        "The controller does not look at all policies.",
    )
    for each in started:
        each.forget()


def _policy_api(plane: ControlPlane) -> str:
    served = {
        version["groupVersion"]
        for group in plane.call("GET", "/apis")["groups"]
        for version in group["versions"]
    }
    return next(api for api in POLICY_APIS if api in served)


def _wait(done: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise NotStarted(problem)
        time.sleep(0.1)


def _written(head: Json, recorded: Sequence[Json]) -> str:
    """JSON with a line for each situation, so that a new recording is compared easily."""
    rows = ",\n".join(json.dumps(each, separators=(",", ":")) for each in recorded)
    return json.dumps(head)[:-1] + f', "situations": [\n{rows}\n]}}\n'


def main() -> None:
    """Run the command; a user's error is one sentence."""
    try:
        record(prog_name="python -m microservices.autoscaler.recording")
    except (LauncherError, requests.RequestException) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
