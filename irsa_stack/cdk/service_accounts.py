"""Service accounts of one cluster, each bound to a role of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import jsii
from aws_cdk import Aws, CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, DependencyGroup, IConstruct

from irsa_stack.cdk.account_claims import AccountClaims
from irsa_stack.cdk.cluster_access import (
    FUNCTION_SECONDS,
    SERVICE_TIMEOUT,
    access_policies,
    define_access_entry,
    describe_cluster,
    rollout_faults,
)
from irsa_stack.cdk.cluster_connection import ClusterConnection
from irsa_stack.cdk.durations import seconds_of
from irsa_stack.cdk.handler_function import FunctionSettings, HandlerFunction
from irsa_stack.cdk.kubectl_layer import ARCHITECTURE
from irsa_stack.cdk.kubectl_layer import kubectl_layer as layer_for_version
from irsa_stack.cdk.role import IrsaRole, Trust
from irsa_stack.cdk.service_account_entry import (
    ROLE_ARN_CHARACTERS,
    BoundEntry,
    produced,
    size_faults,
)
from irsa_stack.cdk.taggable_resource import TaggableResource
from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.faults import InvalidInput, list_faults, refuse
from irsa_stack.iam.arn import existing_role_faults
from irsa_stack.iam.quotas import PATH_CHARACTERS, TRUST_POLICY_CHARACTERS
from irsa_stack.iam.trust import STS_AUDIENCE, default_account_faults
from irsa_stack.kubernetes.binding_rules import binding_faults
from irsa_stack.kubernetes.identity import ServiceAccountIdentity, namespace_faults
from irsa_stack.kubernetes.rbac import Rule, binder_rules, group_faults, group_manifests
from irsa_stack.kubernetes.service_account_manifest import (
    COMMON_MANIFEST,
    metadata_faults,
    token_expiration_faults,
    webhook_annotations,
)

if TYPE_CHECKING:
    from irsa_stack.cdk.kubectl_layer import KubernetesVersion

_T = TypeVar("_T")


class Ownership(StrEnum):
    """Say whose object a service account is."""

    CREATE = "CREATE"
    """Ours: made with the stack, and removed with it."""
    ADOPT = "ADOPT"
    """Somebody else's: we own our annotations on it, and removing us removes only those."""
    HELM = "HELM"
    """A chart's: nothing is applied, the chart's values are emitted."""
    NONE = "NONE"
    """Not our concern: a role only."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise InvalidInput([f"ownership must be of {', '.join(cls)}, got {value!r}; correct it"])


@jsii.implements(iam.IGrantable)
class BoundServiceAccount:
    """A service account and its role, as `IrsaServiceAccounts.add` returns it.

    Attributes:
        identity: namespace and name.
        ownership: whose object it is.
        role_arn: ARN of the role.
        annotations: what the object carries so that its pods get the role.
        helm_values: values for the chart: they name the account, or make it with our annotations.
        binding: depend on it, and not on this object, to be made after the service account:
            `workload.node.add_dependency(account.binding)`.
    """

    # No dataclass: jsii takes one for a struct, and a grant needs an object.
    def __init__(
        self,
        *,
        identity: ServiceAccountIdentity,
        ownership: Ownership,
        role_arn: str,
        annotations: Mapping[str, str],
        helm_values: Mapping[str, Any],
        binding: IConstruct,
        role: IrsaRole | None,
    ) -> None:
        self.identity = identity
        self.ownership = ownership
        self.role_arn = role_arn
        self.annotations = annotations
        self.helm_values = helm_values
        self.binding = binding
        self._role = role

    def __repr__(self) -> str:
        """Return what tells this account from others."""
        return f"<{type(self).__name__} {self.identity}, {self.ownership}>"

    @property
    def role(self) -> IrsaRole:
        """The role made for this account.

        Raises:
            AttributeError: the role was handed in by ARN.
        """
        if self._role is None:
            raise AttributeError(
                f"role of {self.identity} must be one made here, got {self.role_arn}; grant where"
                " that role is defined"
            )
        return self._role

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Principal that `grant_*` methods add permissions to."""
        return self.role.grant_principal


