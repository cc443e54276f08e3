"""The `microservices` command: up, status, scale, restart, logs, down, trace, routes, seed, databases, chaos,
containers, kubernetes.

`up` is the launcher and stays in the foreground; status, scale, restart and down talk to it over its socket. Imports
are inside the commands, so that `--help` and quick commands do not wait for what only `up` needs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import click

from microservices.launcher.errors import LauncherError, NotRunning, WrongScale
from microservices.launcher.folder import RunFolder, default_home
from microservices.topology import MONOLITH, SPLIT, Topology, on_node

FAILURE, USAGE = 1, 2
FOLLOW_SECONDS = 0.1
MEGABYTE = 1_000_000


def main() -> None:
    """Run the command. A user's error prints one sentence; the exit status is 1, or 2 for a wrong argument."""
    try:
        cli(prog_name="microservices")
    except LauncherError as error:
        click.echo(str(error), err=True)
        sys.exit(USAGE if isinstance(error, WrongScale) else FAILURE)


class Scale(click.ParamType[tuple[str, int]]):
    """NAME=N: a service of the topology and a number of replicas that it can have."""

    name = "NAME=N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """The name and the number; a wrong value ends the command with a usage error."""
        name, _, number = str(value).partition("=")
        if not number.isascii() or not number.isdigit():
            self.fail(f"{value!r} is not NAME=N, such as recommendations=4.", param, ctx)
        if error := SPLIT.scale_error(name, int(number)):
            self.fail(error, param, ctx)
        return name, int(number)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The shop as independent services behind a gateway."""


@cli.command()
@click.option(
    "--scale", "scales", type=Scale(), multiple=True, help="Replicas of a service (default: 1 each)."
)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Public port.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Folder of the databases.")
@click.option(
    "--seed/--no-seed",
    "fresh",
    default=None,
    help="Replace all data (default: fill only databases without data).",
)
@click.option(
    "--autoscale",
    "policy_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Let replicas follow the HorizontalPodAutoscaler in this file (autoscaling/v2).",
)
@click.option(
    "--autoscale-every",
    "sync_seconds",
    type=click.FloatRange(0.5, 300),
    default=15.0,
    show_default=True,
    help="Seconds between two decisions.",
)
@click.option(
    "--traces", is_flag=True, help="Trace every request, for `microservices trace` (needs `make extras`)."
)
@click.option(
    "--recommendations",
    "language",
    type=click.Choice(["python", "node"]),
    default="python",
    show_default=True,
    help="Which of the two recommendations services to run (node needs `make extras`).",
)
def up(
    scales: tuple[tuple[str, int], ...],
    port: int,
    data: Path | None,
    fresh: bool | None,
    policy_file: Path | None,
    sync_seconds: float,
    traces: bool,
    language: str,
) -> None:
    """Start the shop; it runs until Ctrl-C or `microservices down`."""
    from microservices.launcher import Fleet
    from microservices.launcher.control import ControlServer
    from microservices.launcher.logs import LogEcho, LogTail
    from microservices.launcher.ports import require_free

    _interrupt_on_first_signal()
    started = time.perf_counter()
    data = data or _default_data()
    receiver = _receiver() if traces else None
    env = receiver.environment() if receiver else {}
    topology = _topology(language)
    fleet = Fleet(topology, dict(scales), data_dir=data, port=port, env=env, say=click.echo)
    autoscaler = _autoscaler(fleet, policy_file, sync_seconds) if policy_file else None
    notes = autoscaler.report if autoscaler else list
    try:
        fleet.folder.claim(click.echo)
        require_free(port)
        _seed_if_wanted(data, fresh=fresh)
        echo = LogEcho(LogTail(fleet.folder.logs), _writer())
        with receiver or nullcontext(), echo, fleet, autoscaler or nullcontext(), ControlServer(fleet, notes):
            seconds = time.perf_counter() - started
            click.echo(f"The shop is open at {fleet.url} after {seconds:.1f} s; Ctrl-C closes it.")
            fleet.stopped.wait()
    except KeyboardInterrupt:
        pass
    click.echo("The shop is closed.")


