"""What EKS adds to a pod whose service account has a role: the pod identity webhook.

A double of the webhook that runs in EKS's control plane, after its documentation: the real one is
not on the module proxy, and listens on every address of the machine.

See: https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
"""

import base64
import contextlib
import copy
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from tests.e2e.harness.kubernetes import Cluster

TOKEN_FOLDER = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
DAY = 86_400

_PREFIX = "eks.amazonaws.com/"
_SHORTEST_TOKEN = 600
_VOLUME = "aws-iam-token"

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
    """Serve the webhook on the cluster's address and register it, until the block ends."""

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
        cluster.apply(_registration(cluster, server.server_port))
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
                "admissionReviewVersions": ["v1"],
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
