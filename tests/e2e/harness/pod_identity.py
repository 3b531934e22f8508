"""What EKS adds to a pod whose service account has a role: the pod identity webhook.

A double of the webhook that runs in EKS's control plane, after its documentation: the real one is
not on the module proxy. Who has it names it in POD_IDENTITY_WEBHOOK; it listens on every address,
so give the run a network namespace of its own:

    unshare --net sh -c 'ip link set lo up && exec pytest tests/e2e'

See: https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
"""

import base64
import contextlib
import copy
import functools
import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from tests.e2e.harness.kubernetes import Cluster
from tests.e2e.harness.loopback import free_port
from tests.e2e.harness.processes import service

TOKEN_FOLDER = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
DAY = 86_400

_PREFIX = "eks.amazonaws.com/"
_SHORTEST_TOKEN = 600
_VOLUME = "aws-iam-token"
_START_SECONDS = 30.0

Object = dict[str, Any]


def with_role(pod: Object, annotations: Mapping[str, str], *, region: str) -> Object | None:
    """Return the spec of *pod* with a token and a role, or nothing if its account has no role.

    Args:
        pod: as it is to be created.
        annotations: of its service account.
        region: of the cluster.
    """
    role_arn = annotations.get(f"{_PREFIX}role-arn")
    if not role_arn:
        return None
    pod_annotations = pod["metadata"].get("annotations") or {}
    spec = copy.deepcopy(pod["spec"])
    spec.setdefault("volumes", []).append(
        {
            "name": _VOLUME,
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": annotations.get(f"{_PREFIX}audience", "sts.amazonaws.com"),
                            "expirationSeconds": _token_seconds({**annotations, **pod_annotations}),
                            "path": "token",
                        }
                    }
                ]
            },
        }
    )
    variables = {
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ROLE_ARN": role_arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{TOKEN_FOLDER}/token",
    }
    if annotations.get(f"{_PREFIX}sts-regional-endpoints", "true") == "true":
        variables["AWS_STS_REGIONAL_ENDPOINTS"] = "regional"
    skipped = pod_annotations.get(f"{_PREFIX}skip-containers", "").replace(" ", "").split(",")
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if container["name"] not in skipped:
            _add_to(container, variables)
    return spec


@contextlib.contextmanager
def pod_identity_webhook(cluster: Cluster, *, region: str) -> Iterator[None]:
    """Serve the webhook and register it, until the block ends."""
    program = os.environ.get("POD_IDENTITY_WEBHOOK")
    serving = _real(cluster, region, program) if program else _double(cluster, region)
    with serving as port:
        cluster.apply(_registration(cluster, port))
        yield


@contextlib.contextmanager
def _real(cluster: Cluster, region: str, program: str) -> Iterator[int]:
    """Serve AWS's own program.

    See: https://github.com/aws/amazon-eks-pod-identity-webhook
    """
    port, metrics = free_port(cluster.address), free_port(cluster.address)
    command = [
        program,
        "--in-cluster=false",
        f"--kubeconfig={cluster.admin_kubeconfig}",
        f"--port={port}",
        f"--metrics-port={metrics}",
        f"--tls-cert={cluster.folder / 'kube-apiserver.crt'}",
        f"--tls-key={cluster.folder / 'kube-apiserver.key'}",
        "--annotation-prefix=eks.amazonaws.com",
        "--token-audience=sts.amazonaws.com",
        f"--aws-default-region={region}",
        "--sts-regional-endpoint",
    ]
    with service(
        "pod-identity-webhook", command, folder=cluster.folder, environment={"HOME": "/nonexistent"}
    ) as running:
        listens = functools.partial(_listens, cluster.address, port)
        running.wait_until(listens, seconds=_START_SECONDS)
        yield port


@contextlib.contextmanager
def _double(cluster: Cluster, region: str) -> Iterator[int]:
    """Serve the double on the cluster's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer an AdmissionReview."""
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(_reviewed(cluster, review, region)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((cluster.address, 0), Handler)
    server.socket = cluster.server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def _reviewed(cluster: Cluster, review: Object, region: str) -> Object:
    request = review["request"]
    response: Object = {"uid": request["uid"], "allowed": True}
    pod = request["object"]
    account = pod["spec"].get("serviceAccountName", "default")
    annotations = _annotations(cluster, account, request["namespace"])
    spec = with_role(pod, annotations, region=region)
    if spec is not None:
        patch = json.dumps([{"op": "replace", "path": "/spec", "value": spec}]).encode()
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(patch).decode()
    return {
        "apiVersion": review["apiVersion"],
        "kind": "AdmissionReview",
        "response": response,
    }


def _annotations(cluster: Cluster, account: str, namespace: str) -> Mapping[str, str]:
    done = cluster.run_kubectl(
        "get", "serviceaccount", account, f"--namespace={namespace}", "--output=json"
    )
    if done.returncode:
        return {}
    found: Mapping[str, str] = json.loads(done.stdout)["metadata"].get("annotations") or {}
    return found


def _registration(cluster: Cluster, port: int) -> Object:
    """Return the webhook as EKS registers it: a pod is made even if it does not answer."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "pod-identity-webhook"},
        "webhooks": [
            {
                "name": "iam-for-pods.amazonaws.com",
                "admissionReviewVersions": ["v1beta1", "v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "clientConfig": {
                    "url": f"https://{cluster.address}:{port}/mutate",
                    "caBundle": cluster.certificate_authority_data,
                },
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                    }
                ],
            }
        ],
    }


def _token_seconds(annotations: Mapping[str, str]) -> int:
    wanted = int(annotations.get(f"{_PREFIX}token-expiration", DAY))
    return max(_SHORTEST_TOKEN, min(DAY, wanted))


def _add_to(container: Object, variables: Mapping[str, str]) -> None:
    present = {variable["name"] for variable in container.get("env", [])}
    if present & {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}:
        return
    container.setdefault("env", []).extend(
        {"name": name, "value": value} for name, value in variables.items() if name not in present
    )
    container.setdefault("volumeMounts", []).append(
        {"name": _VOLUME, "mountPath": TOKEN_FOLDER, "readOnly": True}
    )
