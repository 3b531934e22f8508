"""Controllers that most clusters run, each with the least that it needs of AWS.

Names are loaded when first used, so that the policies, which are plain data, never start Node.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irsa_stack.cdk.controllers.aws_load_balancer_controller import AwsLoadBalancerController
    from irsa_stack.cdk.controllers.cluster_autoscaler import ClusterAutoscaler
    from irsa_stack.cdk.controllers.controller import Controller
    from irsa_stack.cdk.controllers.external_dns import ExternalDns
    from irsa_stack.cdk.controllers.vpc_cni import VpcCni, vpc_cni_policy

__all__ = [
    "AwsLoadBalancerController",
    "ClusterAutoscaler",
    "Controller",
    "ExternalDns",
    "VpcCni",
    "vpc_cni_policy",
]

_MODULES = {
    "AwsLoadBalancerController": "aws_load_balancer_controller",
    "ClusterAutoscaler": "cluster_autoscaler",
    "Controller": "controller",
    "ExternalDns": "external_dns",
    "VpcCni": "vpc_cni",
    "vpc_cni_policy": "vpc_cni",
}


if not TYPE_CHECKING:  # a type checker would take every name, misspelt ones too

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'irsa_stack.controllers' has no attribute {name!r}")
        return getattr(import_module(f"irsa_stack.cdk.controllers.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
