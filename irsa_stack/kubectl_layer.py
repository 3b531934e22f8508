"""The Lambda layer with the kubectl that fits a cluster."""

import importlib
from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from irsa_stack.faults import refuse
from irsa_stack.kubernetes_version import layer_minor, version_faults

ARCHITECTURE = "x86_64"
"""The packages hold x86-64 programs only, so a function that runs them cannot be arm64."""


def kubectl_layer(scope: Construct, kubernetes_version: str | None) -> lambda_.ILayerVersion:
    """Return the stack's kubectl layer for a version, defining it at the first call.

    Args:
        scope: a construct of the stack.
        kubernetes_version: such as `1.36`. Default: the newest package installed serves.

    Raises:
        InvalidInput: no installed package serves the version; the error names the one to install.
    """
    if kubernetes_version is not None:
        refuse(version_faults(kubernetes_version, of="kubernetes_version", create=False))
    minor = layer_minor(kubernetes_version)
    stack = Stack.of(scope)
    construct_id = f"KubectlV{minor}"
    defined = stack.node.try_find_child(construct_id)
    if defined is not None:
        return cast("lambda_.ILayerVersion", defined)
    package = importlib.import_module(f"aws_cdk.lambda_layer_kubectl_v{minor}")
    layer = getattr(package, f"KubectlV{minor}Layer")(stack, construct_id)
    return cast("lambda_.ILayerVersion", layer)
