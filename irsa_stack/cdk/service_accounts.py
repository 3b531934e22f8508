"""Service accounts of one cluster, each bound to a role of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

import jsii
from aws_cdk import Aws, CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, Dependable, DependencyGroup

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
from irsa_stack.cdk.controller import Controller, ServiceAccountOptions
from irsa_stack.cdk.durations import seconds_of
from irsa_stack.cdk.handler_function import FunctionOptions, HandlerFunction
from irsa_stack.cdk.kubectl_layer import ARCHITECTURE
from irsa_stack.cdk.kubectl_layer import kubectl_layer as layer_for_version
from irsa_stack.cdk.oidc_provider import EksOidcProvider
from irsa_stack.cdk.role import IrsaRole
from irsa_stack.cdk.role_options import RoleDefaults, RoleOptions
from irsa_stack.cdk.service_account_entry import (
    ROLE_ARN_CHARACTERS,
    BoundEntry,
    produced,
    size_faults,
)
from irsa_stack.cdk.taggable_resource import TaggableResource
from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.controllers.spec import ControllerSpec
from irsa_stack.faults import InvalidInput, no_list_faults, refuse
from irsa_stack.iam.arn import existing_role_faults
from irsa_stack.iam.quotas import PATH_CHARACTERS
from irsa_stack.iam.trust import STS_AUDIENCE, default_account_faults
from irsa_stack.kubernetes.identity import ServiceAccountIdentity, namespace_faults
from irsa_stack.kubernetes.rbac import Rule, binder_rules, group_faults, group_manifests
from irsa_stack.kubernetes.service_account_manifest import COMMON_MANIFEST
from irsa_stack.kubernetes.service_account_request import Ownership, ServiceAccountRequest

if TYPE_CHECKING:
    from irsa_stack.cdk.kubectl_layer import KubernetesVersion

_OWN_IDS = ("Access", "Binder", "Bindings", "Controllers", "OidcProvider")


@jsii.implements(iam.IGrantable)
class ServiceAccount(Construct):
    """A service account and its role, as `ServiceAccounts.add` returns it.

    Pass it to any `grant_*` method. What depends on it is made after its pods can get the role:
    `workload.node.add_dependency(account)`.

    Attributes:
        identity: namespace and name.
        ownership: whose object it is.
        role_arn: ARN of the role.
        annotations: what the object carries so that its pods get the role.
        helm_values: values for the chart: they name the service account, or make it with our
            annotations.
    """

    def __init__(
        self,
        scope: "ServiceAccounts",
        id: str,
        *,
        request: ServiceAccountRequest,
        role_arn: str | None,
        options: RoleOptions,
        grants: DependencyGroup,
    ) -> None:
        super().__init__(scope, id)
        self.identity = request.identity
        self.ownership = request.ownership
        self._role = None if role_arn else _define_role(self, scope, options, grants)
        self.role_arn: str = role_arn or self.role.role_arn
        audience = options.get("audience", STS_AUDIENCE)
        self.annotations: Mapping[str, str] = request.webhook_annotations(
            role_arn=self.role_arn, audience=None if audience == STS_AUDIENCE else audience
        )
        self.helm_values: Mapping[str, Any] = request.helm_values(self.annotations)

    def __repr__(self) -> str:
        """Return what tells this service account from others."""
        return f"<{type(self).__name__} {self.identity}, {self.ownership}>"

    @property
    def service_account_name(self) -> str:
        """Its name, as the CDK's service accounts have it."""
        return self.identity.name

    @property
    def service_account_namespace(self) -> str:
        """Its namespace, as the CDK's service accounts have it."""
        return self.identity.namespace

    @property
    def role(self) -> IrsaRole:
        """The role made for this service account.

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

    def add_to_principal_policy(
        self, statement: iam.PolicyStatement
    ) -> iam.AddToPrincipalPolicyResult:
        """Add one more permission of the role."""
        return self.role.add_to_principal_policy(statement)


class ServiceAccounts(Construct):
    """Define the service accounts of one cluster, and bind each to a role of its own.

    Synthesises one `AWS::IAM::Role` a service account and, however many there are, one custom
    resource that carries all manifests, with one function and one access entry.

    Args:
        cluster: an `aws_eks` or `aws_eks_v2` cluster, or an `ImportedCluster`. With private-only
            endpoints the function runs in the VPC.
        oidc_provider: IAM OIDC provider of the cluster. Default: that which the cluster has; one is
            made beside a new cluster, and the provider of an `ImportedCluster` is imported.
        kubectl_layer: layer with `kubectl/kubectl`. Default: that of the installed package for
            *kubernetes_version*.
        kubernetes_version: such as `1.36`, or a `KubernetesVersion` of the CDK. Default: the newest
            installed package serves, because a stock cluster does not tell its version.
        namespaces: namespaces that the function may enter besides those of its service accounts.
            Keep one here for the deploy that removes its last service account. Default: none.
        handler_role: role of the functions, for clusters without access entries; map it in
            `aws-auth` yourself. Default: own roles with an access entry each.
        kubernetes_group: group that the functions are in instead of having EKS's access policies,
            with `:binder` and `:aws-node` behind it; one for each of these constructs in a cluster.
            Apply `rbac` before the deploy. Default: `AmazonEKSEditPolicy` in the namespaces, which
            in `kube-system` amounts to cluster admin.
        refresh: any text; a change lets the functions look at every service account anew, and mend
            what was changed by hand. Default: they look when a service account changes.
        functions: log retention and key of the functions. Default: one month, keys of the services.
        roles: boundary and path of every role made here, those of functions too. Default: no
            boundary and `/`.
        rollout_timeout: longest wait for the workloads that *restart* of a service account names,
            at most 13 minutes. Default: 10 minutes.

    Raises:
        InvalidInput: no installed package serves the version, *cluster* lacks an attribute, one of
            *namespaces* or *kubernetes_group* is no name of one, or *rollout_timeout* is out of
            range.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import ImportedCluster, ServiceAccounts
        >>> stack = cdk.Stack()
        >>> cluster = ImportedCluster(
        ...     name="payments-prod",
        ...     endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        ...     certificate_authority_data="LS0tLS1CRUdJTi...",
        ...     issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ... )
        >>> accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster)
        >>> api = accounts.add("apps/api", restart=["deployment/api"])
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
        oidc_provider: iam.IOpenIdConnectProvider | None = None,
        kubectl_layer: lambda_.ILayerVersion | None = None,
        kubernetes_version: "KubernetesVersion | str | None" = None,
        namespaces: Sequence[str] = (),
        handler_role: iam.IRole | None = None,
        kubernetes_group: str | None = None,
        refresh: str | None = None,
        functions: FunctionOptions | None = None,
        roles: RoleDefaults | None = None,
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
        self.functions = functions or FunctionOptions()
        """Options of the functions made for this cluster."""
        self.roles = roles or RoleDefaults()
        """Defaults of the roles made for this cluster."""
        self.oidc_provider = oidc_provider or EksOidcProvider.of(
            cluster, self, functions=self.functions, roles=self.roles
        )
        """IAM OIDC provider of the cluster."""
        self.kubernetes_version = kubernetes_version or self.cluster.kubernetes_version
        self._rollout = {} if wait is None else {"RolloutTimeoutSeconds": str(int(wait))}
        self._layer = kubectl_layer
        self._namespaces = set(namespaces)
        self._creates_namespaces = False
        self.handler_role = handler_role
        """Role handed in for the functions made for this cluster, if any."""
        self.claims = AccountClaims.of(self, self.cluster)
        """Who binds which service account of the cluster."""
        self._claimant = f"{type(self).__name__} {self.node.path!r}"
        self._ids = set(_OWN_IDS)
        self._accounts: dict[str, ServiceAccount] = {}
        self._function: HandlerFunction | None = None
        self.refresh = {} if refresh is None else {"Refresh": refresh}
        """Property that lets a function look at everything anew."""
        self._kubernetes_group = kubernetes_group
        self._group_rules: dict[str, Callable[[], dict[str, list[Rule]]]] = {}
        self._access: list[TaggableResource] = []
        self._entries: dict[str, BoundEntry] = {}
        self._bindings = Construct(self, "Bindings")
        self._bound = Dependable.of(self._bindings)
        self._controllers = Construct(self, "Controllers")
        self._grants = DependencyGroup()

    @property
    def accounts(self) -> Mapping[str, ServiceAccount]:
        """The service accounts added so far, by `namespace/name`."""
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
        service_account: ServiceAccountIdentity | str,
        *,
        id: str | None = None,
        ownership: Ownership | str = Ownership.CREATE,
        restart: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        create_namespace: bool = False,
        force: bool = False,
        token_expiration: Duration | None = None,
        regional_sts: bool | None = None,
        helm_values_path: str = "serviceAccount",
        role_arn: str | None = None,
        **role: Unpack[RoleOptions],
    ) -> ServiceAccount:
        """Define a service account and the role that only it can assume.

        Args:
            service_account: `namespace/name`, or an identity.
            id: id of its construct below this one. Default: `namespace.name`.
            ownership: whose object it is. Default: ours, `CREATE`.
            restart: workloads to restart when their role changes, such as `deployment/api`, or `*`
                for all of the namespace that use the service account. Default: none.
            labels: more labels of the object, which no chart takes from us. Default: none.
            annotations: more annotations of the object, or with `HELM` in the chart's values.
                Default: none.
            create_namespace: whether to make the namespace if it is missing. It widens the
                function's access to the whole cluster. Default: no.
            force: with `ADOPT`, take annotations that another manager owns. Default: refuse.
            token_expiration: life of a token, 600 to 86,400 seconds. Default: the webhook's, a day.
            regional_sts: whether SDKs call the region's STS. Default: yes; with `ADOPT`, what the
                object says.
            helm_values_path: where the chart takes its service account from, with dots. Default:
                `serviceAccount`.
            role_arn: an existing role to bind instead of making one; it takes no option of a role
                but *audience*. Default: a role is made.
            role: see `RoleOptions`; the *audience* is that of the tokens too.

        Returns:
            The service account, its role, and what a chart needs. Pass it to any `grant_*` method,
            and to `node.add_dependency` of what needs it.

        Raises:
            InvalidInput: a rule of Kubernetes or IAM is broken; all faults are listed.
        """
        seconds, untimely = seconds_of(token_expiration, of="token_expiration")
        request, faults = ServiceAccountRequest.read(
            service_account,
            ownership=ownership,
            restart=restart,
            labels=labels,
            annotations=annotations,
            create_namespace=create_namespace,
            force=force,
            token_expiration=seconds,
            regional_sts=regional_sts,
            helm_values_path=helm_values_path,
        )
        faults += [*untimely, *self._taken_faults(id, request)]
        if create_namespace and self._kubernetes_group:
            faults.append(
                "create_namespace must go without kubernetes_group, got both; let whoever applies"
                " its RBAC make the namespace first"
            )
        if role_arn is not None:
            faults += _existing_role_faults(request, role_arn, role)
        if request is None or faults:
            raise InvalidInput(faults)

        id = id or _id_of(request.identity)  # noqa: A001 (as the argument)
        with withdrawn_if_refused(self, id):
            account = ServiceAccount(
                self, id, request=request, role_arn=role_arn, options=role, grants=self._grants
            )
            if request.ownership.is_applied:
                path = role.get("path") or self.roles.path or ""
                self._bind(request, account, path=PATH_CHARACTERS if role_arn else len(path))
        self.claims.take(request.identity, self._claimant)
        self._ids.add(id)
        self._accounts[str(request.identity)] = account
        return account

    def add_controller(
        self,
        spec: ControllerSpec,
        *,
        id: str | None = None,
        namespace: str | None = None,
        name: str | None = None,
        cluster_name: str | None = None,
        **options: Unpack[ServiceAccountOptions],
    ) -> Controller:
        """Define the service account of a controller, and the role that holds the least it needs.

        Args:
            spec: the controller and its scopes, of `irsa_stack.controllers`.
            id: id of the role's construct below this one, used once; needed for a second controller
                of a kind. Default: the class of *spec*.
            namespace: namespace that its chart is installed in. Default: that of *spec*.
            name: name of its service account. Default: that of *spec*.
            cluster_name: name of the cluster, where that of *cluster* is known at deploy only and
                policies are to be read at synth. Default: that of *cluster*.
            options: as for `add`. Default of *ownership*: `CREATE`, or `ADOPT` where the chart
                always makes the service account.

        Returns:
            The controller: grantable, with its role and `chart_values` for its chart.

        Raises:
            InvalidInput: a scope or an option breaks a rule; all faults are listed.
        """
        id = id or type(spec).__name__  # noqa: A001 (as the argument)
        refuse(self._taken_faults(id, None))
        with withdrawn_if_refused(self._controllers, id):
            return Controller(
                self._controllers,
                id,
                service_accounts=self,
                spec=spec,
                namespace=namespace,
                name=name,
                cluster_name=cluster_name,
                **options,
            )

    def _taken_faults(self, id: str | None, request: ServiceAccountRequest | None) -> Iterator[str]:
        if request is not None:
            yield from self.claims.faults(request.identity, self._claimant)
        if id in self._ids:
            yield f"id must be one that nothing in {self.node.path} has, got {id!r}; choose another"

    def _bind(self, request: ServiceAccountRequest, account: ServiceAccount, *, path: int) -> None:
        """Let the custom resource carry *account*; its role's path has *path* characters."""
        entry = BoundEntry(
            key=str(request.identity),
            role_arn=account.role_arn,
            role_arn_characters=ROLE_ARN_CHARACTERS + path,
            ownership=request.ownership,
            labels=request.labels,
            annotations={**request.annotations, **account.annotations},
            restart=request.restart,
            force=request.force,
            create_namespace=request.create_namespace,
        )
        refuse(size_faults(self._entries, entry))
        if self._function is None:
            self._define_binding()
        Dependable.implement(account, self._bound)
        self._entries[entry.key] = entry
        self._namespaces.add(request.identity.namespace)
        self._creates_namespaces |= request.create_namespace

    def _define_binding(self) -> None:
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

    def _define_function(self) -> HandlerFunction:
        function = HandlerFunction(
            self,
            "Binder",
            handler="service_accounts.on_event.handle",
            description="Binds service accounts to their roles",
            timeout=FUNCTION_SECONDS,
            service_timeout=SERVICE_TIMEOUT,
            functions=self.functions,
            roles=self.roles,
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
    """Return the tags that say which service account of which cluster a role is for."""
    return {
        "ServiceAccountName": identity.name,
        "ServiceAccountNamespace": identity.namespace,
        "ClusterName": cluster_name,
    }


def _define_role(
    account: ServiceAccount,
    accounts: ServiceAccounts,
    options: RoleOptions,
    grants: DependencyGroup,
) -> IrsaRole:
    given: RoleOptions = {
        **options,
        "path": options.get("path") or accounts.roles.path,
        "permissions_boundary": (
            options.get("permissions_boundary") or accounts.roles.permissions_boundary
        ),
        "tags": {
            **role_tags(account.identity, accounts.cluster.cluster_name),
            **(options.get("tags") or {}),
        },
    }
    return IrsaRole(
        account,
        # It has the logical id of the service account's construct, of which it is all there is.
        "Default",
        oidc_provider=accounts.oidc_provider,
        service_accounts=[account.identity],
        grants=grants,
        **given,
    )


def _id_of(identity: ServiceAccountIdentity) -> str:
    """Return a construct's id; a namespace has no dot, so `a-b` of `c` and `b-c` of `a` differ."""
    return f"{identity.namespace}.{identity.name}"


def _existing_role_faults(
    request: ServiceAccountRequest | None, role_arn: str, options: RoleOptions
) -> Iterator[str]:
    """Refuse what is no role, and options of a role that is made elsewhere."""
    yield from default_account_faults(
        [] if request is None else [request.identity],
        allowed=options.get("allow_default_service_account", False),
    )
    ours = ("audience", "allow_default_service_account")
    theirs = {name: value for name, value in options.items() if name not in ours}
    yield from existing_role_faults(role_arn, **theirs)


def _namespaces_faults(namespaces: Sequence[str]) -> Iterator[str]:
    if faults := no_list_faults(namespaces, of="namespaces"):
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