@cli.command()
def status() -> None:
    """Show the processes of the running shop."""
    from rich.console import Console
    from rich.table import Table

    report = _send({"command": "status"})
    table = Table("replica", "state", "pid", "port", "up", "restarts", "USS MB", "CPU %")
    for column in table.columns[2:]:
        column.justify = "right"
    for member in report["members"]:
        table.add_row(
            member["label"],
            member["phase"],
            str(member["pid"]),
            str(member["port"]),
            f"{member['uptime']:.0f} s",
            str(member["restarts"]),
            f"{member['uss_bytes'] / MEGABYTE:.0f}",
            f"{member['cpu_percent']:.1f}",
        )
    memory = sum(member["uss_bytes"] for member in report["members"]) / MEGABYTE
    cpu = sum(member["cpu_percent"] for member in report["members"])
    table.add_section()
    table.add_row(f"{len(report['members'])} in all", "", "", "", "", "", f"{memory:.0f}", f"{cpu:.1f}")
    console = Console()
    console.print(table)
    console.print(f"The shop is at {report['url']}", highlight=False)
    for note in report["notes"]:
        console.print(note, highlight=False)


@cli.command()
@click.argument("scale", type=Scale())
def scale(scale: tuple[str, int]) -> None:
    """Change service NAME to N replicas, without losing a request."""
    name, count = scale
    labels = _send({"command": "scale", "name": name, "count": count})
    click.echo(f"{name} now has {count} replica{'' if count == 1 else 's'}: {', '.join(labels) or 'none'}.")


@cli.command()
@click.argument("name")
def restart(name: str) -> None:
    """Replace the replicas of service NAME one after another, without losing a request."""
    labels = _send({"command": "restart", "name": name})
    click.echo(f"{name} was restarted: {', '.join(labels) or 'it has no replica'}.")


@cli.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Show new lines until Ctrl-C.")
@click.option("-n", "--lines", default=50, show_default=True, help="Lines of each log to show first.")
def logs(names: tuple[str, ...], follow: bool, lines: int) -> None:
    """Show the logs of all processes, of a service (catalog) or of a replica (catalog-1)."""
    from microservices.launcher.logs import LogTail

    folder = RunFolder(default_home(), SPLIT.name).logs
    written = {log.stem for log in folder.glob("*.log")}
    known = written | {label.rpartition("-")[0] for label in written}
    if unknown := [name for name in names if name not in known]:
        choices = ", ".join(sorted(written)) or "none: start the shop with microservices up"
        raise LauncherError(f"There is no log of {', '.join(unknown)}; the logs are {choices}.")
    tail, write = LogTail(folder, names), _writer()
    tail.skip_to_last(lines)
    try:
        while True:
            for label, line in tail.lines():
                write(label, line)
            if not follow:
                return
            time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        return


@cli.command()
def down() -> None:
    """Stop the running shop, or end what a killed launcher left behind."""
    try:
        _send({"command": "down"})
        click.echo("The shop is closed.")
    except NotRunning:
        folder = RunFolder(default_home(), SPLIT.name)
        if not folder.state_file.exists():
            raise
        folder.claim(click.echo)
        folder.release()


@cli.command()
@click.argument("request_ids", metavar="[REQUEST_ID]...", nargs=-1)
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page that opens offline."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the spans of one request as a JSON list, for programs."
)
def trace(request_ids: tuple[str, ...], page: Path | None, as_json: bool) -> None:
    """Follow a request through all services; with two ids, side by side; without one, list the newest.

    A response names its id in X-Request-Id. The shop has to run with `up --traces`.
    """
    from microservices.tracing.command import print_spans, show_traces

    if as_json and len(request_ids) != 1:
        raise click.UsageError("--json prints the spans of one request; give its id.")
    if as_json:
        print_spans(default_home(), request_ids[0])
    else:
        show_traces(default_home(), request_ids, page)


@cli.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=4318, show_default=True, help="Port to listen on."
)
def collector(port: int) -> None:
    """Receive traces of shops that other commands started, until Ctrl-C.

    Start them with OTEL_EXPORTER_OTLP_ENDPOINT set to the address that is printed.
    """
    _interrupt_on_first_signal()
    receiver = _receiver(port)
    try:
        with receiver:
            click.echo(f"Receiving traces; start a shop with OTEL_EXPORTER_OTLP_ENDPOINT={receiver.url}")
            signal.pause()
    except KeyboardInterrupt:
        click.echo("The collector is closed.")


