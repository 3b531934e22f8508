"""IAM roles for service accounts on Amazon EKS, as AWS CDK constructs.

Only *this* service account, in *this* namespace, of *this* cluster can assume *this* role.
Names are loaded when first used, so that the pure rules never start Node.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irsa_stack import controllers, stacks
    from irsa_stack.aws_node import AwsNodeAddon, AwsNodeRebinding
    from irsa_stack.cluster_connection import ClusterConnection
    from irsa_stack.faults import InvalidInput
    from irsa_stack.handler_function import FunctionNetwork, FunctionSettings
    from irsa_stack.identity import ServiceAccountIdentity
    from irsa_stack.instance_metadata import deny_instance_metadata, refuse_untold_controllers
    from irsa_stack.metadata_guard import HopLimit, InstanceMetadataGuard
    from irsa_stack.node_user_data import AmiFamily, PacketFilter, cluster_settings
    from irsa_stack.oidc_provider import EksOidcProvider
    from irsa_stack.role import IrsaRole, Trust
    from irsa_stack.root_ca_thumbprint import RootCaThumbprint
    from irsa_stack.service_accounts import BoundServiceAccount, IrsaServiceAccounts, Ownership
    from irsa_stack.thumbprints import Thumbprints
    from irsa_stack.trust import trust_policy
    from irsa_stack.trust_review_plugin import TrustReview

__all__ = [
    "AmiFamily",
    "AwsNodeAddon",
    "AwsNodeRebinding",
    "BoundServiceAccount",
    "ClusterConnection",
    "EksOidcProvider",
    "FunctionNetwork",
    "FunctionSettings",
    "HopLimit",
    "InstanceMetadataGuard",
    "InvalidInput",
    "IrsaRole",
    "IrsaServiceAccounts",
    "Ownership",
    "PacketFilter",
    "RootCaThumbprint",
    "ServiceAccountIdentity",
    "Thumbprints",
    "Trust",
    "TrustReview",
    "cluster_settings",
    "controllers",
    "deny_instance_metadata",
    "refuse_untold_controllers",
    "stacks",
    "trust_policy",
]

_MODULES = {
    "AmiFamily": "node_user_data",
    "AwsNodeAddon": "aws_node",
    "AwsNodeRebinding": "aws_node",
    "BoundServiceAccount": "service_accounts",
    "ClusterConnection": "cluster_connection",
    "EksOidcProvider": "oidc_provider",
    "FunctionNetwork": "handler_function",
    "FunctionSettings": "handler_function",
    "HopLimit": "metadata_guard",
    "InstanceMetadataGuard": "metadata_guard",
    "InvalidInput": "faults",
    "IrsaRole": "role",
    "IrsaServiceAccounts": "service_accounts",
    "Ownership": "service_accounts",
    "PacketFilter": "node_user_data",
    "RootCaThumbprint": "root_ca_thumbprint",
    "ServiceAccountIdentity": "identity",
    "Thumbprints": "thumbprints",
    "Trust": "role",
    "TrustReview": "trust_review_plugin",
    "cluster_settings": "node_user_data",
    "deny_instance_metadata": "instance_metadata",
    "refuse_untold_controllers": "instance_metadata",
    "trust_policy": "trust",
}


if not TYPE_CHECKING:  # a type checker would take every name, misspelt ones too

    def __getattr__(name: str) -> object:
        if name in ("controllers", "stacks"):
            return import_module(f"irsa_stack.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module 'irsa_stack' has no attribute {name!r}")
        return getattr(import_module(f"irsa_stack.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
