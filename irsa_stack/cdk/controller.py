"""A controller in a cluster: its service account, its role, and values for its chart."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import jsii
from aws_cdk import Acknowledgment, Aws, Duration, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, Dependable

from irsa_stack.cdk.role_options import RoleOptions
from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.cloudformation.policy_document import trust_document
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Document, Location
from irsa_stack.faults import refuse
from irsa_stack.iam import quotas
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.kubernetes.service_account_request import Ownership

if TYPE_CHECKING:
    from irsa_stack.cdk.cluster_connection import ClusterConnection
    from irsa_stack.cdk.role import IrsaRole
    from irsa_stack.cdk.service_accounts import ServiceAccount, ServiceAccounts


class ServiceAccountOptions(RoleOptions, total=False):
    """What a controller hands on to `ServiceAccounts.add`; see there."""

    ownership: "Ownership | str"
    restart: Sequence[str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    create_namespace: bool
    force: bool
    token_expiration: Duration
    regional_sts: bool


@jsii.implements(iam.IGrantable)
class Controller(Construct):
    """A controller, as `ServiceAccounts.add_controller` returns it.

    Attributes:
        spec: what it is and may do.
        chart_values: values for its Helm chart: its service account, and what it must be told.
        helm_values: the part of *chart_values* that is about its service account.
        service_account: its service account, as `ServiceAccounts.add` returned it.
        identity: namespace and name of its service account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: "ServiceAccounts",
        spec: ControllerSpec,
        namespace: str | None = None,
        name: str | None = None,
        cluster_name: str | None = None,
        **options: Unpack[ServiceAccountOptions],
    ) -> None:
        stack = Stack.of(service_accounts)
        location = Location(partition=Aws.PARTITION, region=stack.region, aws_account=stack.account)
        cluster = cluster_of(service_accounts.cluster, cluster_name)
        documents = spec.documents(cluster, location)
        # Several are too much for the inline room, which grants need.
        as_managed_policies = len(documents) > 1
        refuse(_option_faults(spec, options, documents))
        if as_managed_policies:
            for policy, document in documents.items():
                refuse(quotas.managed_policy_faults(document, policy=f"{id}/{policy}"))
        super().__init__(scope, id)
        names = {cluster.name: "ClusterName", str(spec.vpc_of(cluster)): "VpcId"}
        rendered = {
            policy: trust_document(document, names) for policy, document in documents.items()
        }
        attached: list[iam.IManagedPolicy] = []
        if as_managed_policies:
            path = options.get("path") or service_accounts.roles.path
            for policy, document in documents.items():
                made = iam.CfnManagedPolicy(
                    self, f"{policy}Policy", policy_document=rendered.pop(policy), path=path
                )
                _acknowledge(made, [document], spec.wildcards)
                attached.append(iam.ManagedPolicy.from_managed_policy_arn(self, policy, made.ref))
        options["managed_policies"] = [*attached, *options.get("managed_policies", ())]
        options["inline_policies"] = {**rendered, **(options.get("inline_policies") or {})}
        if not spec.chart_annotates:
            options.setdefault("ownership", Ownership.ADOPT)
        self.spec = spec
        self.service_account: ServiceAccount = service_accounts.add(
            ServiceAccountIdentity(namespace or spec.namespace, name or spec.service_account),
            id=id,
            helm_values_path=spec.chart_path,
            **options,
        )
        if not as_managed_policies:
            _acknowledge(self.role, documents.values(), spec.wildcards)
        if spec.quotes_annotations:
            self.service_account.helm_values = _quoted(self.service_account.helm_values)
        self.identity = self.service_account.identity
        self.helm_values = dict(self.service_account.helm_values)
        self.chart_values = _merged(spec.chart_values(cluster, location), self.helm_values)
        Dependable.implement(self, Dependable.of(self.service_account))

    @property
    def role(self) -> "IrsaRole":
        """Its role."""
        return self.service_account.role

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Principal that `grant_*` methods add permissions to."""
        return self.service_account.grant_principal

    @property
    def service_account_name(self) -> str:
        """Name of its service account."""
        return self.identity.name

    @property
    def service_account_namespace(self) -> str:
        """Namespace of its service account."""
        return self.identity.namespace

    def add_to_principal_policy(
        self, statement: iam.PolicyStatement
    ) -> iam.AddToPrincipalPolicyResult:
        """Add one more permission of its role."""
        return self.service_account.add_to_principal_policy(statement)


def cluster_of(connection: "ClusterConnection", cluster_name: str | None = None) -> Cluster:
    """Return what a controller must know of the cluster that *connection* reaches.

    Raises:
        InvalidInput: *cluster_name* is that of another cluster.
    """
    bound, network = connection.cluster_name, connection.network
    known = cluster_name is not None and not is_deploy_time(bound) and bound != cluster_name
    if known and not is_deploy_time(cluster_name):
        refuse(
            [
                f"cluster_name must be that of service_accounts, {bound!r}, got {cluster_name!r};"
                " leave it out"
            ]
        )
    return Cluster(
        name=cluster_name or bound,
        endpoint=connection.endpoint,
        vpc_id=None if network is None else network.vpc.vpc_id,
    )


def _option_faults(
    spec: ControllerSpec, options: Mapping[str, Any], documents: Mapping[str, Document]
) -> Iterator[str]:
    if "role_arn" in options:
        yield (
            f"role_arn must be left out, got {options['role_arn']!r}; a controller's role is made"
            " with its policy, so bind another role with ServiceAccounts.add"
        )
    for name in sorted(documents.keys() & (options.get("inline_policies") or {}).keys()):
        yield f"inline_policies must not hold {name!r}, got it; rename it: the controller has one"
    if options.get("ownership") == "HELM" and not spec.chart_annotates:
        yield (
            f"ownership must not be HELM for chart {spec.upstream.chart}, got it; the chart has no"
            " value for annotations of the service account, so ADOPT it"
        )


def _merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with *more* put in, deep."""
    merged = dict(values)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


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
    construct: Construct, documents: Iterable[Document], wildcards: Mapping[str, str]
) -> None:
    """Give reviewers, cdk-nag among them, the reason for each wildcard that stays."""
    stack = Stack.of(construct)
    for document in documents:
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