@cli.command()
def routes() -> None:
    """List each public path, the service that answers it, and the services that it calls."""
    from rich.console import Console
    from rich.table import Table

    from microservices.launcher.gateway import public_paths

    table = Table("public path", "answered by", "calls")
    table.columns[0].no_wrap = True
    for path, _ in SPLIT.files:
        table.add_row(path, "the gateway (a file)", "")
    named = set()
    for patterns, owner in public_paths(SPLIT):
        calls = ", ".join(SPLIT.service(owner).needs) if owner else ""
        table.add_row(patterns[0] if owner else patterns[-1], owner or "the gateway (404)", calls)
        named.add(owner)
    for service in SPLIT.services:
        if service.name not in named:
            table.add_row("(none)", service.name, ", ".join(service.needs))
    Console().print(table)


@cli.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Folder of the databases.")
def seed(data: Path | None) -> None:
    """Fill every service's database with the shop's data (generated once, then copied)."""
    folder = RunFolder(default_home(), SPLIT.name)
    folder.claim(click.echo)  # refuses while a shop runs: its databases would be replaced
    _seed_if_wanted(data or _default_data(), fresh=True)


@cli.group()
def databases() -> None:
    """Create or drop a PostgreSQL database and a role for each service."""


def _server_options(command: Callable[..., None]) -> Callable[..., None]:
    prefix = click.option("--prefix", default="shop", show_default=True, help="Names are <prefix>_<service>.")
    url = click.option("--url", required=True, help="The administrator's URL, postgresql://USER@HOST:PORT.")
    return url(prefix(command))


@databases.command("create")
@_server_options
def create_databases(url: str, prefix: str) -> None:
    """Create what is missing and print the setting that the shop needs; existing data stays."""
    from microservices.launcher.databases import Server, create

    pattern = create(Server(url, prefix), default_home() / "postgresql")
    click.echo(f"export SHOP_DATABASE_URL='{pattern}'")


@databases.command("drop")
@_server_options
def drop_databases(url: str, prefix: str) -> None:
    """Drop the databases with all their data, and the roles."""
    from microservices.launcher.databases import Server, drop

    drop(Server(url, prefix))
    click.echo(f"The databases and roles {prefix}_<service> are dropped.")


@cli.command()
@click.option(
    "--seed", type=click.IntRange(0), help="Repeat the faults of the run with this seed (default: random)."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0.05, 24 * 60),
    default=10.0,
    show_default=True,
    help="How long to inject faults.",
)
@click.option(
    "--database-url",
    "pattern",
    metavar="PATTERN",
    help="PostgreSQL databases, with {service}; their data is replaced (default: its own SQLite files).",
)
@click.option(
    "--only", metavar="KIND", help="One kind of fault, such as kill, pause or 'bad client' (default: all)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to stderr.")
def chaos(seed: int | None, minutes: float, pattern: str | None, only: str | None, as_json: bool) -> None:
    """Break a separate shop under load in every way, and check the invariants.

    Exit status: 0 when all invariants hold, 1 when one is broken, 2 when the run itself failed, 130 after Ctrl-C.
    """
    from microservices.chaos.command import main as run_chaos

    _interrupt_on_first_signal()
    sys.exit(run_chaos(seed, minutes, pattern, as_json=as_json, only=only))


@cli.group()
def containers() -> None:
    """Make what `docker compose` runs both shops with: see docs/containers.md."""


@containers.command("make")
def make_containers() -> None:
    """Write compose.yaml and the files in containers/, from the topology."""
    from microservices.deployment import facts, files

    files.write(facts.ROOT, files.for_containers(), click.echo)


@containers.command("check")
def check_containers() -> None:
    """Say which of these files are stale; the exit status is 1 if one is."""
    from microservices.deployment import facts, files

    _require_fresh(files.stale(facts.ROOT, files.for_containers()), "containers")


