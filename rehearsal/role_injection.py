"""What EKS's pod identity webhook adds to a pod whose service account has a role.

Held to what the real program answered: `tests/e2e/test_pod_identity_webhook.py`.

See: https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
"""

import copy
import csv
import re
from collections.abc import Mapping
from typing import Any

AUDIENCE = "sts.amazonaws.com"
TOKEN_FOLDER = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
VOLUME = "aws-iam-token"
DAY = 86_400
SHORTEST_TOKEN = 600

_PREFIX = "eks.amazonaws.com/"
_TOKEN_SECONDS = f"{_PREFIX}token-expiration"
_REGIONAL_STS = "AWS_STS_REGIONAL_ENDPOINTS"
_REGION = {"AWS_DEFAULT_REGION", "AWS_REGION"}
_ROLE = {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LARGEST_INTEGER = 2**63 - 1
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}

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
    variables = {
        _REGIONAL_STS: "regional",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ROLE_ARN": role_arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": _token_file(spec),
    }
    if annotations.get(f"{_PREFIX}sts-regional-endpoints") in _FALSE:
        del variables[_REGIONAL_STS]
    skipped = _names(pod_annotations.get(f"{_PREFIX}skip-containers", ""))
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if container["name"] not in skipped:
            _add_to(container, variables)
    volumes = spec.get("volumes", [])
    if not any(volume["name"] == VOLUME for volume in volumes):
        token = {
            "audience": annotations.get(f"{_PREFIX}audience", AUDIENCE),
            "expirationSeconds": _token_seconds(annotations, pod_annotations),
            "path": "token",
        }
        projected = {"sources": [{"serviceAccountToken": token}]}
        spec["volumes"] = [{"name": VOLUME, "projected": projected}, *volumes]
    return spec


def _token_file(spec: Object) -> str:
    path = f"{TOKEN_FOLDER}/token"
    selector = spec.get("nodeSelector", {})
    systems = {selector.get("kubernetes.io/os"), selector.get("beta.kubernetes.io/os")}
    return "C:" + path.replace("/", "\\") if "windows" in systems else path


def _token_seconds(*annotations: Mapping[str, str]) -> int:
    """The account's, or in its stead the pod's; what is no number does not count."""
    seconds = DAY
    for source in annotations:
        text = source.get(_TOKEN_SECONDS, "")
        if _INTEGER.fullmatch(text) and abs(int(text)) <= _LARGEST_INTEGER:
            seconds = max(SHORTEST_TOKEN, int(text))
    return seconds


def _names(text: str) -> set[str]:
    """The names in the first line of comma-separated values; blanks are part of a name."""
    return set(next(csv.reader(text.splitlines()), []))


def _add_to(container: Object, variables: Mapping[str, str]) -> None:
    present = {variable["name"] for variable in container.get("env", [])}
    has_role, has_region = present & _ROLE, present & _REGION
    if has_role and has_region and _REGIONAL_STS in present:
        return
    # One of a pair stands for both.
    given = present | (_ROLE if has_role else set()) | (_REGION if has_region else set())
    container.setdefault("env", []).extend(
        {"name": name, "value": value} for name, value in variables.items() if name not in given
    )
    mounts = container.setdefault("volumeMounts", [])
    if not any(mount["name"] == VOLUME for mount in mounts):
        mounts.append({"name": VOLUME, "mountPath": TOKEN_FOLDER, "readOnly": True})
