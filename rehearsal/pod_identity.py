"""What EKS adds to a pod whose service account has a role: the pod identity webhook.

A double of the webhook that runs in EKS's control plane: the real one is not on the module proxy.
What the double does to a pod is held to what the real one did. If you have built the real one, set
POD_IDENTITY_WEBHOOK to its path; it listens on every address, so give the run a network namespace
of its own:

    unshare --net sh -c 'ip link set lo up && exec pytest tests/e2e'

See: https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
"""

import base64
import contextlib
import functools
import http.server
import json
import os
import socket
import threading
import urllib.error
from collections.abc import Iterator, Mapping
from typing import Any

from rehearsal.kubernetes import Cluster
from rehearsal.loopback import free_port
from rehearsal.processes import service
from rehearsal.role_injection import with_role

SKIP = "eks.amazonaws.com/skip-pod-identity-webhook"
"""Label of pods that the webhook is not asked about."""

_START_SECONDS = 30.0

Object = dict[str, Any]


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
    try:
        found = cluster.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
    except urllib.error.HTTPError:
        return {}
    annotations: Mapping[str, str] = found["metadata"].get("annotations") or {}
    return annotations


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
                "objectSelector": {"matchExpressions": [{"key": SKIP, "operator": "DoesNotExist"}]},
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
