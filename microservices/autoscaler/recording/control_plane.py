"""etcd, an API server and the controller that is recorded, as plain processes on loopback: a cluster without nodes.

Nothing runs the pods. The recorder writes them into the API as a cluster's nodes would, and the controller cannot tell.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import yaml

from microservices.launcher.addresses import HOST
from microservices.launcher.errors import MissingProgram, NotStarted
from microservices.launcher.ports import Ports
from microservices.launcher.process import Child, end_all

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "openssl")
CONTROLLER = "kube-controller-manager"
READY_SECONDS = 90.0
END_SECONDS = 10.0
Json = dict[str, Any]


class ControlPlane:
    """The processes and a client of the API; a context manager. `folder` gets all their files.

    `programs` is a folder that is searched before PATH. The controller looks at each policy every `sync_seconds`.
    """

    def __init__(self, folder: Path, programs: Path | None, sync_seconds: int) -> None:
        self._folder, self._sync_seconds = folder, sync_seconds
        self._programs = {name: _found(name, programs) for name in PROGRAMS}
        self._children: list[Child] = []
        self._ports = Ports(4)
        self._client_port, self._peer_port, self._api_port, self.metrics_port = self._ports.numbers
        self._token = secrets.token_urlsafe()
        self._session = requests.Session()
        self.certificate, self.key = folder / "apiserver.crt", folder / "apiserver.key"
        """The API server's own; the metrics API uses them too."""

    def __enter__(self) -> Self:
        try:
            self._start_etcd()
            self._start_api()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def version(self) -> str:
        """What the controller says of itself, such as `v1.20.2`."""
        command = [self._programs[CONTROLLER], "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- found above
        return said.stdout.split()[-1]

    def call(self, method: str, path: str, body: Json | None = None, *, merge: bool = False) -> Json:
        """One request to the API; the answer's JSON. Raises requests.RequestException."""
        headers = {"Content-Type": "application/merge-patch+json" if merge else "application/json"}
        answer = self._session.request(
            method,
            f"https://{HOST}:{self._api_port}{path}",
            json=body,
            headers=headers | {"Authorization": f"Bearer {self._token}"},
            verify=str(self.certificate),
            timeout=20,
        )
        if not answer.ok:
            raise NotStarted(
                f"The API server answered {method} {path} with {answer.status_code}: {answer.text}"
            )
        made: Json = answer.json()
        return made

    def start_controller(self) -> None:
        """From now on, the policies are followed."""
        user = {"user": {"token": self._token}, "name": "recorder"}
        cluster = {
            "server": f"https://{HOST}:{self._api_port}",
            "certificate-authority": str(self.certificate),
        }
        config = self._folder / "kubeconfig"
        config.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "here", "cluster": cluster}],
                    "users": [user],
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "recorder"}}],
                    "current-context": "here",
                }
            ),
            encoding="utf-8",
        )
        self._start(
            CONTROLLER,
            f"--kubeconfig={config}",
            "--controllers=horizontalpodautoscaling",
            f"--horizontal-pod-autoscaler-sync-period={self._sync_seconds}s",
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
            "--secure-port=0",
        )

    def _start_etcd(self) -> None:
        client, peer = f"http://{HOST}:{self._client_port}", f"http://{HOST}:{self._peer_port}"
        etcd = self._start(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._wait(etcd, lambda: requests.get(f"{client}/health", timeout=2).ok)

    def _start_api(self) -> None:
        account_key = self._folder / "accounts.key"
        command = [self._programs["openssl"], "genrsa", "-out", str(account_key), "2048"]
        subprocess.run(command, capture_output=True, check=True)  # noqa: S603 -- found above
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f'{self._token},recorder,recorder,"system:masters"\n', encoding="utf-8")
        api = self._start(
            "kube-apiserver",
            f"--etcd-servers=http://{HOST}:{self._client_port}",
            f"--secure-port={self._api_port}",
            f"--bind-address={HOST}",
            # An address for documentation: nobody inside needs to find the server.
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self._folder}",
            f"--token-auth-file={tokens}",
            "--service-cluster-ip-range=10.255.0.0/24",
            "--service-account-issuer=https://localhost",
            f"--service-account-key-file={account_key}",
            f"--service-account-signing-key-file={account_key}",
            "--disable-admission-plugins=ServiceAccount",
        )
        self._wait(api, lambda: self._answers("/readyz"))

    def _answers(self, path: str) -> bool:
        return requests.get(
            f"https://{HOST}:{self._api_port}{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            verify=str(self.certificate),
            timeout=2,
        ).ok

    def _start(self, name: str, *options: str) -> Child:
        child = Child([self._programs[name], *options], os.environ, self._folder / f"{name}.log")
        self._children.append(child)
        return child

    def _wait(self, child: Child, ready: Callable[[], bool]) -> None:
        """Until `ready` is true; raises NotStarted."""
        deadline = time.monotonic() + READY_SECONDS
        while child.exit_status() is None and time.monotonic() < deadline:
            try:
                if ready():
                    return
            except (requests.RequestException, OSError):
                pass  # not yet: its certificate is not written, or nobody listens
            time.sleep(0.1)
        last = child.log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
        raise NotStarted(
            f"{child.log.stem} did not become ready; it said last: {' '.join(last) or 'nothing'}"
        )

    def _end(self) -> None:
        # The server of the API before the database that it writes to.
        end_all(reversed(self._children), END_SECONDS)
        self._children.clear()
        self._ports.release()


def _found(name: str, programs: Path | None) -> str:
    path = os.pathsep.join(
        [str(programs.resolve()), os.environ["PATH"]] if programs else [os.environ["PATH"]]
    )
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingProgram(
            f"There is no {name}; name the folder of Kubernetes' programs with --programs, and install etcd."
        )
    return found
