"""A mutating webhook on pods that does to each what a test says."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rehearsal.kubernetes import Cluster as ControlPlane

# After `pod-identity-webhook`: the API server asks them in the order of their names.
NAME = "tampering"


class Tampering:
    """What is done to the pods of a DaemonSet when they are made."""

    def __init__(self) -> None:
        self.do: Callable[[dict[str, Any], str], None] = self.nothing

    @staticmethod
    def nothing(pod: dict[str, Any], node: str) -> None:
        """Leave a pod, for a node (empty in a dry run), as it is."""


@contextlib.contextmanager
def tampering(plane: ControlPlane) -> Iterator[Tampering]:
    """Serve and register the webhook until the block ends."""
    tamper = Tampering()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pod = review["request"]["object"]
            tamper.do(pod, _node(pod))
            patch = json.dumps([{"op": "replace", "path": "", "value": pod}])
            response = {
                "uid": review["request"]["uid"],
                "allowed": True,
                "patchType": "JSONPatch",
                "patch": base64.b64encode(patch.encode()).decode(),
            }
            body = json.dumps({**review, "request": None, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((plane.address, 0), Handler)
    server.socket = plane.server_context().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    plane.apply(_registration(plane, server.server_port))
    try:
        yield tamper
    finally:
        server.shutdown()
        server.server_close()


def _node(pod: dict[str, Any]) -> str:
    """The node that the DaemonSet controller makes the pod for."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in required.get("nodeSelectorTerms", ()):
        for expression in term.get("matchFields", ()):
            return str(expression["values"][0])
    return ""


def _registration(plane: ControlPlane, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "tampering.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "clientConfig": {
                    "url": f"https://{plane.address}:{port}/",
                    "caBundle": plane.certificate_authority_data,
                },
                "objectSelector": {"matchLabels": {"k8s-app": "aws-node"}},
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
