"""18: an image, probes that tell the truth, and replicas that follow demand; no Docker and no cluster is needed."""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
import shlex
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exercises.checks import programs
from exercises.checks.checking import Bench, NotYet, check
from exercises.checks.standin import scratch
from microservices.autoscaler import Autoscaler, Policy, PolicyError
from microservices.autoscaler.decision import decide
from microservices.autoscaler.limits import History
from microservices.autoscaler.loop import prepared
from microservices.autoscaler.policy import millicores, parse_policies
from microservices.autoscaler.replica_count import Pod, Usage
from microservices.chaos.pause import paused_processes
from microservices.launcher import sqlite_url
from microservices.launcher.environment import inherited
from microservices.launcher.ports import Ports
from microservices.launcher.process import Child, end_all
from microservices.sealing import COURSE, in_workspace, of_course
from microservices.topology import SPLIT, load, node_program

HOT = "recommendations"
DOCKERFILE, DEPLOYMENT, AUTOSCALER = "Dockerfile", "cluster/recommendations.yaml", "cluster/autoscaler.yaml"
OWN = ("microservices/chassis/", f"microservices/{HOT}/", f"microservices/{HOT}_node/")
SERVED = f"microservices/{HOT}/app.py"
OTHERS = {each.name for each in SPLIT.services} - {HOT} | {"mailer"}
KUBERNETES = "1.33"
START_SECONDS, END_SECONDS, PROBE_SECONDS = 20.0, 5.0, 2.0
SYNC_SECONDS = 15
"""How often a cluster's controller decides."""
SPIKE, CALM, QUIET = 10.0, 0.02, 0.1
"""Demand as a multiple of one replica's request."""
UP_SECONDS, KEEP_SECONDS, DOWN_SECONDS = 90, 60, 660
CLIENTS, SPIKE_SECONDS = 8, 30.0
OK = 200
OF_ONE_CLUSTER = re.compile(r"SHOP_[A-Z]+_URL|SHOP_SERVICE_KEY")
MIB = 1 << 20


# ---- task 1


@check("one-service-only", task="image", shop=False)
def _(bench: Bench) -> None:
    """The image holds recommendations and what it stands on, and no other code or data of the shop."""
    image = _image(bench)
    held = [path for path in image.files() if not path.startswith("packages/")]
    bench.expect(
        any(path.endswith((SERVED, f"microservices/{HOT}_node/main.js")) for path in held),
        did=f"followed {DOCKERFILE} instruction by instruction",
        expected=f"microservices/{HOT} in the last stage",
        got=", ".join(held[:5]) or "no file",
        why="An image without the service starts nothing.",
        look=f"{DOCKERFILE}: COPY",
    )
    foreign = [path for path in held if _is_foreign(path)]
    bench.expect(
        not foreign,
        did=f"followed {DOCKERFILE} instruction by instruction",
        expected=f"microservices/{HOT}, microservices/chassis, and what starts them",
        got=f"{len(foreign)} other files, such as {', '.join(foreign[:3])}",
        why="What is in the image is deployed with each change of anything in it, and read by whoever breaks in.",
        look=f"{DOCKERFILE}: COPY",
    )
    bench.note(f"{len(held)} files of the shop")


@check("starts-from-the-image", task="image", shop=False)
def _(bench: Bench) -> None:
    """From the files of the image alone, the command starts the service, and SIGTERM to it ends everything."""
    with _running(bench) as program:
        children = psutil.Process(program.child.pid).children(recursive=True)
        os.kill(program.child.pid, 15)  # as an engine does: to the first process, and to no other
        deadline = time.monotonic() + END_SECONDS
        while _alive(program, children) and time.monotonic() < deadline:
            time.sleep(0.02)
        bench.expect(
            not _alive(program, children),
            did="sent SIGTERM to the first process of the container",
            expected=f"an end within {END_SECONDS:g} s",
            got="processes that still run",
            why="A shell in front does not pass the signal on; SHOP_DRAIN_SECONDS makes the program wait. After the "
            "grace period everything is killed.",
            look=f"{DOCKERFILE}: CMD; {DEPLOYMENT}: env",
        )


