"""Roles of controllers and applications, bound to their service accounts."""

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from irsa_stack.cdk.aws_node import AwsNodeRebinding
from irsa_stack.cdk.cluster_connection import ClusterConnection, ImportedCluster
from irsa_stack.cdk.controller import Controller
from irsa_stack.cdk.handler_function import FunctionOptions
from irsa_stack.cdk.oidc_provider import EksOidcProvider
from irsa_stack.cdk.role import Trust
from irsa_stack.cdk.role_options import RoleDefaults
from irsa_stack.cdk.service_accounts import ServiceAccounts
from irsa_stack.environment.cluster import ExistingCluster
from irsa_stack.environment.environment import STACKS, Environment
from irsa_stack.environment.service_accounts import ServiceAccountSettings
from irsa_stack.faults import InvalidInput
from irsa_stack.kubernetes.service_account_request import Ownership
from irsa_stack.nodes.instance_metadata import refuse_untold_controllers
from irsa_stack.stacks.cluster import EksClusterStack
from irsa_stack.stacks.network import import_vpc
from irsa_stack.stacks.review import acknowledge
from irsa_stack.stacks.settings import (
    all_tags,
    apply_settings,
    checked,
    function_options,
    stack_arguments,
)

ACCOUNTS_A_STACK = 400
"""Service accounts that one stack holds: 500 resources, less the shared ones and the grants."""