class IrsaServiceAccounts(Construct):
    """Define the service accounts of one cluster, and bind each to a role of its own.

    Synthesises one `AWS::IAM::Role` an account and, however many accounts there are, one custom
    resource that carries all manifests, with one function and one access entry.

    Args:
        cluster: an `aws_eks` or `aws_eks_v2` cluster, or a `ClusterConnection`. With private-only
            endpoints the function runs in the VPC.
        oidc_provider: IAM OIDC provider of the cluster.
        kubectl_layer: layer with `kubectl/kubectl`. Default: that of the installed package for
            *kubernetes_version*.
        kubernetes_version: such as `1.36`, or a `KubernetesVersion` of the CDK. Default: the newest
            installed package serves, because a stock cluster does not tell its version.
        namespaces: namespaces that the function may enter besides those of its accounts. Keep one
            here for the deploy that removes its last account. Default: none.
        handler_role: role of the functions, for clusters without access entries; map it in
            `aws-auth` yourself. Default: own roles with an access entry each.
        kubernetes_group: group that the functions are in instead of having EKS's access policies,
            with `:binder` and `:aws-node` behind it; one for each of these constructs in a cluster.
            Apply `rbac` before the deploy. Default: `AmazonEKSEditPolicy` in the namespaces, which
            in `kube-system` amounts to cluster admin.
        refresh: any text; a change lets the functions look at every account anew, and mend what was
            changed by hand. Default: they look when an account changes.
        permissions_boundary: ceiling on every role made here, those of functions too. Default:
            that of *settings*.
        path: path of every role made here, those of functions too. Default: that of *settings*.
        settings: log retention, key, boundary and path of functions. Default: one month, keys of
            the services, no boundary and `/`.
        rollout_timeout: longest wait for the workloads that *restart* of an account names, at most
            13 minutes. Default: 10 minutes.

    Raises:
        InvalidInput: no installed package serves the version, *cluster* lacks an attribute, one of
            *namespaces* or *kubernetes_group* is no name of one, or *rollout_timeout* is out of
            range.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import ClusterConnection, EksOidcProvider, IrsaServiceAccounts
        >>> stack = cdk.Stack()
        >>> accounts = IrsaServiceAccounts(
        ...     stack,
        ...     "ServiceAccounts",
        ...     cluster=ClusterConnection.from_attributes(
        ...         cluster_name="payments-prod",
        ...         endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        ...         certificate_authority_data="LS0tLS1CRUdJTi...",
        ...     ),
        ...     oidc_provider=EksOidcProvider.from_issuer_url(
        ...         stack, "OidcProvider", "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
        ...     ),
        ... )
        >>> api = accounts.add("Api", namespace="apps", name="api")
        >>> grant = cdk.aws_s3.Bucket(stack, "Bucket").grant_read(api)

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cluster: Any,  # noqa: ANN401 (three kinds of cluster, of which two cost a slow import)
        oidc_provider: iam.IOpenIdConnectProvider,
        kubectl_layer: lambda_.ILayerVersion | None = None,
        kubernetes_version: "KubernetesVersion | str | None" = None,
        namespaces: Sequence[str] = (),
        handler_role: iam.IRole | None = None,
        kubernetes_group: str | None = None,
        refresh: str | None = None,
        permissions_boundary: iam.IManagedPolicy | None = None,
        path: str | None = None,
        settings: FunctionSettings | None = None,
        rollout_timeout: Duration | None = None,
    ) -> None:
        wait, untimely = seconds_of(rollout_timeout, of="rollout_timeout")
        faults = [*_namespaces_faults(namespaces), *untimely, *rollout_faults(wait)]
        if kubernetes_group is not None:
            faults += _group_faults(kubernetes_group, namespaces)
        refuse(faults)
        super().__init__(scope, id)
        self.cluster = ClusterConnection.of(cluster)
        """Where the cluster is reached."""
        self.oidc_provider = oidc_provider
        """IAM OIDC provider of the cluster."""
        settings = settings or FunctionSettings()
        self.settings = replace(
            settings,
            permissions_boundary=permissions_boundary or settings.permissions_boundary,
            role_path=path or settings.role_path,
        )
        """Settings of the functions and roles made for this cluster."""
        self.kubernetes_version = kubernetes_version or self.cluster.kubernetes_version
        self._rollout = {} if wait is None else {"RolloutTimeoutSeconds": str(int(wait))}
        self._layer = kubectl_layer
        self._namespaces = set(namespaces)
        self._creates_namespaces = False
        self.handler_role = handler_role
        """Role handed in for the functions made for this cluster, if any."""
        self.claims = AccountClaims.of(self, self.cluster)
        """Who binds which account of the cluster."""
        self._claimant = f"{type(self).__name__} {self.node.path!r}"
        self._ids: set[str] = {"Access", "Binder", "Bindings"}
        self._accounts: dict[str, BoundServiceAccount] = {}
        self._function: HandlerFunction | None = None
        self.refresh = {} if refresh is None else {"Refresh": refresh}
        """Property that lets a function look at everything anew."""
        self._kubernetes_group = kubernetes_group
        self._group_rules: dict[str, Callable[[], dict[str, list[Rule]]]] = {}
        self._access: list[TaggableResource] = []
        self._entries: dict[str, BoundEntry] = {}
        self._bindings = Construct(self, "Bindings")
        self._grants = DependencyGroup()

    @property
    def accounts(self) -> Mapping[str, BoundServiceAccount]:
        """The accounts added so far, by `namespace/name`."""
        return dict(self._accounts)

    @property
    def rbac(self) -> dict[str, Any]:
        """Roles and role bindings of *kubernetes_group*, for whoever administers the cluster.

        One Kubernetes `List`, as far as service accounts are added, and none without a group. It is
        also in the metadata of the stack's template, under `irsa-stack:rbac`.
        """
        items = [
            manifest
            for function, rules in self._group_rules.items()
            for manifest in group_manifests(f"{self._kubernetes_group}:{function}", rules())
        ]
        return {"apiVersion": "v1", "kind": "List", "items": items}

    def let_in(
        self,
        scope: Construct,
        function: str,
        *,
        principal_arn: str,
        policies: Callable[[], list[dict[str, Any]]],
        rules: Callable[[], dict[str, list[Rule]]],
    ) -> list[TaggableResource]:
        """Let a function into the cluster.

        Args:
            scope: where its access entry is placed.
            function: what its group's name ends in.
            principal_arn: ARN of its role.
            policies: EKS's access policies, produced at synth; they serve without a group.
            rules: what its group may do, by namespace, produced at synth.

        Returns:
            What must be there before the function is called; nothing with a *handler_role*, which
            its owner maps.
        """
        group = self._kubernetes_group and f"{self._kubernetes_group}:{function}"
        if group:
            if not self._group_rules:
                Stack.of(self).add_metadata("irsa-stack:rbac", produced(lambda: self.rbac))
            self._group_rules[function] = rules
        if self.handler_role is not None:
            return []
        return [
            define_access_entry(
                scope,
                "Access",
                cluster=self.cluster,
                principal_arn=principal_arn,
                policies=None if group else produced(policies),
                group=group,
            )
        ]

    @property
    def kubectl_layer(self) -> lambda_.ILayerVersion:
        """The layer that the functions of this cluster run kubectl from."""
        if self._layer is None:
            self._layer = layer_for_version(self, self.kubernetes_version)
        return self._layer

    def add(
        self,
        id: str,
        *,
        namespace: str,
        name: str,
        ownership: Ownership = Ownership.CREATE,
        restart: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        create_namespace: bool = False,
        force: bool = False,
        token_expiration: Duration | None = None,
        regional_sts: bool | None = None,
        audience: str = STS_AUDIENCE,
        helm_values_path: str = "serviceAccount",
        role_arn: str | None = None,
        role_name: str | None = None,
        path: str | None = None,
        permissions_boundary: iam.IManagedPolicy | None = None,
        managed_policies: Sequence[iam.IManagedPolicy] = (),
        inline_policies: Mapping[str, iam.PolicyDocument | Mapping[str, Any]] | None = None,
        max_session_duration: Duration | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        trusts: Sequence[Trust] = (),
        trust_policy_characters: int = TRUST_POLICY_CHARACTERS,
        allow_default_service_account: bool = False,
    ) -> BoundServiceAccount:
        """Define a service account and the role that only it can assume.

        Args:
            id: id of the role's construct below this one, used once.
            namespace: RFC 1123 label.
            name: RFC 1123 subdomain.
            ownership: whose object the account is. Default: ours, `CREATE`.
            restart: workloads to restart when their role changes, such as `deployment/api`, or `*`
                for all of the namespace that use the account. Default: none.
            labels: more labels of the object, which no chart takes from us. Default: none.
            annotations: more annotations of the object, or with `HELM` in the chart's values.
                Default: none.
            create_namespace: whether to make the namespace if it is missing. It widens the
                function's access to the whole cluster. Default: no.
            force: with `ADOPT`, take annotations that another manager owns. Default: refuse.
            token_expiration: life of a token, 600 to 86,400 seconds. Default: the webhook's, a day.
            regional_sts: whether SDKs call the region's STS. Default: yes; with `ADOPT`, what the
                object says.
            audience: value of `aud` in tokens and trust policy. Default: `sts.amazonaws.com`.
            helm_values_path: where the chart takes its service account from, with dots. Default:
                `serviceAccount`.
            role_arn: an existing role to bind instead of making one; it takes no option of a role.
                Default: a role is made.
            role_name: 1 to 64 characters. Default: CloudFormation names the role.
            path: path of the role, with slashes at both ends. Default: that of this construct.
            permissions_boundary: ceiling on every grant. Default: that of this construct.
            managed_policies: policies attached at definition, at most 10 without a raised quota.
                Default: none.
            inline_policies: documents by name, 10,240 characters together with the grants. Default:
                none.
            max_session_duration: 1 to 12 hours. Default: 1 hour, set by IAM.
            description: at most 1,000 characters. Default: none.
            tags: tags of the role besides `ServiceAccountName`, `ServiceAccountNamespace` and
                `ClusterName`, or in their place; at most 50 together. Default: none.
            trusts: accounts of more clusters that may assume the role. Default: none.
            trust_policy_characters: the account's quota L-C07B4B0D, 2,048 to 8,192. Default: 2,048.
            allow_default_service_account: whether the account named `default` may have the role.
                Default: no.

        Returns:
            The account, its role, and what a chart needs; pass it to any `grant_*` method.

        Raises:
            InvalidInput: a rule of Kubernetes or IAM is broken; all faults are listed.
        """
        identity, faults = _read(ServiceAccountIdentity, namespace, name)
        whose, more = _read(Ownership, ownership)
        ownership = whose or Ownership.CREATE
        seconds, untimely = seconds_of(token_expiration, of="token_expiration")
        faults += [
            *more,
            *untimely,
            *token_expiration_faults(seconds),
            *metadata_faults(labels=labels or {}, annotations=annotations or {}),
            *binding_faults(
                ownership,
                force=force,
                create_namespace=create_namespace,
                restart=restart,
                labels=labels,
                annotations=annotations,
            ),
            *self._taken_faults(id, identity),
        ]
        if create_namespace and self._kubernetes_group:
            faults.append(
                "create_namespace must go without kubernetes_group, got both; let whoever applies"
                " its RBAC make the namespace first"
            )
        if role_arn is not None:
            faults += [
                *default_account_faults(
                    [] if identity is None else [identity], allowed=allow_default_service_account
                ),
                *existing_role_faults(
                    role_arn,
                    role_name=role_name,
                    path=path,
                    permissions_boundary=permissions_boundary,
                    managed_policies=managed_policies,
                    inline_policies=inline_policies,
                    max_session_duration=max_session_duration,
                    description=description,
                    tags=tags,
                    trusts=trusts,
                ),
            ]
        refuse(faults)
        if identity is None:  # pragma: no cover (refused above; for the type checker)
            raise AssertionError

        created = None
        if role_arn is None:
            with withdrawn_if_refused(self, id):
                created = IrsaRole(
                    self,
                    id,
                    oidc_provider=self.oidc_provider,
                    service_accounts=[identity],
                    audience=audience,
                    role_name=role_name,
                    path=path or self.settings.role_path,
                    permissions_boundary=permissions_boundary or self.settings.permissions_boundary,
                    managed_policies=managed_policies,
                    inline_policies=inline_policies,
                    max_session_duration=max_session_duration,
                    description=description,
                    tags={**role_tags(identity, self.cluster.cluster_name), **(tags or {})},
                    trusts=trusts,
                    trust_policy_characters=trust_policy_characters,
                    grants=self._grants,
                    allow_default_service_account=allow_default_service_account,
                )
            role_arn = created.role_arn
        own = webhook_annotations(
            role_arn=role_arn,
            audience=None if audience == STS_AUDIENCE else audience,
            regional_sts=_regional_sts(regional_sts, ownership),
            token_expiration=seconds,
        )
        account = BoundServiceAccount(
            identity=identity,
            ownership=ownership,
            role_arn=role_arn,
            role=created,
            annotations=own,
            binding=self._bindings,
            helm_values=_helm_values(
                helm_values_path, identity, ownership, {**(annotations or {}), **own}
            ),
        )
        if ownership in (Ownership.CREATE, Ownership.ADOPT):
            with withdrawn_if_refused(self, id):
                self._bind(
                    BoundEntry(
                        key=str(identity),
                        role_arn=role_arn,
                        role_arn_characters=ROLE_ARN_CHARACTERS
                        + (
                            PATH_CHARACTERS
                            if created is None
                            else len(path or self.settings.role_path or "")
                        ),
                        ownership=ownership,
                        labels=labels or {},
                        annotations={**(annotations or {}), **own},
                        restart=tuple(restart),
                        force=force,
                        create_namespace=create_namespace,
                    )
                )
            self._namespaces.add(namespace)
            self._creates_namespaces |= create_namespace
        if created is not None:
            self._ids.add(id)
        self.claims.take(identity, self._claimant)
        self._accounts[str(identity)] = account
        return account

    def _taken_faults(self, id: str, identity: ServiceAccountIdentity | None) -> Iterator[str]:
        if identity is not None:
            yield from self.claims.faults(identity, self._claimant)
        if id in self._ids:
            yield f"id must be one that nothing in {self.node.path} has, got {id!r}; choose another"

    def _bind(self, entry: BoundEntry) -> None:
        """Let the custom resource carry *entry*, defining it at the first call."""
        refuse(size_faults(self._entries, entry))
        if self._function is None:
            with withdrawn_if_refused(self, "Binder"):
                self._function = self._define_function()
            resource = CustomResource(
                self._bindings,
                # The id that it has had from the start: under another, all would be bound anew.
                "Batch0",
                resource_type="Custom::ServiceAccounts",
                service_token=self._function.service_token,
                service_timeout=SERVICE_TIMEOUT,
                properties={
                    "Cluster": {
                        "Name": self.cluster.cluster_name,
                        "Endpoint": self.cluster.endpoint,
                        "CertificateAuthorityData": self.cluster.certificate_authority_data,
                    },
                    "Manifest": COMMON_MANIFEST,
                    **self._rollout,
                    **self.refresh,
                    "ServiceAccounts": produced(
                        lambda: {key: one.property for key, one in sorted(self._entries.items())}
                    ),
                },
            )
            # A pod must not find its role before the role has its permissions.
            resource.node.add_dependency(self._grants, self._function.ready, *self._access)
        self._entries[entry.key] = entry

    def _define_function(self) -> HandlerFunction:
        function = HandlerFunction(
            self,
            "Binder",
            handler="service_accounts.on_event.handle",
            description="Binds service accounts to their roles",
            timeout=FUNCTION_SECONDS,
            service_timeout=SERVICE_TIMEOUT,
            settings=self.settings,
            statements=[describe_cluster(self, self.cluster.cluster_name)],
            layers=[self.kubectl_layer],
            architecture=ARCHITECTURE,
            memory_size=512,
            network=self.cluster.network,
            role=self.handler_role,
        )
        self._access = self.let_in(
            self,
            "binder",
            principal_arn=function.role_arn,
            policies=lambda: access_policies(
                Aws.PARTITION, self._namespaces, whole_cluster=self._creates_namespaces
            ),
            rules=self._binder_rules,
        )
        return function

    def _binder_rules(self) -> dict[str, list[Rule]]:
        restart: dict[str, set[str]] = {namespace: set() for namespace in self._namespaces}
        for key, entry in self._entries.items():
            restart[key.partition("/")[0]] |= {*entry.restart}
        return {namespace: binder_rules(workloads) for namespace, workloads in restart.items()}


@contextmanager
def withdrawn_if_refused(scope: Construct, id: str) -> Iterator[None]:
    """Take a half-made construct out of the tree, so that its id serves the corrected one."""
    try:
        yield
    except InvalidInput:
        scope.node.try_remove_child(id)
        raise


def role_tags(identity: ServiceAccountIdentity, cluster_name: str) -> dict[str, str]:
    """Return the tags that say which account of which cluster a role is for."""
    return {
        "ServiceAccountName": identity.name,
        "ServiceAccountNamespace": identity.namespace,
        "ClusterName": cluster_name,
    }


def _regional_sts(asked: bool | None, ownership: Ownership) -> bool | None:  # noqa: FBT001
    """Decide for our objects, and leave those of others as they are unless asked."""
    return None if asked is None and ownership is Ownership.ADOPT else asked is not False


def _helm_values(
    path: str,
    identity: ServiceAccountIdentity,
    ownership: Ownership,
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a chart needs to use the account, or to make it with our annotations."""
    values: dict[str, Any] = {"name": identity.name}
    if ownership is Ownership.HELM:
        values = {"create": True, **values, "annotations": dict(annotations)}
    else:
        values = {"create": False, **values}
    for key in reversed(path.split(".")):
        values = {key: values}
    return values


def _read(kind: Callable[..., _T], *values: object) -> tuple[_T | None, list[str]]:
    """Return what *values* stand for, or why they stand for nothing."""
    try:
        return kind(*values), []
    except InvalidInput as error:
        return None, list(error.faults)


def _namespaces_faults(namespaces: Sequence[str]) -> Iterator[str]:
    if faults := list_faults(namespaces, of="namespaces"):
        yield from faults
        return
    for namespace in namespaces:
        if not TOKEN.search(f"{namespace}"):
            yield from namespace_faults(namespace)


def _group_faults(group: str, namespaces: Sequence[str]) -> Iterator[str]:
    yield from group_faults(group, of="kubernetes_group")
    if any(TOKEN.search(f"{namespace}") for namespace in namespaces):
        yield (
            "namespaces must be known at synth with kubernetes_group, got one that is not; its RBAC"
            " names each, so write it out"
        )