@check("nothing-more-than-needed", task="image", shop=False)
def _(bench: Bench) -> None:
    """The base is pinned, the packages come from the lock before the code, and the user is a number and not root."""
    image = _image(bench)
    bench.expect(
        all(re.search(r"@sha256:[0-9a-f]{64}$|:[^:/]*\d[^:/]*$", base) for base in image.bases),
        did=f"read FROM in {DOCKERFILE}",
        expected="each base with a version or a digest",
        got=", ".join(image.bases),
        why="Another build of the same commit would be another image.",
        look=f"{DOCKERFILE}: FROM",
    )
    bench.expect(
        re.match(r"[1-9]\d*(:|$)", image.user),
        did=f"read USER in the last stage of {DOCKERFILE}",
        expected="a number above 0: the cluster compares it with runAsNonRoot",
        got=image.user or "no USER",
        why="A process that breaks out as root is root on the node.",
        look=f"{DOCKERFILE}: USER",
    )
    settings = sorted(name for name in image.stage.env if OF_ONE_CLUSTER.fullmatch(name))
    bench.expect(
        not settings,
        did=f"read ENV in {DOCKERFILE}",
        expected="no address and no password: the Deployment and its Secret have them",
        got=", ".join(settings),
        why="Everybody who gets the image can read it, and in another cluster it would be another image.",
        look=f"{DOCKERFILE}: ENV",
    )
    installs = [place for place, line in enumerate(image.lines) if re.match(r"RUN\b.*\bpip\d? install", line)]
    unpinned = [image.lines[place] for place in installs if "--require-hashes" not in image.lines[place]]
    bench.expect(
        installs and not unpinned,
        did=f"read RUN in {DOCKERFILE}",
        expected="pip install --require-hashes, from requirements-runtime.lock",
        got=unpinned[0] if unpinned else "no pip install",
        why="Without hashes, what is installed depends on the day.",
        look=f"{DOCKERFILE}: RUN",
    ) if any("python" in base for base in image.bases) else None
    code = [
        place
        for place, line in enumerate(image.lines)
        if re.match(r"(COPY|ADD)\b.*microservices|COPY \. ", line)
    ]
    bench.expect(
        not installs or not code or max(installs) < min(code),
        did=f"read {DOCKERFILE} from top to bottom",
        expected="the packages in a layer before the code",
        got="code before the packages",
        why="Each change of a line of code would install all packages again.",
        look=f"{DOCKERFILE}: the order of COPY and RUN",
    )


# ---- task 2


@check("the-files-are-valid", task="deployment", shop=False)
def _(bench: Bench) -> None:
    """Each object fits the schemas of Kubernetes, and the labels, ports and names fit each other."""
    for path in (DEPLOYMENT, AUTOSCALER):
        _objects(bench, path)
    if find_spec("kubernetes_validate") is None:
        raise bench.inconclusive("the schemas are not installed: pip install kubernetes-validate")
    command = ("-m", "kubernetes_validate", "-k", KUBERNETES, "--strict", "--quiet")
    files = [str(bench.workspace / path) for path in (DEPLOYMENT, AUTOSCALER)]
    ran = programs.run((*command, *files), COURSE, of_course(inherited(os.environ)), 60.0)
    bench.expect(
        ran.status == 0,
        did=f"compared the objects with the schemas of Kubernetes {KUBERNETES}",
        expected="objects that the API takes",
        got=(ran.out + ran.err).strip().replace(f"{bench.workspace}/", "")[:400],
        why="A field that is misspelt is refused, or ignored.",
        look=f"{DEPLOYMENT}, {AUTOSCALER}",
    )
    pod, service = _pod(bench), _one(bench, DEPLOYMENT, "Service")
    labels = pod.template.get("metadata", {}).get("labels", {})
    bench.expect(
        (service["spec"].get("selector") or {}).items() <= labels.items() and service["spec"].get("selector"),
        did="compared the Service's selector with the labels of the pods",
        expected="labels that the pods have",
        got=f"{service['spec'].get('selector')} and {labels}",
        why="Nobody would get a connection, and nothing would say why.",
        look=DEPLOYMENT,
    )
    target = service["spec"]["ports"][0].get("targetPort", service["spec"]["ports"][0].get("port"))
    listens = pod.environment.get("SHOP_PORT", "8000")
    bench.expect(
        str(pod.port(target)) == listens and pod.environment.get("SHOP_HOST") == "0.0.0.0",  # noqa: S104
        did="compared the ports, and where the program listens",
        expected=f"SHOP_HOST=0.0.0.0 and one port, {listens}, in the image, the container and the Service",
        got=f"SHOP_HOST={pod.environment.get('SHOP_HOST')}, SHOP_PORT={listens}, target {target}",
        why="On 127.0.0.1 a program in a container can be reached by nobody.",
        look=f"{DOCKERFILE}: ENV; {DEPLOYMENT}: ports",
    )


@check("probes-tell-the-truth", task="deployment", shop=False, timing=True, seconds=20)
def _(bench: Bench) -> None:
    """Ready, draining, without a database, hung: in each state every probe says what the cluster has to do."""
    pod = _pod(bench)
    with _running(bench) as program:
        _expect_probes(bench, pod, program, "it runs", ready=True, alive=True)
        program.drain_file.touch()
        _expect_probes(bench, pod, program, "it drains", ready=False, alive=True)
        program.drain_file.unlink()
        with program.without_tables():
            program.ask("/api/products/P00001/recommendations")
            _expect_probes(bench, pod, program, "its database has lost its tables", ready=False, alive=True)
        with paused_processes(program.child.pids()):
            _expect_probes(bench, pod, program, "it hangs", ready=False, alive=False)


@check("has-time-to-start", task="deployment", shop=False)
def _(bench: Bench) -> None:
    """The livenessProbe leaves time for a start, and ends a replica that hangs within a minute."""
    pod = _pod(bench)
    startup, alive = (pod.container.get(name) or {} for name in ("startupProbe", "livenessProbe"))
    allowed = _patience(startup) if startup else alive.get("initialDelaySeconds", 0)
    bench.expect(
        allowed >= 30,
        did="read the startupProbe, or the livenessProbe's initialDelaySeconds",
        expected="at least 30 s to start in, before the livenessProbe counts",
        got=f"{allowed} s",
        why="On a busy node a start takes longer, and a livenessProbe would end it again and again.",
        look=f"{DEPLOYMENT}: startupProbe",
    )
    bench.expect(
        _patience(alive) <= 60,
        did="read the livenessProbe",
        expected="at most 60 s until a replica that hangs is ended",
        got=f"{_patience(alive)} s: failureThreshold times periodSeconds, or timeoutSeconds if that is longer",
        why="Until then it holds a place among the replicas, and its share of the requests waits.",
        look=f"{DEPLOYMENT}: livenessProbe",
    )


