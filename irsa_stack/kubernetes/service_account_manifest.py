"""Kubernetes ServiceAccount manifests as the pod identity webhook reads them.

See: https://github.com/aws/amazon-eks-pod-identity-webhook
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time

ROLE_ARN_ANNOTATION = "eks.amazonaws.com/role-arn"
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
REGIONAL_STS_ANNOTATION = "eks.amazonaws.com/sts-regional-endpoints"
TOKEN_EXPIRATION_ANNOTATION = "eks.amazonaws.com/token-expiration"  # noqa: S105 (a key, no secret)
OWN_ANNOTATIONS = frozenset(
    {
        ROLE_ARN_ANNOTATION,
        AUDIENCE_ANNOTATION,
        REGIONAL_STS_ANNOTATION,
        TOKEN_EXPIRATION_ANNOTATION,
    }
)

OWN_PREFIX = "irsa-stack/"
"""Annotations that the binder keeps on an object: whose it is, and what it replaced."""

ROLE_PLACEHOLDER = "<role>"

COMMON_MANIFEST: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {
        "name": "<name>",
        "namespace": "<namespace>",
        "labels": {"app.kubernetes.io/managed-by": "irsa-stack"},
        "annotations": {ROLE_ARN_ANNOTATION: ROLE_PLACEHOLDER, REGIONAL_STS_ANNOTATION: "true"},
    },
}
"""The manifest of every service account that we make. What one has of its own stands beside it:
name and role, and what is special."""

TOKEN_EXPIRATION_SECONDS = (600, 86_400)
ANNOTATIONS_BYTES = 256 * 1024
"""See: https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/"""

_KEY_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_KEY_PREFIX = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def webhook_annotations(
    *,
    role_arn: str,
    audience: str | None,
    regional_sts: bool | None,
    token_expiration: float | None,
) -> dict[str, str]:
    """Return the annotations that make the webhook give pods the role.

    Args:
        role_arn: ARN of the role; may be known only at deploy.
        audience: value of `aud`, if not the webhook's default.
        regional_sts: whether SDKs call the region's STS endpoint; None leaves it to the cluster.
        token_expiration: seconds that a token lives. Default: the webhook's, 86,400.
    """
    annotations = {ROLE_ARN_ANNOTATION: role_arn}
    if regional_sts is not None:
        annotations[REGIONAL_STS_ANNOTATION] = "true" if regional_sts else "false"
    if audience is not None:
        annotations[AUDIENCE_ANNOTATION] = audience
    if token_expiration is not None:
        annotations[TOKEN_EXPIRATION_ANNOTATION] = str(int(token_expiration))
    return annotations


def token_expiration_faults(seconds: float | None) -> Iterator[str]:
    """Say why the webhook would not take a token's life time as it stands: it clamps silently."""
    shortest, longest = TOKEN_EXPIRATION_SECONDS
    if seconds is not None and not shortest <= seconds <= longest:
        yield (
            f"token_expiration must be {shortest}-{longest} seconds, got {seconds}; the webhook"
            " allows no other"
        )


def metadata_faults(
    *, labels: Mapping[str, object], annotations: Mapping[str, object]
) -> Iterator[str]:
    """Say what the API server would refuse of the labels and annotations of a user."""
    for key, value in labels.items():
        yield from _key_faults(key, "labels")
        if not isinstance(value, str) or not (
            is_deploy_time(value) or _LABEL_VALUE.fullmatch(value)
        ):
            yield (
                f"labels must have values of at most 63 letters, digits, '-', '_' and '.', got"
                f" {key}={value!r}; shorten or quote it"
            )
    for key, value in annotations.items():
        yield from _key_faults(key, "annotations")
        if key in OWN_ANNOTATIONS or key.startswith(OWN_PREFIX):
            yield f"annotations must not hold {key!r}, got {value!r}; it is ours"
        if not isinstance(value, str):
            yield f"annotations must have text values, got {key}={value!r}; put it in quotes"
    size = len(json.dumps(dict(annotations), default=str).encode())
    if size > ANNOTATIONS_BYTES:
        yield f"annotations must be at most {ANNOTATIONS_BYTES} bytes, got {size}; remove some"


def _key_faults(key: str, of: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if not _KEY_NAME.fullmatch(name) or (slash and not _KEY_PREFIX.fullmatch(prefix)):
        yield (
            f"{of} must have keys such as 'example.com/name', got {key!r}; the name has at most 63"
            " letters, digits, '-', '_' and '.'"
        )