TEMPLATE_BYTES = 900_000
"""Bytes that the accounts of one stack take: 1 MB, less what is shared.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

# Of CloudFormation's 200 outputs a stack; the others are the controllers'. Values of charts cannot
# be found elsewhere, so that all of them must fit; ARNs of roles stand in the console too.
OUTPUTS = 190
CHARTS_A_STACK = 150


class ServiceAccountsStack(Stack):
    """Define the roles of controllers and applications, and bind their service accounts.

    Synthesises them beside the cluster of an `EksClusterStack`, or onto an existing cluster. Many
    accounts are spread over several such stacks: each has its own part, by the accounts' names
    alone, and the first has the controllers.

    Args:
        settings: the environment, as `Environment` or as what its file holds.
        cluster: the stack of the cluster. Default: the environment's existing cluster.
        part: which part of the accounts, counted from 0. Default: 0, with the controllers.
        parts: how many parts there are. Default: 1, which has all accounts.
        files: folder that files named in *settings* are relative to. Default: the current one.
        kwargs: properties of the CDK's `Stack`. Default: account, region and tags of *settings*.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack.stacks import ServiceAccountsStack
        >>> stack = ServiceAccountsStack(
        ...     cdk.App(),
        ...     "orders-prod-service-accounts",
        ...     settings={
        ...         "service_type": "orders",
        ...         "environment": "prod",
        ...         "cluster": {
        ...             "existing": {
        ...                 "name": "orders-prod",
        ...                 "version": "1.36",
        ...                 "issuer_url": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ...                 "endpoint": "https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        ...                 "certificate_authority_data": "LS0tLS1CRUdJTi==",
        ...             }
        ...         },
        ...         "service_accounts": [{"namespace": "orders", "name": "worker"}],
        ...     },
        ... )

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Environment | Mapping[str, Any],
        cluster: EksClusterStack | None = None,
        part: int = 0,
        parts: int = 1,
        files: Path | None = None,
        **kwargs: Any,  # noqa: ANN401 (the CDK's StackProps)
    ) -> None:
        settings = checked(settings)
        if not 0 <= part < parts:
            raise InvalidInput(
                [f"part must be 0-{parts - 1} with {parts} parts, got {part!r}; count from 0"]
            )
        existing = settings.cluster.existing
        if cluster is not None and existing is not None:
            raise InvalidInput(
                [
                    f"cluster must be left out with cluster.existing of {existing.name!r}, got"
                    f" {cluster.node.path!r}; pass the settings that the cluster was made with"
                ]
            )
        super().__init__(scope, id, **{**stack_arguments(settings), **kwargs})
        functions = function_options(
            self, settings, default_key=None if cluster is None else cluster.log_key
        )
        vpc_id: str | None
        reached: ClusterConnection | ImportedCluster
        oidc_provider: iam.IOpenIdConnectProvider
        if cluster is not None:
            reached, oidc_provider = cluster.connection, cluster.oidc_provider
            vpc_id = cluster.exported_vpc_id
        elif existing is not None:
            reached = _existing_cluster(self, existing)
            oidc_provider = _existing_provider(
                self, settings, existing, functions=functions, files=files, define=part == 0
            )
            vpc_id = existing.vpc_id
        else:
            raise InvalidInput(
                [
                    f"cluster must be given with cluster.new of {settings.cluster_name!r}, got"
                    " none; pass the EksClusterStack"
                ]
            )
        self.service_accounts = ServiceAccounts(
            self,
            "ServiceAccounts",
            cluster=reached,
            oidc_provider=oidc_provider,
            namespaces=settings.namespaces,
            kubernetes_group=_kubernetes_group(existing, part),
            refresh=settings.service_account_refresh,
            functions=functions,
            roles=RoleDefaults(path=settings.role_path),
        )
        """The service accounts of the cluster."""
        self._providers: dict[str, iam.IOpenIdConnectProvider] = {}
        if part == 0:
            for controller in self._add_controllers(settings, vpc_id):
                CfnOutput(
                    self,
                    f"ChartValues{type(controller.spec).__name__}",
                    value=self.to_json_string(controller.chart_values),
                    description=f"Values of chart {controller.spec.upstream.chart}",
                )
            if existing is not None and settings.vpc_cni_mode == "rebind":
                AwsNodeRebinding(
                    self,
                    "AwsNode",
                    service_accounts=self.service_accounts,
                    ip_family=existing.ip_family,
                    node_roles=[
                        _imported_role(self, f"NodeRole{position}", role)
                        for position, role in enumerate(existing.node_roles)
                    ],
                )
        for account in settings.service_accounts:
            if part_of(account, parts) == part:
                self._add(account)
        apply_settings(self, settings)
        acknowledge(self, settings)
        self._define_outputs()

    def _add(self, account: ServiceAccountSettings) -> None:
        role_id = f"{account.namespace}.{account.name}"
        added = self.service_accounts.add(
            account.identity,
            ownership=Ownership(account.ownership),
            restart=account.restart,
            force=account.force,
            create_namespace=account.create_namespace,
            token_expiration=_seconds(account.token_expiration),
            labels=account.labels,
            annotations=account.annotations,
            regional_sts=account.regional_sts,
            audience=account.audience,
            role_arn=account.role_arn,
            allow_default_service_account=account.allow_default_service_account,
            **({} if account.role_arn else self._role_options(role_id, account)),
        )
        if account.permissions_boundary is not None:
            # Nearer than the stack's, which reaches every role, this one prevails.
            iam.PermissionsBoundary.of(added.role).apply(
                iam.ManagedPolicy.from_managed_policy_arn(
                    self, f"{role_id}-boundary", account.permissions_boundary
                )
            )

    def _role_options(self, role_id: str, account: ServiceAccountSettings) -> dict[str, Any]:
        return {
            "managed_policies": [
                iam.ManagedPolicy.from_managed_policy_arn(self, f"{role_id}-policy{position}", arn)
                for position, arn in enumerate(account.managed_policies)
            ],
            "inline_policies": _inline(account),
            "role_name": account.role_name,
            "path": account.path,
            "max_session_duration": _seconds(account.max_session_duration),
            "description": account.description,
            "tags": account.tags,
            "trusts": [
                Trust(
                    oidc_provider=self._provider_of(trust.issuer_url),
                    service_accounts=trust.service_accounts,
                    subject_patterns=trust.subject_patterns,
                )
                for trust in account.trusts
            ],
            **({"subject_patterns": account.subject_patterns} if account.subject_patterns else {}),
        }

    def _provider_of(self, issuer_url: str) -> iam.IOpenIdConnectProvider:
        """Import the OIDC provider of one more cluster, once a stack."""
        if issuer_url not in self._providers:
            digest = hashlib.sha256(issuer_url.encode()).hexdigest()[:8]
            self._providers[issuer_url] = EksOidcProvider.from_issuer_url(
                self, f"OidcProvider{digest}", issuer_url
            )
        return self._providers[issuer_url]

    def _add_controllers(self, settings: Environment, vpc_id: str | None) -> list[Controller]:
        defined = [
            self.service_accounts.add_controller(
                chosen.spec.in_vpc(vpc_id),
                namespace=chosen.namespace,
                cluster_name=settings.cluster_name,
                ownership=Ownership(chosen.ownership),
                force=chosen.force,
            )
            for _, chosen in settings.controllers.chosen()
        ]
        # The nodes' metadata is closed to pods: what a controller would ask it must be told.
        refuse_untold_controllers(
            {controller.spec.upstream.chart: controller.chart_values for controller in defined}
        )
        return defined

    def _define_outputs(self) -> None:
        accounts = self.service_accounts.accounts
        values = {
            f"HelmValues{_words(key)}": (
                self.to_json_string(account.helm_values),
                f"Values of the chart that makes {key}",
            )
            for key, account in accounts.items()
            if account.ownership is Ownership.HELM
        }
        arns = {
            f"RoleArn{_words(key)}": (account.role_arn, f"Role of {key}")
            for key, account in accounts.items()
        }
        for name, (value, description) in islice({**values, **arns}.items(), OUTPUTS):
            CfnOutput(self, name, value=value, description=description)