def _patience(probe: Mapping[str, Any]) -> int:
    """Seconds that a probe may fail before it counts."""
    longest = max(probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1))
    return int(probe.get("failureThreshold", 3) * longest)


@check("asks-for-what-it-needs", task="deployment", shop=False)
def _(bench: Bench) -> None:
    """It asks for CPU and memory, may use as much memory as it needs and not more, and has no limit of CPU."""
    pod = _pod(bench)
    resources = pod.container.get("resources") or {}
    asked, limits = resources.get("requests") or {}, resources.get("limits") or {}
    bench.expect(
        asked.get("cpu")
        and (asked.get("memory") or limits.get("memory")),  # without a request the limit is one
        did="read the requests",
        expected="cpu and memory",
        got=asked or "none",
        why="The scheduler places by requests, and an autoscaler's percentages are of the CPU request.",
        look=f"{DEPLOYMENT}: resources.requests",
    )
    with _running(bench) as program:
        for _ in range(30):
            program.ask("/api/products/P00001/recommendations")
        used = sum(psutil.Process(pid).memory_info().rss for pid in program.child.pids()) // MIB
    limit = _mebibytes(limits.get("memory"))
    bench.expect(
        limit is not None and 1.15 * used <= limit <= 1024,
        did=f"started it and asked a little: it uses {used} MiB; then read limits.memory",
        expected="a limit with some room above that, and below a gibibyte",
        got=f"memory: {limits['memory']}" if "memory" in limits else "none",
        why="Below its need it is killed under load; without a limit a leak takes the whole node.",
        look=f"{DEPLOYMENT}: resources.limits",
    )
    bench.expect(
        "cpu" not in limits,
        did="read the limits",
        expected="no limit of CPU",
        got=f"cpu: {limits.get('cpu')}",
        why="With one a replica waits although cores are free, and the autoscaler never sees more than the limit.",
        look=f"{DEPLOYMENT}: resources.limits",
    )
    bench.note(f"{used} MiB used, {limit} MiB allowed")


@check("has-no-rights-to-spare", task="deployment", shop=False)
def _(bench: Bench) -> None:
    """No root, no capabilities, a read-only root file system, no token of the cluster, no password in the file."""
    pod = _pod(bench)
    for container in pod.containers:
        rights = _rights(pod, container)
        missing = [name for name, there in rights.items() if not there]
        bench.expect(
            not missing,
            did=f"read the rights of the container {container.get('name')}",
            expected="; ".join(missing),
            got="not so",
            why="What a service does not need, nobody who breaks into it should have.",
            look=f"{DEPLOYMENT}: securityContext of the pod and of each container",
        )
    writable = {
        mount.get("mountPath")
        for mount in pod.container.get("volumeMounts") or []
        if not mount.get("readOnly")
    }
    bench.expect(
        "/tmp" in writable,  # noqa: S108 -- the container's own
        did="read volumeMounts",
        expected="a volume at /tmp, the one place to write",
        got=", ".join(map(str, writable)) or "none that can be written to",
        why="A program needs a place for what it keeps for a moment, and its root file system is read-only.",
        look=f"{DEPLOYMENT}: volumes and volumeMounts",
    )
    bench.expect(
        _has_no_token(bench, pod),
        did="read the pod, and its ServiceAccount where the file has one",
        expected="automountServiceAccountToken: false",
        got="a token of the cluster in each pod",
        why="Whoever breaks into the service could ask the cluster's API.",
        look=f"{DEPLOYMENT}: spec.template.spec",
    )
    secret = [
        each.get("name")
        for each in pod.container.get("env") or []
        if each.get("name") in {"SHOP_DATABASE_URL", "SHOP_SERVICE_KEY"} and "value" in each
    ]
    bench.expect(
        not secret and _secrets(pod),
        did="read the environment",
        expected="SHOP_DATABASE_URL and SHOP_SERVICE_KEY from a Secret",
        got=f"{', '.join(map(str, secret))} in the file" if secret else "no Secret",
        why="This file is in the repository, and everybody who can read it could read the database.",
        look=f"{DEPLOYMENT}: envFrom",
    )


