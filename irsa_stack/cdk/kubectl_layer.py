"""The Lambda layer with the kubectl that fits a cluster."""

import importlib
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from irsa_stack.eks.kubernetes_version import layer_minor, version_faults
from irsa_stack.faults import refuse

if TYPE_CHECKING:  # (a slow import, for one attribute)
    from typing import TypeAlias

    from aws_cdk import aws_eks, aws_eks_v2

    KubernetesVersion: TypeAlias = aws_eks.KubernetesVersion | aws_eks_v2.KubernetesVersion

ARCHITECTURE = "x86_64"
"""The packages hold x86-64 programs only, so a function that runs them cannot be arm64."""


def kubectl_layer(
    scope: Construct,
    kubernetes_version: "KubernetesVersion | str | None",
) -> lambda_.ILayerVersion:
    """Return the stack's kubectl layer for a version, defining it at the first call.

    Args:
        scope: a construct of the stack.
        kubernetes_version: such as `1.36`, or a `KubernetesVersion` of `aws_eks` or `aws_eks_v2`.
            Default: the newest package installed serves.

    Raises:
        InvalidInput: no installed package serves the version; the error names the one to install.
    """
    version: Any = getattr(kubernetes_version, "version", kubernetes_version)
    if version is not None:
        refuse(version_faults(version, of="kubernetes_version", create=False))
    minor = layer_minor(version)
    stack = Stack.of(scope)
    construct_id = f"KubectlV{minor}"
    defined = stack.node.try_find_child(construct_id)
    if defined is not None:
        return cast("lambda_.ILayerVersion", defined)
    package = importlib.import_module(f"aws_cdk.lambda_layer_kubectl_v{minor}")
    layer = getattr(package, f"KubectlV{minor}Layer")(stack, construct_id)
    return cast("lambda_.ILayerVersion", layer)
