"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler, nodes.

It stands where EKS's control plane stands, and needs neither the emulator nor root::

    with control_plane(folder, minor="1.36", audit=True) as cluster:
        cluster.kubectl("create", "namespace", "apps")
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", ...})
        cluster.get("serviceaccount", "reader", namespace="apps")
        cluster.token("reader", namespace="apps", audience="sts.amazonaws.com")
        cluster.endpoint, cluster.certificate_authority_data    # what `describe-cluster` gives
        cluster.audit_events()                                  # who did what, with audit=True

The nodes are kwok's: pods are scheduled, run and become ready there, without containers.
"""

import base64
import contextlib
import functools
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rehearsal.certificates import Authority
from rehearsal.loopback import free_address, free_port
from rehearsal.processes import Service, service

BUILD = Path(__file__).resolve().with_name("control-plane") / "build.py"
NEWEST, WITH_LAYER_V29 = "1.36", "1.29"
DEFAULT_AUDIENCE = "https://kubernetes.default.svc"

_START_SECONDS = 90.0
_COMMAND_SECONDS = 120.0
_SERVICE_NETWORK = "10.100.0.0/16"
_SERVICE_ADDRESS = "10.100.0.1"

# Pods of EKS reach the API server through the node's network; nothing of that exists here.
_CONTROLLERS_OFF = ("node-ipam-controller", "node-route-controller", "service-lb-controller")


@dataclass(frozen=True, kw_only=True)
class TokenReview:
    """Who authenticates the tokens of `aws eks get-token`, as EKS's IAM authenticator does.

    Args:
        url: `https://` URL of a TokenReview webhook.
        certificate_authority: PEM file that its certificate ends in.
    """

    url: str
    certificate_authority: Path


@dataclass
class Cluster:
    """A running control plane.

    Args:
        folder: its files and logs.
        address: loopback address that everything of it listens on.
        endpoint: `https://` URL of the API server.
        authority: the cluster's certificate authority.
        admin_kubeconfig: file with a client certificate of `system:masters`.
        programs: path of each program.
        start_seconds: time from nothing to all nodes ready.
    """

    folder: Path
    address: str
    endpoint: str
    authority: Authority
    admin_kubeconfig: Path
    programs: dict[str, Path]
    start_seconds: float = field(default=0.0)

    @property
    def certificate_authority_data(self) -> str:
        """The CA certificate as EKS hands it out: base64 of PEM."""
        return base64.b64encode(self.authority.certificate.read_bytes()).decode()

    def run_kubectl(
        self, *arguments: str, stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the cluster's own kubectl as administrator and return whatever happened."""
        return subprocess.run(
            [str(self.programs["kubectl"]), f"--kubeconfig={self.admin_kubeconfig}", *arguments],
            input=stdin,
            env=_environment(self.folder),
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl prints.

        Raises:
            AssertionError: it failed; with what it said.
        """
        done = self.run_kubectl(*arguments, stdin=stdin)
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the API server itself as administrator; a tenth of what a run of kubectl takes.

        Raises:
            urllib.error.HTTPError: it refuses; a Status is in the error's body.
        """
        asked = urllib.request.Request(  # noqa: S310 (https)
            self.endpoint + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(  # noqa: S310 (https)
            asked, timeout=_COMMAND_SECONDS, context=self.admin_context
        ) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    @functools.cached_property
    def admin_context(self) -> ssl.SSLContext:
        """A TLS client context that trusts the API server, with the administrator's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(
            self.folder / "rehearsal-admin.crt", self.folder / "rehearsal-admin.key"
        )
        return context

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects, in order."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(bundle))

    def get(self, kind: str, name: str, *, namespace: str = "default") -> dict[str, Any]:
        """Return an object."""
        text = self.kubectl("get", kind, name, "--namespace", namespace, "--output", "json")
        found: dict[str, Any] = json.loads(text)
        return found

    def create_service_account(
        self, name: str, *, namespace: str, annotations: dict[str, str] | None = None
    ) -> None:
        """Create an account, and its namespace if there is none."""
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "annotations": annotations or {},
                },
            },
        )

    def token(
        self,
        service_account: str,
        *,
        namespace: str,
        audience: str = "sts.amazonaws.com",
        pod: str | None = None,
    ) -> str:
        """Return a token that the API server signs for an account, or for one *pod* of it."""
        bound = () if pod is None else ("--bound-object-kind=Pod", f"--bound-object-name={pod}")
        return self.kubectl(
            "create",
            "token",
            service_account,
            f"--namespace={namespace}",
            f"--audience={audience}",
            *bound,
        ).strip()

    def audit_events(self) -> list[dict[str, Any]]:
        """Return what was asked of the API server, oldest first; needs `audit=True`."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS server context whose certificate the API server's webhooks trust."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self.folder / "kube-apiserver.crt", self.folder / "kube-apiserver.key"
        )
        return context


@contextlib.contextmanager
def control_plane(
    folder: Path,
    *,
    minor: str = NEWEST,
    address: str | None = None,
    issuer: str = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
    signing_key: Path | None = None,
    token_review: TokenReview | None = None,
    nodes: Sequence[str] = ("node-1", "node-2"),
    audit: bool = False,
) -> Iterator[Cluster]:
    """Run a control plane until the block ends.

    Args:
        folder: where its state and logs go; must be new.
        minor: Kubernetes version, one that `rehearsal/control-plane` has.
        address: loopback address. Default: a random one.
        issuer: `https://` URL of the OIDC issuer that signs service-account tokens.
        signing_key: PEM of the RSA key of that issuer. Default: a new one.
        token_review: who knows bearer tokens that the API server does not. Default: nobody.
        nodes: names of the nodes.
        audit: whether to record each request, for `Cluster.audit_events`.

    Raises:
        RuntimeError: a program is not to be had or does not start; with its last words.
    """
    started = time.monotonic()
    folder.mkdir(parents=True)
    programs = find_programs(minor)
    address = address or free_address()
    authority = Authority.create(folder)
    authority.issue(
        "kube-apiserver",
        hosts=(address, "127.0.0.1", "localhost", "kubernetes.default.svc", _SERVICE_ADDRESS),
    )
    endpoint = f"https://{address}:{free_port(address)}"
    cluster = Cluster(
        folder=folder,
        address=address,
        endpoint=endpoint,
        authority=authority,
        admin_kubeconfig=_admin_kubeconfig(authority, endpoint),
        programs=programs,
    )
    signing_key = signing_key or create_signing_key(folder / "service-account.pem")

    with contextlib.ExitStack() as running:
        start = functools.partial(_start, running, cluster)
        etcd_url = f"http://{address}:{free_port(address)}"
        start("etcd", *_etcd_flags(cluster, etcd_url))
        api_server = start(
            "kube-apiserver",
            *_api_server_flags(cluster, etcd_url, issuer, signing_key, token_review, audit=audit),
        )
        api_server.wait_until(functools.partial(_is_ready, cluster), seconds=_START_SECONDS)
        start(
            "kube-controller-manager",
            f"--service-account-private-key-file={signing_key}",
            f"--root-ca-file={authority.certificate}",
            f"--controllers=*,{','.join(f'-{name}' for name in _CONTROLLERS_OFF)}",
            *_client_flags(cluster),
        )
        start("kube-scheduler", *_client_flags(cluster))
        kwok = start(
            "kwok",
            f"--kubeconfig={cluster.admin_kubeconfig}",
            "--manage-all-nodes=true",
            f"--node-ip={address}",
            "--node-lease-duration-seconds=40",
        )
        cluster.apply(*(_node(node) for node in nodes))
        kwok.wait_until(
            functools.partial(_nodes_are_ready, cluster, len(nodes)), seconds=_START_SECONDS
        )
        cluster.start_seconds = time.monotonic() - started
        yield cluster


def find_programs(minor: str) -> dict[str, Path]:
    """Return the path of each program of a Kubernetes version, built now if it is not cached.

    Raises:
        RuntimeError: they are not to be had; with the reason.
    """
    done = subprocess.run(
        [sys.executable, str(BUILD), minor], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"Kubernetes {minor} is not to be had; its build's reason is above")
    return {name: Path(path) for name, path in json.loads(done.stdout).items()}


def create_signing_key(path: Path) -> Path:
    """Write a new RSA key for service-account tokens to *path*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            # The only form that the API server reads.
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return path


def write_kubeconfig(
    path: Path, *, server: str, certificate_authority: Path, user: dict[str, Any]
) -> Path:
    """Write a kubeconfig of one cluster and one user to *path*."""
    encoded = base64.b64encode(certificate_authority.read_bytes()).decode()
    cluster = {"server": server, "certificate-authority-data": encoded}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rehearsal",
        "clusters": [{"name": "rehearsal", "cluster": cluster}],
        "users": [{"name": "rehearsal", "user": user}],
        "contexts": [
            {"name": "rehearsal", "context": {"cluster": "rehearsal", "user": "rehearsal"}}
        ],
    }
    path.write_text(json.dumps(content))
    return path


def _start(running: contextlib.ExitStack, cluster: Cluster, name: str, *flags: str) -> Service:
    return running.enter_context(
        service(
            name,
            [str(cluster.programs[name]), *flags],
            folder=cluster.folder,
            environment=_environment(cluster.folder),
        )
    )


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


def _admin_kubeconfig(authority: Authority, endpoint: str) -> Path:
    certificate, key = authority.issue("rehearsal-admin", organization="system:masters")
    return write_kubeconfig(
        authority.folder / "admin.kubeconfig",
        server=endpoint,
        certificate_authority=authority.certificate,
        user={"client-certificate": str(certificate), "client-key": str(key)},
    )


def _etcd_flags(cluster: Cluster, url: str) -> tuple[str, ...]:
    peers = f"http://{cluster.address}:{free_port(cluster.address)}"
    return (
        f"--data-dir={cluster.folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    )


def _api_server_flags(
    cluster: Cluster,
    etcd_url: str,
    issuer: str,
    signing_key: Path,
    token_review: TokenReview | None,
    *,
    audit: bool,
) -> Iterator[str]:
    folder, port = cluster.folder, cluster.endpoint.rsplit(":", 1)[1]
    yield f"--etcd-servers={etcd_url}"
    yield f"--bind-address={cluster.address}"
    yield f"--advertise-address={cluster.address}"
    yield f"--secure-port={port}"
    yield "--endpoint-reconciler-type=none"
    yield f"--service-cluster-ip-range={_SERVICE_NETWORK}"
    yield f"--tls-cert-file={folder / 'kube-apiserver.crt'}"
    yield f"--tls-private-key-file={folder / 'kube-apiserver.key'}"
    yield f"--client-ca-file={cluster.authority.certificate}"
    yield f"--cert-dir={folder}"
    yield "--authorization-mode=Node,RBAC"
    yield "--allow-privileged=true"
    yield f"--service-account-issuer={issuer}"
    yield f"--service-account-jwks-uri={issuer}/keys"
    yield f"--service-account-signing-key-file={signing_key}"
    yield f"--service-account-key-file={signing_key}"
    yield f"--api-audiences={DEFAULT_AUDIENCE}"
    if token_review:
        webhook = write_kubeconfig(
            folder / "token-review.kubeconfig",
            server=token_review.url,
            certificate_authority=token_review.certificate_authority,
            user={},
        )
        yield f"--authentication-token-webhook-config-file={webhook}"
        yield "--authentication-token-webhook-version=v1"
        # Access entries made a moment ago must count.
        yield "--authentication-token-webhook-cache-ttl=1s"
    if audit:
        policy = folder / "audit-policy.json"
        policy.write_text(
            json.dumps(
                {
                    "apiVersion": "audit.k8s.io/v1",
                    "kind": "Policy",
                    "omitStages": ["RequestReceived"],
                    "rules": [{"level": "Request"}],
                }
            )
        )
        yield f"--audit-policy-file={policy}"
        yield f"--audit-log-path={folder / 'audit.log'}"


def _client_flags(cluster: Cluster) -> tuple[str, ...]:
    # Port 0: neither serves anything that a rehearsal would ask for.
    return (
        f"--kubeconfig={cluster.admin_kubeconfig}",
        "--leader-elect=false",
        f"--bind-address={cluster.address}",
        "--secure-port=0",
    )


def _node(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        },
    }


def _is_ready(cluster: Cluster) -> bool:
    ready = f"{cluster.endpoint}/readyz"
    try:
        with urllib.request.urlopen(ready, timeout=2, context=cluster.admin_context):  # noqa: S310 (https)
            return True
    except OSError:
        return False


def _nodes_are_ready(cluster: Cluster, count: int) -> bool:
    path = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
    states = cluster.kubectl("get", "nodes", "--output", f"jsonpath={path}").split()
    taints = cluster.kubectl("get", "nodes", "--output", "jsonpath={.items[*].spec.taints}")
    return states.count("True") == count and not taints