@containers.command("secrets")
def write_container_secrets() -> None:
    """Write new keys and passwords into .shop/containers/, a file for each container."""
    from microservices.deployment import facts, secret_values

    written = secret_values.write_env_files(facts.ROOT / ".shop" / "containers")
    click.echo(f"Wrote {len(written)} files in {written[0].parent}")


@cli.group()
def kubernetes() -> None:
    """Make what a Kubernetes cluster runs both shops with: see docs/kubernetes.md."""


_shop = click.option(
    "--shop",
    "name",
    type=click.Choice(["microservices", "monolith"]),
    default="microservices",
    show_default=True,
    help="The shop, which is also the namespace.",
)


@kubernetes.command("make")
def make_kubernetes() -> None:
    """Write the folders that `kubectl apply -k` reads, from the topology."""
    from microservices.deployment import facts, files

    files.write(facts.ROOT, files.for_clusters(), click.echo)


@kubernetes.command("check")
def check_kubernetes() -> None:
    """Say which of these files are stale; the exit status is 1 if one is."""
    from microservices.deployment import facts, files

    _require_fresh(files.stale(facts.ROOT, files.for_clusters()), "kubernetes")


@kubernetes.command("explain")
@_shop
def explain_kubernetes(name: str) -> None:
    """Show what each part asks the cluster for, and who may open a connection to whom."""
    from rich.console import Console

    from microservices.deployment.explain import table

    Console().print(table(_shop_named(name)))


@kubernetes.command("secrets")
@_shop
def print_kubernetes_secrets(name: str) -> None:
    """Print new keys and passwords as Secrets, for `kubectl apply -f -`. Run it once for each namespace."""
    import yaml

    from microservices.deployment import secret_values

    click.echo(yaml.safe_dump_all(secret_values.as_objects(_shop_named(name)), sort_keys=False), nl=False)


def _shop_named(name: str) -> Topology:
    return {shop.name: shop for shop in (SPLIT, MONOLITH)}[name]


def _require_fresh(stale: list[str], command: str) -> None:
    if stale:
        raise LauncherError(f"Stale: {', '.join(stale)}. Run: microservices {command} make")
    click.echo("All files are as the topology says.")


def _default_data() -> Path:
    return default_home() / "data" / "microservices"


def _seed_if_wanted(data: Path, *, fresh: bool | None) -> None:
    """Fill all databases if `fresh`; if it is None, those without data; if it is False, none."""
    from microservices.launcher.seed import seed as fill
    from microservices.launcher.seed import without_data

    if fresh is False:
        return
    with_database = [service.name for service in SPLIT.with_database]
    names = with_database if fresh else without_data(data)
    if not names:
        return
    if len(names) < len(with_database):
        click.echo(
            f"There is no data of {', '.join(names)}: this part is filled with new data, and the other services keep "
            "theirs. If you have a copy, stop the shop and put it back; microservices seed replaces everything."
        )
    started = time.perf_counter()
    fill(data, only=names, say=click.echo)
    click.echo(f"Seeded {data} in {time.perf_counter() - started:.1f} s.")


def _topology(language: str) -> Topology:
    from microservices.launcher.errors import MissingProgram

    if language == "python":
        return SPLIT
    try:
        return on_node(SPLIT)
    except ModuleNotFoundError as error:
        raise MissingProgram(str(error)) from None


def _autoscaler(fleet: Any, policy_file: Path, sync_seconds: float) -> Any:
    from microservices.autoscaler import Autoscaler, read_policies

    return Autoscaler(fleet, read_policies(policy_file), sync_seconds=sync_seconds, say=click.echo)


def _receiver(port: int = 0) -> Any:
    from microservices.tracing import receiver_in

    return receiver_in(default_home(), port)


def _send(request: dict[str, Any]) -> Any:
    from microservices.launcher.control import send_command

    return send_command(default_home(), SPLIT.name, request)


def _writer() -> Callable[[str, str], None]:
    from microservices.launcher.logs import Prefix

    width = max(len(service.name) for service in SPLIT.services) + 2
    prefix = Prefix(width, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    return lambda label, line: click.echo(prefix(label, line))


def _interrupt_on_first_signal() -> None:
    """The first Ctrl-C, SIGTERM or SIGHUP stops the shop. Later ones are ignored, so that it can stop in order."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


if __name__ == "__main__":
    main()
