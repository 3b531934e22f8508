"""What the controllers have in common: an account, a role, a scope, and values for the chart."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import jsii
from aws_cdk import Acknowledgment, Aws, Duration, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct

from irsa_stack.cdk.role import IrsaRole, Trust
from irsa_stack.cdk.service_accounts import ServiceAccount, ServiceAccounts, withdrawn_if_refused
from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.cloudformation.policy_document import trust_document
from irsa_stack.controllers.statements import Document, Place
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.faults import refuse
from irsa_stack.iam import quotas
from irsa_stack.kubernetes.service_account_request import Ownership


class AccountOptions(TypedDict, total=False):
    """What a controller hands on to `ServiceAccounts.add`; see there."""

    restart: list[str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    create_namespace: bool
    force: bool
    token_expiration: Duration
    regional_sts: bool
    audience: str
    role_name: str
    path: str
    permissions_boundary: iam.IManagedPolicy
    managed_policies: Sequence[iam.IManagedPolicy]
    inline_policies: Mapping[str, iam.PolicyDocument | Mapping[str, Any]]
    max_session_duration: Duration
    description: str
    tags: Mapping[str, str]
    trusts: Sequence[Trust]
    trust_policy_characters: int
    allow_default_service_account: bool


@jsii.implements(iam.IGrantable)
class Controller(Construct):
    """Define the service account and the role of a controller.

    Attributes:
        upstream: where the controller comes from, and the versions served.
        chart_values: values for its Helm chart: its account, and what it must be told.
        helm_values: the part of *chart_values* that is about its account.
        role: its role; give it to `grant_*` methods, or pass this construct.
        identity: namespace and name of its account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        upstream: Upstream,
        service_accounts: ServiceAccounts,
        namespace: str,
        service_account: str,
        ownership: Ownership,
        documents: Mapping[str, Document],
        wildcards: Mapping[str, str],
        chart_values: Mapping[str, Any],
        helm_values_path: str = "serviceAccount",
        attached: tuple[iam.IManagedPolicy, ...] = (),
        as_managed_policies: bool = False,
        quote_annotations: bool = False,
        names: Mapping[str, str] | None = None,
        **account: Unpack[AccountOptions],
    ) -> None:
        refuse(_option_faults(account, documents))
        super().__init__(scope, id)
        with withdrawn_if_refused(scope, id):
            rendered = {
                name: trust_document(document, names) for name, document in documents.items()
            }
            if as_managed_policies:
                path = account.get("path") or service_accounts.roles.path
                for name, document in documents.items():
                    policy = self._managed_policy(name, document, rendered.pop(name), path)
                    _acknowledge(policy, {name: document}, wildcards)
                    attached += (iam.ManagedPolicy.from_managed_policy_arn(self, name, policy.ref),)
            account["managed_policies"] = [*attached, *account.get("managed_policies", ())]
            account["inline_policies"] = {**rendered, **account.get("inline_policies", {})}
            self.account: ServiceAccount = service_accounts.add(
                f"{namespace}/{service_account}",
                id=id,
                ownership=ownership,
                helm_values_path=helm_values_path,
                **account,
            )
            """The account as `ServiceAccounts.add` returned it."""
        if not as_managed_policies:
            _acknowledge(self.account.role, documents, wildcards)
        if quote_annotations:
            self.account.helm_values = _quoted(self.account.helm_values)
        self.upstream = upstream
        self.identity = self.account.identity
        self.helm_values = dict(self.account.helm_values)
        self.chart_values: dict[str, Any] = {**chart_values, **self.helm_values}

    @property
    def role(self) -> IrsaRole:
        """The role of the controller."""
        return self.account.role

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Principal that `grant_*` methods add permissions to."""
        return self.account.grant_principal

    def _managed_policy(
        self, name: str, document: Document, rendered: Document, path: str | None
    ) -> iam.CfnManagedPolicy:
        """Define a customer managed policy: it leaves the role's inline room to grants."""
        refuse(quotas.managed_policy_faults(document, policy=f"{self.node.path}/{name}"))
        return iam.CfnManagedPolicy(self, f"{name}Policy", policy_document=rendered, path=path)


def _option_faults(account: Mapping[str, Any], documents: Mapping[str, Document]) -> Iterator[str]:
    if "role_arn" in account:
        yield (
            f"role_arn must be left out, got {account['role_arn']!r}; a controller's role is made"
            " with its policy, so bind another role with ServiceAccounts.add"
        )
    for name in sorted(documents.keys() & account.get("inline_policies", {}).keys()):
        yield f"inline_policies must not hold {name!r}, got it; rename it: the controller has one"


def place_of(
    service_accounts: ServiceAccounts,
    *,
    region: str | None = None,
    vpc_owner: str | None = None,
) -> Place:
    """Return where the cluster of *service_accounts* is: by default, where its roles are."""
    stack = Stack.of(service_accounts)
    return Place(
        partition=Aws.PARTITION,
        region=region or stack.region,
        account=stack.account,
        vpc_owner=vpc_owner,
    )


def name_of_cluster(service_accounts: ServiceAccounts, cluster_name: str | None) -> str:
    """Return the name that a controller is scoped to.

    Raises:
        InvalidInput: *cluster_name* is not that of *service_accounts*.
    """
    bound = service_accounts.cluster.cluster_name
    if cluster_name is None:
        return bound
    if not is_deploy_time(bound) and not is_deploy_time(cluster_name) and bound != cluster_name:
        refuse(
            [
                f"cluster_name must be that of service_accounts, {bound!r}, got {cluster_name!r};"
                " leave it out"
            ]
        )
    return cluster_name


def _quoted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Quote every annotation for a chart that writes them as they are.

    There `true` becomes a boolean and `3600` a number, and Kubernetes takes neither.
    """
    return {
        key: (
            {name: json.dumps(text) for name, text in value.items()}
            if key == "annotations"
            else _quoted(value)
            if isinstance(value, Mapping)
            else value
        )
        for key, value in values.items()
    }


def _acknowledge(
    construct: Construct, documents: Mapping[str, Document], wildcards: Mapping[str, str]
) -> None:
    """Give reviewers, cdk-nag among them, the reason for each wildcard that stays."""
    stack = Stack.of(construct)
    for document in documents.values():
        for statement in document["Statement"]:
            for resource in statement["Resource"]:
                if "*" in resource:
                    finding = f"AwsSolutions-IAM5[Resource::{_shown(stack.resolve(resource))}]"
                    Validations.of(construct).acknowledge(
                        Acknowledgment(
                            id=f"AwsSolutions::{finding}", reason=wildcards[statement["Sid"]]
                        )
                    )


def _shown(resolved: Any) -> str:  # noqa: ANN401 (whatever a template may hold)
    """Write a resolved value as cdk-nag does in the id of a finding."""
    if isinstance(resolved, str):
        return resolved
    ((function, value),) = resolved.items()
    return "".join(map(_shown, value[1])) if function == "Fn::Join" else f"<{value}>"