@check("leaves-without-an-error", task="deployment", shop=False)
def _(bench: Bench) -> None:
    """A replica that goes gets time until nobody sends to it any more, and a rollout never has fewer than before."""
    pod = _pod(bench)
    hook = (pod.container.get("lifecycle") or {}).get("preStop") or {}
    wait = (hook.get("sleep") or {}).get("seconds", 0)
    command = " ".join((hook.get("exec") or {}).get("command") or [])
    if found := re.search(r"sleep\W+(\d+)", command):
        wait = int(found[1])
    grace = pod.spec.get("terminationGracePeriodSeconds", 30)
    bench.expect(
        wait >= 5 and grace >= wait + 10,
        did="read preStop and terminationGracePeriodSeconds",
        expected="at least 5 s before SIGTERM, and 10 more before the kill",
        got=f"{wait} s before SIGTERM, {grace} s in all",
        why="Others learn some seconds late that it goes, and send requests until then.",
        look=f"{DEPLOYMENT}: lifecycle",
    )
    rolling = (pod.deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    bench.expect(
        rolling.get("maxUnavailable") in {0, "0", "0%"},
        did="read the strategy",
        expected="maxUnavailable: 0",
        got=rolling.get("maxUnavailable", "25 %, the default, and with one replica the way to none"),
        why="The new replica has to be ready before the old one goes.",
        look=f"{DEPLOYMENT}: strategy",
    )


# ---- task 3


@check("the-policy-fits", task="autoscaler", shop=False)
def _(bench: Bench) -> None:
    """The launcher understands the policy, it scales this Deployment, and nothing else sets the number of replicas."""
    policy, pod = _policy(bench), _pod(bench)
    bench.expect(
        policy.target == pod.deployment["metadata"]["name"],
        did="compared scaleTargetRef with the Deployment",
        expected=f"name: {pod.deployment['metadata']['name']}",
        got=policy.target,
        why="A policy for a name that is not there does nothing, quietly.",
        look=f"{AUTOSCALER}: scaleTargetRef",
    )
    here = pod.deployment["metadata"].get("namespace")
    there = _one(bench, AUTOSCALER, "HorizontalPodAutoscaler")["metadata"].get("namespace")
    bench.expect(
        here == there,
        did="compared the namespaces of the policy and of the Deployment",
        expected="the same",
        got=f"{there or 'that of the command'} and {here or 'that of the command'}",
        why="A policy sees only the Deployments of its own namespace.",
        look=f"{AUTOSCALER}: metadata; {DEPLOYMENT}: metadata",
    )
    bench.expect(
        "replicas" not in pod.deployment["spec"],
        did="read spec.replicas of the Deployment",
        expected="none: the autoscaler says it",
        got=f"replicas: {pod.deployment['spec'].get('replicas')}",
        why="Each apply of the file would set the number back, in the middle of a spike.",
        look=DEPLOYMENT,
    )


@check("sized-by-demand", task="autoscaler", shop=False)
def _(bench: Bench) -> None:
    """A spike soon has its replicas, a short pause takes none away, and a long one all but the minimum."""
    policy = _policy(bench)
    cluster = Imagined(policy)
    bench.expect(
        cluster.run(QUIET, 120) == policy.minimum == 1,
        did="let the policy decide about a quiet shop",
        expected="1 replica",
        got=f"{cluster.replicas}",
        why="Replicas that nobody needs are paid for all the same.",
        look=f"{AUTOSCALER}: minReplicas",
    )
    reached = cluster.run(SPIKE, UP_SECONDS)
    bench.expect(
        reached >= 6,
        did=f"let demand grow to {SPIKE:g} times a replica's request, and let the policy decide for {UP_SECONDS} s",
        expected="at least 6 replicas",
        got=f"{reached}",
        why="Until the replicas are there, visitors wait.",
        look=f"{AUTOSCALER}: maxReplicas, averageUtilization, behavior.scaleUp",
    )
    kept = cluster.run(CALM, KEEP_SECONDS)
    bench.expect(
        kept == reached,
        did=f"let demand pause for {KEEP_SECONDS} s",
        expected=f"still {reached} replicas",
        got=f"{kept}",
        why="After the pause the spike goes on, and each replica that went has to start again.",
        look=f"{AUTOSCALER}: behavior.scaleDown.stabilizationWindowSeconds",
    )
    left = cluster.run(CALM, DOWN_SECONDS)
    bench.expect(
        left == policy.minimum,
        did=f"let the shop be quiet for {DOWN_SECONDS} s",
        expected=f"{policy.minimum} replica",
        got=f"{left}",
        why="What grows and never shrinks is a static size at the peak.",
        look=f"{AUTOSCALER}: behavior.scaleDown",
    )


@check("follows-a-spike", task="autoscaler", load=True, seconds=60)
def _(bench: Bench) -> None:
    """In your shop the launcher follows your policy: under a spike recommendations grows, and nothing else does."""
    shop, policy = bench.shop(), _policy(bench)
    sku, ended = bench.some_sku(), threading.Event()
    others = {each.name for each in shop.fleet.topology.services} - {HOT}

    def visit() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not ended.is_set():
                with suppress(requests.RequestException):
                    session.get(f"{shop.url}/api/products/{sku}/recommendations", timeout=5)

    said: list[str] = []
    try:
        with (
            Autoscaler(shop.fleet, [policy], sync_seconds=1.0, say=said.append) as scaler,
            ThreadPoolExecutor(CLIENTS) as pool,
        ):
            began = time.monotonic()
            for _ in range(CLIENTS):
                pool.submit(visit)
            while shop.fleet.wanted(HOT) < 2 and time.monotonic() < began + SPIKE_SECONDS:
                time.sleep(0.05)
            took, wanted = time.monotonic() - began, shop.fleet.wanted(HOT)
            ended.set()
            report = "; ".join(scaler.report())
        grown = [name for name in others if len(shop.fleet.replicas(name)) != 1]
    finally:
        ended.set()
        shop.scale(HOT, 1)
    if wanted < 2 and bench.busy() > 1.0:
        raise bench.inconclusive(f"other programs used {bench.busy():.1f} cores, so the replica got no CPU")
    bench.expect(
        wanted >= 2 and not grown,
        did=f"let {CLIENTS} clients ask without a pause, and the launcher follow {AUTOSCALER}, each second",
        expected=f"more than one replica of {HOT} within {SPIKE_SECONDS:g} s, and one of everything else",
        got=f"{wanted}; {report}" + (f"; more of {', '.join(grown)}" if grown else ""),
        why="Demand has moved, and the part that is hot has to follow it alone.",
        look=f"{AUTOSCALER}; {DEPLOYMENT}: requests.cpu",
    )
    bench.note(f"after {took:.1f} s: {said[0] if said else report}")


# ---- the image, without Docker


@dataclass
class Stage:
    """What a stage of a Dockerfile leaves behind. What RUN makes is not there."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""
    command: list[str] = field(default_factory=list)
    entry: list[str] = field(default_factory=list)


@dataclass
class Image:
    """The last stage, and what was read on the way."""

    stage: Stage
    lines: list[str]
    bases: list[str]

    @property
    def user(self) -> str:
        return self.stage.user

    def files(self) -> list[str]:
        """Paths of all files, from the root."""
        root = self.stage.root
        return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())


_numbers = count(1)


def _image(bench: Bench) -> Image:
    """Follow the Dockerfile with the workspace as context; NotYet where it makes no sense."""
    lines = _instructions(bench.text(DOCKERFILE))
    settings: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    bases: list[str] = []
    stage: Stage | None = None
    for line in lines:
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), _filled(rest.strip(), {**settings, **(stage.env if stage else {})})
        if word == "ARG":
            name, _, value = rest.partition("=")
            settings.setdefault(name, value.strip("\"'"))
        elif word == "FROM":
            parts = [part for part in rest.split() if not part.startswith("--")]
            parent = stages.get(parts[0])
            stage = _begin(parent)
            bases += [] if parent or parts[0] == "scratch" else [parts[0]]
            stages[parts[2] if len(parts) > 2 else str(len(stages))] = stage
        elif stage is None:
            raise _unusable(bench, line, "FROM comes first")
        else:
            _follow(bench, stage, stages, word, rest, line)
    if stage is None:
        raise _unusable(bench, "nothing", "a FROM")
    return Image(stage, lines, bases)


def _follow(bench: Bench, stage: Stage, stages: Mapping[str, Stage], word: str, rest: str, line: str) -> None:
    if word in {"COPY", "ADD"}:
        _copy(bench, stage, stages, rest, line)
    elif word == "ENV":
        pairs = shlex.split(rest)
        if "=" not in pairs[0]:
            pairs = [f"{pairs[0]}={' '.join(pairs[1:])}"]
        stage.env |= dict(pair.split("=", 1) for pair in pairs)
    elif word == "WORKDIR":
        stage.folder = os.path.join(stage.folder, rest)  # noqa: PTH118 -- a path of the image
        _inside(stage, stage.folder).mkdir(parents=True, exist_ok=True)
    elif word == "USER":
        stage.user = rest
    elif word == "CMD":
        stage.command = _argv(rest)
    elif word == "ENTRYPOINT":
        stage.entry, stage.command = _argv(rest), []


def _copy(bench: Bench, stage: Stage, stages: Mapping[str, Stage], rest: str, line: str) -> None:
    flags = re.findall(r"--(\w+)=(\S+)", rest)
    paths = re.sub(r"--\S+\s+", "", rest)
    *sources, target = json.loads(paths) if paths.startswith("[") else shlex.split(paths)
    origin = dict(flags).get("from", "")
    other = stages.get(origin)
    if origin and other is None:
        return  # another image, which is not here
    context = other.root if other else bench.workspace
    ignored = [] if other else _ignored(bench.workspace)
    into = _inside(stage, os.path.join(stage.folder, target))  # noqa: PTH118 -- a path of the image
    for source in sources:
        found = (
            [context] if source in {".", "./", "/"} else sorted(context.glob(source.lstrip("/").rstrip("/")))
        )
        if not found and not other:
            raise _unusable(bench, line, f"{source} in your workspace")
        for each in found:
            _take(
                each,
                into,
                ignored,
                context,
                several=target.endswith("/") or target == "." or len(sources) > 1,
            )


def _take(source: Path, into: Path, ignored: list[str], context: Path, *, several: bool) -> None:
    """Copy a file, or what is in a folder, as Docker does."""
    if source.is_file():
        target = into / source.name if several or into.is_dir() else into
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return
    for file in source.rglob("*"):
        inside = file.relative_to(context).as_posix()
        if file.is_file() and not _is_ignored(inside, ignored):
            target = into / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _ignored(folder: Path) -> list[str]:
    file = folder / ".dockerignore"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [line.strip().strip("/") for line in lines if line.strip() and not line.startswith("#")]


def _is_ignored(path: str, patterns: list[str]) -> bool:
    """As in a .dockerignore, where the last pattern that fits decides. Byte code is never looked at."""
    ignored = "__pycache__" in path
    for pattern in patterns:
        bare = pattern.lstrip("!").removeprefix("**/").strip("/")
        parts = path.split("/")
        fits = any(fnmatch.fnmatch("/".join(parts[: end + 1]), bare) for end in range(len(parts)))
        fits = fits or (
            pattern.lstrip("!").startswith("**/") and any(fnmatch.fnmatch(part, bare) for part in parts)
        )
        if fits:
            ignored = not pattern.startswith("!")
    return ignored


def _begin(parent: Stage | None) -> Stage:
    root = scratch() / f"image-{next(_numbers)}"
    if parent is None:
        root.mkdir(parents=True)
        return Stage(root)
    shutil.copytree(parent.root, root)
    return Stage(root, dict(parent.env), parent.folder, parent.user, parent.command, parent.entry)


def _instructions(text: str) -> list[str]:
    """Each instruction on one line, without comments."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [" ".join(line.split()) for line in re.sub(r"\\\s*\n", " ", kept).splitlines() if line.strip()]


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(
        r"\$\{(\w+)(?::?[-?][^}]*)?\}|\$(\w+)", lambda found: values.get(found[1] or found[2], found[0]), text
    )


def _argv(text: str) -> list[str]:
    return [str(part) for part in json.loads(text)] if text.startswith("[") else ["/bin/sh", "-c", text]


def _inside(stage: Stage, path: str) -> Path:
    return stage.root / os.path.normpath(path).lstrip("/")


def _is_foreign(path: str) -> bool:
    """Whether a file of the image belongs to another part of the shop, or is no code of this one."""
    at = path.find("microservices/")
    if at >= 0:
        inside = path[at:]
        return not inside.startswith(OWN) and inside != "microservices/__init__.py"
    name = path.rpartition("/")[2]
    return any(
        part in path.split("/") for part in ("monolith", "tests", "loadtest", "releases", *OTHERS)
    ) or name in {
        "topology.py",
        "Caddyfile",
        "backfill.py",
    }


def _unusable(bench: Bench, line: str, wanted: str) -> NotYet:
    error = bench.not_yet(
        did=f"followed {DOCKERFILE} instruction by instruction",
        expected=wanted,
        got=line,
        why="An engine would stop here, too.",
        look=DOCKERFILE,
    )
    assert isinstance(error, NotYet)
    return error


# ---- the container, without an engine


@dataclass
class Program:
    """The command of the image, as a process on the files of the image."""

    child: Child
    port: int
    drain_file: Path
    database: Path

    def ask(self, path: str, timeout: float = PROBE_SECONDS) -> int:
        """The status of a GET; 0 without an answer in time."""
        with requests.Session() as session, suppress(requests.RequestException):
            session.trust_env = False
            return session.get(f"http://127.0.0.1:{self.port}{path}", timeout=timeout).status_code
        return 0

    @contextmanager
    def without_tables(self) -> Iterator[None]:
        """The database is there, and its tables are not."""
        away = {name: f"{name}_away" for name in ("popularity", "co_purchases", "purchases", "feed_position")}
        self._rename(away)
        try:
            yield
        finally:
            self._rename({new: old for old, new in away.items()})

    def _rename(self, names: Mapping[str, str]) -> None:
        with closing(sqlite3.connect(self.database, timeout=10, isolation_level=None)) as db:
            for old, new in names.items():
                db.execute(f"ALTER TABLE {old} RENAME TO {new}")


@contextmanager
def _running(bench: Bench) -> Iterator[Program]:
    """The command of the image on the image's files, with the Deployment's environment; NotYet unless it gets ready."""
    image, pod = _image(bench), _pod(bench)
    argv = [*image.stage.entry, *image.stage.command]
    if not argv:
        raise _unusable(bench, "the end of the file", "a CMD")
    number, ports = next(_numbers), Ports(1)
    port, database, drain = (
        ports.numbers[0],
        scratch() / f"18-{number}.sqlite3",
        scratch() / f"18-drain-{number}",
    )
    folder = _inside(image.stage, image.stage.folder)
    env = {**inherited(os.environ), **image.stage.env, **pod.plain_environment}
    # What this machine has in the place of the container's own network, volumes and Secret.
    env |= {name: "http://127.0.0.1:9" for name in env if re.fullmatch(r"SHOP_[A-Z]+_URL", name)}
    env |= {
        "SHOP_HOST": "127.0.0.1",
        "SHOP_PORT": str(port),
        "SHOP_HOME": str(scratch() / "home"),
        "SHOP_DRAIN_FILE": str(drain),
        "SHOP_DATABASE_URL": sqlite_url(database),
        "SHOP_SERVICE_KEY": base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode(),
        "PYTHONPATH": _mapped(image.stage, env.get("PYTHONPATH", "")),
        "PATH": f"{_programs()}:{os.environ.get('PATH', '')}",
    }
    program = _program(image.stage, argv[0], env["PATH"])
    if program is None:
        ports.release()
        word = "ENTRYPOINT" if image.stage.entry else "CMD"
        raise _unusable(bench, f"{word} {argv}", "a program such as python")
    log = scratch() / f"18-{number}.log"
    child = Child([program, *argv[1:]], in_workspace(env, folder), log, folder)
    running = Program(child, port, drain, database)
    try:
        _wait_for(bench, running, argv, log)
        yield running
    finally:
        end_all([child], 0.5)
        ports.release()


def _wait_for(bench: Bench, program: Program, argv: list[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while program.ask("/readyz") != OK:
        status = program.child.exit_status()
        if status is not None or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise bench.not_yet(
                did=f"started {' '.join(argv)} on the files of the image, with the environment of {DEPLOYMENT}",
                expected="200 of /readyz",
                got=f"it ended with status {status}: {' | '.join(lines[-2:])}"
                if status is not None
                else "no answer",
                why="What is not in the image is not there.",
                look=f"{DOCKERFILE}: COPY, ENV and CMD; {DEPLOYMENT}: env",
            )
        time.sleep(0.05)


def _alive(program: Program, children: list[psutil.Process]) -> bool:
    running = (each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in children)
    return program.child.exit_status() is None or any(running)


def _mapped(stage: Stage, path: str) -> str:
    return ":".join(str(_inside(stage, part)) for part in path.split(":") if part)


def _program(stage: Stage, word: str, path: str) -> str | None:
    """Where this machine has what the image calls `word`: its own file, or a program of the base image."""
    if word.startswith("/") and _inside(stage, word).is_file():
        return str(_inside(stage, word))
    # An interpreter is elsewhere in the image: in /usr/local/bin, or in an environment that RUN has made.
    return shutil.which(Path(word).name if word.startswith("/") else word, path=path)


def _programs() -> Path:
    """A folder with the programs that a base image would have."""
    folder = scratch() / "bin"
    if not folder.exists():
        folder.mkdir()
        found = {"python": sys.executable, "python3": sys.executable}
        with suppress(ModuleNotFoundError):
            found["node"] = node_program()
        for name, target in found.items():
            script = folder / name
            script.write_text(f'#!/bin/sh\nexec "{target}" "$@"\n', encoding="utf-8")
            script.chmod(0o755)
    return folder


# ---- the files for the cluster


@dataclass(frozen=True)
class PodOf:
    """The Deployment and its one container, with the environment that it gets from the image."""

    deployment: dict[str, Any]
    image: Mapping[str, str]
    maps: Mapping[str, Mapping[str, str]]
    """The data of the ConfigMaps in the same file, by name."""

    @property
    def template(self) -> dict[str, Any]:
        return dict(self.deployment["spec"].get("template") or {})

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.template.get("spec") or {})

    @property
    def container(self) -> dict[str, Any]:
        return dict((self.spec.get("containers") or [{}])[0])

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them, those that run before the start among them."""
        return [*(self.spec.get("initContainers") or []), *(self.spec.get("containers") or [{}])]

    @property
    def plain_environment(self) -> dict[str, str]:
        """What the file itself says, also in a ConfigMap."""
        found: dict[str, str] = {}
        for each in self.container.get("envFrom") or []:
            found |= self.maps.get((each.get("configMapRef") or {}).get("name", ""), {})
        for each in self.container.get("env") or []:
            key = (each.get("valueFrom") or {}).get("configMapKeyRef") or {}
            if "value" in each:
                found[each["name"]] = str(each["value"])
            elif key.get("key") in self.maps.get(key.get("name", ""), {}):
                found[each["name"]] = self.maps[key["name"]][key["key"]]
        return found

    @property
    def environment(self) -> dict[str, str]:
        return {**self.image, **self.plain_environment}

    def port(self, named: object) -> object:
        """The number of a port that may be named."""
        names = {each.get("name"): each.get("containerPort") for each in self.container.get("ports") or []}
        return names.get(named, named) if isinstance(named, str) else named


def _pod(bench: Bench) -> PodOf:
    maps = {
        each["metadata"]["name"]: {name: str(text) for name, text in (each.get("data") or {}).items()}
        for each in _objects(bench, DEPLOYMENT)
        if each.get("kind") == "ConfigMap"
    }
    return PodOf(_one(bench, DEPLOYMENT, "Deployment"), _image(bench).stage.env, maps)


def _one(bench: Bench, path: str, kind: str) -> dict[str, Any]:
    found = [each for each in _objects(bench, path) if each.get("kind") == kind]
    bench.expect(
        len(found) == 1
        and isinstance(found[0].get("spec"), dict)
        and isinstance(found[0].get("metadata"), dict),
        did=f"read {path}",
        expected=f"one {kind} with metadata and spec",
        got=", ".join(str(each.get("kind")) for each in _objects(bench, path)) or "nothing",
        why="Each object is a document of its own, which names one thing.",
        look=path,
    )
    return found[0]


def _objects(bench: Bench, path: str) -> list[dict[str, Any]]:
    try:
        found = [each for each in yaml.safe_load_all(bench.text(path)) if each]
    except yaml.YAMLError as error:
        raise bench.not_yet(
            did=f"read {path}",
            expected="YAML",
            got=" ".join(str(error).split()),
            why="The cluster cannot read it either.",
            look=path,
        ) from error
    return [each for each in found if isinstance(each, dict)]


def _policy(bench: Bench) -> Policy:
    """The one policy, with the request of the Deployment; NotYet when the launcher cannot follow it."""
    try:
        found = parse_policies(bench.text(AUTOSCALER), AUTOSCALER)
        cpu = ((_pod(bench).container.get("resources") or {}).get("requests") or {}).get("cpu")
        policies = [
            prepared(each, load(bench.workspace).topology, millicores(cpu) if cpu else None) for each in found
        ]
    except (PolicyError, ValueError) as error:
        raise bench.not_yet(
            did=f"read {AUTOSCALER} as the launcher does",
            expected="a policy that it can follow",
            got=error,
            why="One file, two engines: what one of them cannot do is refused.",
            look=AUTOSCALER,
        ) from error
    bench.expect(
        len(policies) == 1,
        did=f"read {AUTOSCALER}",
        expected="one policy",
        got=len(policies),
        why="Two policies for one Deployment undo each other's decisions.",
        look=AUTOSCALER,
    )
    return policies[0]


def _expect_probes(
    bench: Bench, pod: PodOf, program: Program, state: str, *, ready: bool, alive: bool
) -> None:
    """The readiness and liveness probe of the file, asked in one state of the service."""
    for name, wanted in (("readinessProbe", ready), ("livenessProbe", alive)):
        probe = pod.container.get(name) or {}
        asks = probe.get("httpGet") or {}
        bench.expect(
            asks.get("path") and str(pod.port(asks.get("port"))) == pod.environment.get("SHOP_PORT", "8000"),
            did=f"read the {name}",
            expected="httpGet with a path, at the port of the program: a hung process still takes connections",
            got=probe or "none",
            why="The cluster knows of a replica what its probes say, and nothing else.",
            look=f"{DEPLOYMENT}: {name}",
        )
        status = program.ask(asks["path"], timeout=min(PROBE_SECONDS, probe.get("timeoutSeconds", 1)))
        if not status and wanted and bench.busy() > 1.0:
            raise bench.inconclusive(f"other programs used {bench.busy():.1f} cores")
        bench.expect(
            (200 <= status < 400) == wanted,
            did=f"asked {asks['path']}, the {name}, while {state}",
            expected="yes" if wanted else "no",
            got=f"{'yes' if 200 <= status < 400 else 'no'} ({status or 'no answer'})",
            why="Not ready means: send nobody. Not alive means: end it and start another, which helps only a process "
            "that is stuck.",
            look=f"{DEPLOYMENT}: {name}",
        )


def _rights(pod: PodOf, container: Mapping[str, Any]) -> dict[str, bool]:
    """What Kubernetes calls "restricted", and a read-only root file system; each with whether it is so."""
    own = container.get("securityContext") or {}
    both = {**(pod.spec.get("securityContext") or {}), **own}
    capabilities = own.get("capabilities") or {}
    return {
        "runAsNonRoot: true": both.get("runAsNonRoot") is True,
        "seccompProfile: RuntimeDefault": (both.get("seccompProfile") or {}).get("type") == "RuntimeDefault",
        "allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is False,
        "capabilities: drop ALL": "ALL" in (capabilities.get("drop") or []),
        "capabilities: add none": not capabilities.get("add"),
        "readOnlyRootFilesystem: true": own.get("readOnlyRootFilesystem") is True,
    }


def _has_no_token(bench: Bench, pod: PodOf) -> bool:
    """The pod says so, or its ServiceAccount in the same file."""
    named = pod.spec.get("serviceAccountName")
    accounts = [each for each in _objects(bench, DEPLOYMENT) if each.get("kind") == "ServiceAccount"]
    account = next((each for each in accounts if each["metadata"].get("name") == named), {})
    said: object = pod.spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    return said is False


def _secrets(pod: PodOf) -> bool:
    from_secret = any("secretRef" in each for each in pod.container.get("envFrom") or [])
    return from_secret or any(
        "secretKeyRef" in (each.get("valueFrom") or {}) for each in pod.container.get("env") or []
    )


def _mebibytes(text: object) -> int | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|m|k|M|G|)", str(text))
    if not found:
        return None
    sizes = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": MIB, "Gi": 1 << 30}
    return int(float(found[1]) * sizes[found[2]] / MIB)


class Imagined:
    """A cluster on paper: demand is shared by the replicas, and the policy decides every fifteen seconds."""

    def __init__(self, policy: Policy) -> None:
        self.replicas = policy.minimum
        self._policy, self._history, self._now = policy, History(), 1000.0

    def run(self, demand: float, seconds: int) -> int:
        """The replicas after so many seconds with a demand of so many times one replica's request."""
        for _ in range(seconds // SYNC_SECONDS):
            self._now += SYNC_SECONDS
            request = self._policy.request or 1
            # A replica uses at most a core; a request is less.
            used = min(round(demand * request / self.replicas), 3 * request)
            usage = Usage(used, self._now, SYNC_SECONDS)
            pods = [
                Pod(str(number), usage, ready=True, started_at=0.0, ready_changed_at=1.0)
                for number in range(self.replicas)
            ]
            self.replicas = decide(self._policy, self._history, pods, self.replicas, self._now).desired
        return self.replicas