def refuse_crowded_stacks(settings: Environment) -> None:
    """Refuse a number of stacks that is too small for CloudFormation's limits.

    Raises:
        InvalidInput: a stack would hold too much; the error names the number to write.
    """
    given = settings.service_account_stacks
    if _fullest(settings, given) <= 1:
        return
    enough = next((n for n in range(given + 1, STACKS + 1) if _fullest(settings, n) <= 1), None)
    raise InvalidInput(
        [
            f"service_account_stacks must be enough for {ACCOUNTS_A_STACK} service accounts,"
            f" {CHARTS_A_STACK} of them with ownership HELM, and {TEMPLATE_BYTES} bytes of template"
            f" a stack, got {given}, which fills one to {_fullest(settings, given):.0%}; "
            + (
                "use several environments"
                if enough is None
                else f"write service_account_stacks: {enough}, or more to leave room"
            )
        ]
    )


def part_of(account: ServiceAccountSettings, parts: int) -> int:
    """Return which part holds *account*: its name alone decides, so that no neighbour moves it."""
    # Which bytes does not matter, but others would move every service account.
    digest = hashlib.sha256(str(account.identity).encode()).digest()
    return int.from_bytes(digest[8:16]) % parts


def _fullest(settings: Environment, parts: int) -> float:
    """Return how full the fullest stack would be, of whichever limit it meets first."""
    tags = sum(_TAG_BYTES + len(key) + len(value) for key, value in all_tags(settings).items())
    loads = [[0.0, 0.0, 0.0] for _ in range(parts)]
    for account in settings.service_accounts:
        load = loads[part_of(account, parts)]
        load[0] += 1 / ACCOUNTS_A_STACK
        load[1] += (account.ownership == "HELM") / CHARTS_A_STACK
        load[2] += (_template_bytes(account) + tags) / TEMPLATE_BYTES
    return max(limit for load in loads for limit in load)


# Of the templates that the CLI deploys, metadata included.
_ROLE_BYTES = 1_600
_NAMED_TIMES = 4
_TAG_BYTES = 45
_DEPTH = 5


def _template_bytes(account: ServiceAccountSettings) -> int:
    """Return about how much *account* adds to a template, which CloudFormation wants below 1 MB."""
    permissions = json.dumps([_inline(account), account.managed_policies], indent=1)
    return (
        _ROLE_BYTES
        + _NAMED_TIMES * len(str(account.identity))
        + len(permissions)
        + _DEPTH * permissions.count("\n")
    )


def _seconds(seconds: int | None) -> Duration | None:
    return None if seconds is None else Duration.seconds(seconds)


def _inline(account: ServiceAccountSettings) -> Mapping[str, Any] | None:
    if not account.statements:
        return None
    return {
        "Permissions": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": statement.actions,
                    "Resource": statement.resources,
                    **({"Condition": statement.conditions} if statement.conditions else {}),
                }
                for statement in account.statements
            ],
        }
    }


def _imported_role(scope: Construct, id: str, role: str) -> iam.IRole:
    """Import a role by name, or by ARN: only that tells its path."""
    if role.startswith("arn:"):
        return iam.Role.from_role_arn(scope, id, role)
    return iam.Role.from_role_name(scope, id, role)


def _existing_cluster(scope: Construct, existing: ExistingCluster) -> ImportedCluster:
    vpc = None
    if existing.private_subnets:
        vpc = import_vpc(
            scope,
            "Vpc",
            vpc_id=str(existing.vpc_id),
            zones=existing.zones,
            private_subnets=existing.private_subnets,
            public_subnets=[],
        )
    return ImportedCluster(
        name=existing.name,
        endpoint=existing.endpoint,
        certificate_authority_data=existing.certificate_authority_data,
        issuer_url=existing.issuer_url,
        vpc=vpc,
        security_groups=[
            ec2.SecurityGroup.from_security_group_id(scope, f"ClusterGroup{position}", group)
            for position, group in enumerate(existing.security_groups)
        ],
        kubernetes_version=existing.version,
    )


def _kubernetes_group(existing: ExistingCluster | None, part: int) -> str | None:
    """Return the group of the functions of a part, each of which enters other namespaces."""
    group = existing.kubernetes_group if existing else None
    return f"{group}-{part}" if group and part else group


def _existing_provider(
    scope: Construct,
    settings: Environment,
    existing: ExistingCluster,
    *,
    functions: FunctionOptions,
    files: Path | None,
    define: bool,
) -> iam.IOpenIdConnectProvider:
    """Import the cluster's provider; the first part defines it if IAM has none yet."""
    if not define or not existing.create_oidc_provider:
        return EksOidcProvider.from_issuer_url(scope, "OidcProvider", existing.issuer_url)
    return EksOidcProvider(
        scope,
        "OidcProvider",
        issuer_url=existing.issuer_url,
        thumbprints=settings.oidc.source,
        refresh=settings.oidc.refresh,
        ca_bundle=settings.oidc.ca_bundle(files or Path()),
        allow_private=settings.oidc.allow_private,
        functions=functions,
        roles=RoleDefaults(path=settings.role_path),
    )


def _words(key: str) -> str:
    """Return `namespace/name` as a logical id; the digest tells `a-b/c` from `a/b-c`."""
    words = key.replace("/", "-").replace(".", "-").split("-")
    digest = hashlib.sha256(key.encode()).hexdigest()[:6]
    return "".join(word.capitalize() for word in words)[:180] + digest
