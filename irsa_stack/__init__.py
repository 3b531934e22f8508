"""IAM roles for service accounts on Amazon EKS, as AWS CDK constructs.

Only *this* service account, in *this* namespace, of *this* cluster can assume *this* role.
Names are loaded when first used, so that the pure rules never start Node.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irsa_stack import controllers, stacks
    from irsa_stack.cdk.aws_node import AwsNodeAddon, AwsNodeRebinding
    from irsa_stack.cdk.cluster_connection import ImportedCluster
    from irsa_stack.cdk.handler_function import FunctionOptions
    from irsa_stack.cdk.metadata_guard import HopLimit, InstanceMetadataGuard
    from irsa_stack.cdk.oidc_provider import EksOidcProvider
    from irsa_stack.cdk.role import IrsaRole, Trust
    from irsa_stack.cdk.role_options import RoleDefaults, RoleOptions
    from irsa_stack.cdk.root_ca_thumbprint import RootCaThumbprint
    from irsa_stack.cdk.service_accounts import ServiceAccount, ServiceAccounts
    from irsa_stack.cdk.trust_review_plugin import TrustReview
    from irsa_stack.faults import InvalidInput
    from irsa_stack.iam.thumbprints import Thumbprints
    from irsa_stack.iam.trust import trust_policy
    from irsa_stack.kubernetes.identity import ServiceAccountIdentity
    from irsa_stack.kubernetes.service_account_request import Ownership
    from irsa_stack.nodes.instance_metadata import deny_instance_metadata, refuse_untold_controllers
    from irsa_stack.nodes.user_data import AmiFamily, PacketFilter, cluster_settings

__all__ = [
    "AmiFamily",
    "AwsNodeAddon",
    "AwsNodeRebinding",
    "EksOidcProvider",
    "FunctionOptions",
    "HopLimit",
    "ImportedCluster",
    "InstanceMetadataGuard",
    "InvalidInput",
    "IrsaRole",
    "Ownership",
    "PacketFilter",
    "RoleDefaults",
    "RoleOptions",
    "RootCaThumbprint",
    "ServiceAccount",
    "ServiceAccountIdentity",
    "ServiceAccounts",
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
    "AmiFamily": "nodes.user_data",
    "AwsNodeAddon": "cdk.aws_node",
    "AwsNodeRebinding": "cdk.aws_node",
    "EksOidcProvider": "cdk.oidc_provider",
    "FunctionOptions": "cdk.handler_function",
    "HopLimit": "cdk.metadata_guard",
    "ImportedCluster": "cdk.cluster_connection",
    "InstanceMetadataGuard": "cdk.metadata_guard",
    "InvalidInput": "faults",
    "IrsaRole": "cdk.role",
    "Ownership": "kubernetes.service_account_request",
    "PacketFilter": "nodes.user_data",
    "RoleDefaults": "cdk.role_options",
    "RoleOptions": "cdk.role_options",
    "RootCaThumbprint": "cdk.root_ca_thumbprint",
    "ServiceAccount": "cdk.service_accounts",
    "ServiceAccountIdentity": "kubernetes.identity",
    "ServiceAccounts": "cdk.service_accounts",
    "Thumbprints": "iam.thumbprints",
    "Trust": "cdk.role",
    "TrustReview": "cdk.trust_review_plugin",
    "cluster_settings": "nodes.user_data",
    "deny_instance_metadata": "nodes.instance_metadata",
    "refuse_untold_controllers": "nodes.instance_metadata",
    "trust_policy": "iam.trust",
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
