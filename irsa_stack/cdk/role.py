"""IAM roles that only named service accounts can assume."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import ArnFormat, Aws, Duration, Resource, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, DependencyGroup, IValidation

from irsa_stack.cdk.durations import seconds_of
from irsa_stack.cdk.oidc_provider import EksOidcProvider, issuer_from_arn
from irsa_stack.cloudformation.deploy_time import TOKEN, is_deploy_time
from irsa_stack.cloudformation.policy_document import trust_document
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.iam import quotas
from irsa_stack.iam.arn import arn_faults, partition_of_region
from irsa_stack.iam.trust import (
    STS_AUDIENCE,
    default_account_faults,
    identities,
    listed,
    trust_statements,
)
from irsa_stack.kubernetes.identity import ServiceAccountIdentity


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Name the service accounts of one cluster that a role trusts.

    Args:
        oidc_provider: IAM OIDC provider of that cluster, in the role's account.
        service_accounts: identities, or `namespace/name`. Default: none.
        subject_patterns: `namespace/name` with `*` or `?` in the name. Default: none.
    """

    oidc_provider: iam.IOpenIdConnectProvider
    service_accounts: Sequence[ServiceAccountIdentity | str] = ()
    subject_patterns: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Keep what a generator gives once only."""
        object.__setattr__(self, "service_accounts", listed(self.service_accounts))
        object.__setattr__(self, "subject_patterns", listed(self.subject_patterns))


@jsii.implements(iam.IRole)
class IrsaRole(Resource):
    """Define an IAM role that only the named service accounts can assume.

    Synthesises one `AWS::IAM::Role`, with its trust policy in the open: a plain object when the
    issuer is known, else the same document in `Fn::Sub`. Pass the construct to any `grant_*`
    method, or wherever the CDK wants an `iam.IRole`; grants go to one `AWS::IAM::Policy`, made when
    the first is asked for.

    Args:
        oidc_provider: IAM OIDC provider of the cluster, in the role's account. Default: only those
            of *trusts*.
        service_accounts: identities, or `namespace/name`. Default: only *subject_patterns*.
        subject_patterns: `namespace/name` with `*` or `?` in the name: all such accounts, future
            ones too. Default: none.
        trusts: more clusters, one statement each; adding one never replaces the role. Default:
            none.
        audience: value of the `aud` claim. Default: `sts.amazonaws.com`, in every partition.
        role_name: 1 to 64 characters. Default: CloudFormation names the role.
        path: 1 to 512 characters with slashes at both ends. Default: `/`.
        permissions_boundary: ceiling on every grant. Default: no boundary.
        managed_policies: policies attached at definition. Default: none.
        inline_policies: documents by name, as `iam.PolicyDocument` or plain JSON. Default: none.
        max_session_duration: 1 to 12 hours. Default: 1 hour, set by IAM.
        description: at most 1,000 characters. Default: none.
        tags: tags of the role. A role of one account also has `ServiceAccountName` and
            `ServiceAccountNamespace`, unless given here. Default: those two.
        grants: group that policies of grants, and attached ones, join for whatever must wait for
            them. Default: nothing waits.
        trust_policy_characters: the account's quota L-C07B4B0D, 2,048 to 8,192. Default: 2,048.
        allow_default_service_account: whether the account named `default` may have the role; else
            no pattern lets it in. Default: no.

    Raises:
        InvalidInput: a rule of Kubernetes or IAM is broken; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import EksOidcProvider, IrsaRole
        >>> stack = cdk.Stack()
        >>> provider = EksOidcProvider(
        ...     stack, "OidcProvider", issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
        ... )
        >>> role = IrsaRole(stack, "Api", oidc_provider=provider, service_accounts=["apps/api"])
        >>> grant = cdk.aws_s3.Bucket(stack, "Bucket").grant_read(role)

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        oidc_provider: iam.IOpenIdConnectProvider | None = None,
        service_accounts: Sequence[ServiceAccountIdentity | str] = (),
        subject_patterns: Sequence[str] = (),
        trusts: Sequence[Trust] = (),
        audience: str = STS_AUDIENCE,
        role_name: str | None = None,
        path: str | None = None,
        permissions_boundary: iam.IManagedPolicy | None = None,
        managed_policies: Sequence[iam.IManagedPolicy] = (),
        inline_policies: Mapping[str, iam.PolicyDocument | Mapping[str, Any]] | None = None,
        max_session_duration: Duration | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        grants: DependencyGroup | None = None,
        trust_policy_characters: int = quotas.TRUST_POLICY_CHARACTERS,
        allow_default_service_account: bool = False,
    ) -> None:
        super().__init__(scope, id, physical_name=role_name)
        given: Sequence[object] = listed(trusts)
        own = (
            []
            if oidc_provider is None
            else [
                Trust(
                    oidc_provider=oidc_provider,
                    service_accounts=service_accounts,
                    subject_patterns=subject_patterns,
                )
            ]
        )
        every = [*own, *(trust for trust in given if isinstance(trust, Trust))]
        self._scope = scope
        # Alone below its parent, a role has its parent's name.
        label = scope.node.id if id == "Default" else id
        self._label = label
        self._audience = audience
        self._trust_policy_characters = trust_policy_characters
        self._allow_default = allow_default_service_account
        self._path = path or "/"
        # Of a name that the CDK makes if need be, only the base class knows whether it does.
        self._given_name = self._physical_name if is_deploy_time(role_name) else role_name

        documents = dict(inline_policies or {})
        self._inline_policies = _as_json(documents)
        all_tags = {**_account_tags(every), **(tags or {})}
        seconds, untimely = seconds_of(max_session_duration, of=f"max_session_duration of {label}")
        self._trusted, faults = self._trusting(_Trusted(), every)
        faults += [
            *untimely,
            *_kind_faults(label, given, permissions_boundary, managed_policies),
            *quotas.role_name_faults(role_name, of=f"role_name of {label}"),
            *quotas.path_faults(path, of=f"path of {label}"),
            *quotas.description_faults(description, of=f"description of {label}"),
            *quotas.session_faults(seconds, of=f"max_session_duration of {label}"),
            *quotas.tags_faults(len(all_tags), of=label, own=len(all_tags) - len(tags or {})),
            *quotas.inline_policies_faults(self._inline_policies, role=label),
        ]
        if oidc_provider is None and (service_accounts or subject_patterns):
            faults.append(
                "oidc_provider must be given with service_accounts, got none; pass the cluster's"
                " EksOidcProvider"
            )
        if not own and not given:
            faults.append("oidc_provider must be given, got none; pass it, or trusts=[...]")
        refuse(faults)

        accounts = [identity for trust in every for identity in identities(trust.service_accounts)]
        self.service_accounts: tuple[ServiceAccountIdentity, ...] = tuple(accounts)
        """The accounts trusted by name at definition."""
        self._managed_policy_arns = [policy.managed_policy_arn for policy in managed_policies]
        self._resource = _RoleResource(
            self,
            "Resource",
            assume_role_policy_document=self._trusted.document,
            description=description,
            role_name=self._given_name,
            path=path,
            permissions_boundary=(
                None if permissions_boundary is None else permissions_boundary.managed_policy_arn
            ),
            managed_policy_arns=self._managed_policy_arns or None,
            # Plain maps: an object each would cost a third of the time of the whole role.
            policies=[
                {"policyName": name, "policyDocument": document}
                for name, document in documents.items()
            ]
            or None,
            max_session_duration=seconds,
            tags=[{"key": key, "value": value} for key, value in all_tags.items()] or None,
        )
        self._attached: list[iam.Policy] = []
        self._granted: list[iam.Policy] = []
        self._grants = grants
        self._arn: str | None = None
        self._grantee: iam.IRole | None = None
        self._resource.when_changed = self._check_trust

    @property
    def trust_policy(self) -> dict[str, Any]:
        """The trust policy as a document; strings may hold deploy-time values."""
        return self._trusted.policy

    @property
    def role_arn(self) -> str:
        """ARN for the service account's role annotation (known at deploy)."""
        if self._arn is None:
            self._arn = self._resource.attr_arn
            if self._given_name is not None:
                # In another account there is no such resource to refer to, but its name is known.
                self._arn = self._get_resource_arn_attribute(
                    self._arn,
                    service="iam",
                    region="",
                    resource=f"role{self._path}{self._given_name}",
                    arn_format=ArnFormat.NO_RESOURCE_NAME,
                )
        return self._arn

    @property
    def role_name(self) -> str:
        """Name of the role (known at deploy)."""
        return self._resource.ref

    @property
    def role_ref(self) -> Any:  # noqa: ANN401 (an experimental type of the CDK)
        """Reference to the role, for the CDK's own use."""
        return {"roleName": self.role_name, "roleArn": self.role_arn}

    @property
    def role(self) -> iam.IRole:
        """This role, which is what the CDK calls a role."""
        return self

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Principal that `grant_*` methods add permissions to."""
        return self._as_grantee()

    @property
    def assume_role_action(self) -> str:
        """Action of a statement that lets this role assume another."""
        return "sts:AssumeRole"

    @property
    def policy_fragment(self) -> iam.PrincipalPolicyFragment:
        """How a resource policy names this role."""
        return self._as_grantee().policy_fragment

    @property
    def principal_account(self) -> str | None:
        """Account of this role."""
        return self._as_grantee().principal_account

    @property
    def assume_role_policy(self) -> NoReturn:
        """Refused: a statement added there would be lost.

        Raises:
            AttributeError: always; *add_trust* is the way.
        """
        raise AttributeError(
            f"trust policy of {self._label} must be changed with add_trust(Trust(...)), got"
            " assume_role_policy; a statement added there would not reach the template"
        )

    def add_trust(self, trust: Trust) -> None:
        """Trust service accounts of one more cluster, in a statement of their own.

        Raises:
            InvalidInput: the cluster is trusted already, or a rule is broken; the role is as it
                was.
        """
        trusted, faults = self._trusting(self._trusted, [trust])
        refuse(faults)
        self._trusted = trusted
        self._resource.assume_role_policy_document = trusted.document

    def add_managed_policy(self, policy: iam.IManagedPolicy) -> None:
        """Attach one more managed policy."""
        self._managed_policy_arns.append(policy.managed_policy_arn)
        self._resource.managed_policy_arns = self._managed_policy_arns

    def attach_inline_policy(self, policy: iam.Policy) -> None:
        """Attach a policy that stands alone, beside the one that grants go to."""
        if policy in self._attached:
            return
        self._attached.append(policy)
        policy.attach_to_role(self)
        self._account_checked()
        if self._grants is not None and policy.stack is self.stack:
            self._grants.add(policy)

    def add_to_policy(self, statement: iam.PolicyStatement) -> None:
        """Add one more permission, in the policy that grants go to."""
        self.add_to_principal_policy(statement)

    def add_to_principal_policy(
        self, statement: iam.PolicyStatement
    ) -> iam.AddToPrincipalPolicyResult:
        """Add one more permission, as the CDK asks for it."""
        added = self._as_grantee().add_to_principal_policy(statement)
        if isinstance(added.policy_dependable, iam.Policy):
            self._granted = [added.policy_dependable]
        return added

    def grant(self, grantee: iam.IPrincipal, *actions: str) -> iam.Grant:
        """Let *grantee* do *actions* with this role."""
        return self._as_grantee().grant(grantee, *actions)

    def grant_pass_role(self, grantee: iam.IPrincipal) -> iam.Grant:
        """Let *grantee* hand this role to an AWS service."""
        return self._as_grantee().grant_pass_role(grantee)

    def grant_assume_role(self, grantee: iam.IPrincipal) -> NoReturn:  # noqa: ARG002 (the CDK's)
        """Refused: only service accounts assume this role.

        Raises:
            AttributeError: always; *add_trust* is the way.
        """
        raise AttributeError(
            f"trust policy of {self._label} must name service accounts only, got"
            " grant_assume_role; trust accounts with add_trust(Trust(...)), and give others a role"
            " of their own"
        )

    def _as_grantee(self) -> iam.IRole:
        """Return the role as the CDK imports roles; that costs, so only grants make it."""
        if self._grantee is None:
            if not self._path.startswith("/"):
                refuse(
                    [
                        f"path of {self._label} must start with '/' for grants, got"
                        f" {self._path!r}, known at deploy only; write the slashes out, or use"
                        " inline_policies"
                    ]
                )
            account = self._account_checked()
            name = self._get_resource_name_attribute(self._resource.ref)
            # By ARN with the path spelt out: with a path, the name is not the ARN's second part.
            # With the stack's own account: for another, resource policies would have to grant.
            self._grantee = iam.Role.from_role_arn(
                self, "Role", f"arn:{Aws.PARTITION}:iam::{account}:role{self._path}{name}"
            )
            if self._grants is not None:
                self._grants.add(self._grantee)
        return self._grantee

    def _account_checked(self) -> str:
        """Return the account, and see to it that what the role is granted is checked."""
        checks = _Checks.of(self._scope)
        checks.grants(self, self._granted_documents, self._inline_faults)
        return checks.account

    def _check_trust(self) -> None:
        """See to it that the trust policy is checked, now that something may have changed it."""
        _Checks.of(self._scope).trust(self, self._trust_faults)

    def _trust_faults(self) -> list[str]:
        """Say what changed the trust policy behind our back: an aspect, or an override."""
        found: object = self._resource.assume_role_policy_document
        changes = [*self._resource.overridden]
        if found != self._trusted.document:
            changes.append("another assume_role_policy_document")
        return [
            f"trust policy of {self._label} must be the one that was asked for, got {change};"
            " change it with add_trust(Trust(...)), and give others a role of their own"
            for change in changes
        ]

    def _granted_documents(self) -> list[iam.PolicyDocument]:
        if self._grantee is not None and not self._granted:
            children = self._grantee.node.children
            self._granted = [child for child in children if isinstance(child, iam.Policy)]
        return [policy.document for policy in [*self._attached, *self._granted]]

    def _inline_faults(self, granted: Sequence[Mapping[str, Any]]) -> list[str]:
        documents = {f"granted {position}": found for position, found in enumerate(granted)}
        return list(
            quotas.inline_policies_faults({**self._inline_policies, **documents}, role=self._label)
        )

    def _trusting(
        self, trusted: "_Trusted", trusts: Sequence[Trust]
    ) -> tuple["_Trusted", list[str]]:
        """Return *trusted* with *trusts* added, and what is wrong with that."""
        faults: list[str] = []
        for trust in trusts:
            try:
                trusted = self._adding(trusted, trust)
            except InvalidInput as error:
                faults.extend(error.faults)
        faults += quotas.trust_policy_size_faults(
            trusted.policy,
            role=self._label,
            allowed=self._trust_policy_characters,
            longest=trusted.longest,
        )
        return trusted, faults

    def _adding(self, trusted: "_Trusted", trust: Trust) -> "_Trusted":
        provider_arn, issuer = provider_facts(trust.oidc_provider)
        if issuer in trusted.issuers:
            refuse(
                [
                    f"trusts must name each issuer once, got {issuer!r} twice; put its service"
                    " accounts into one Trust"
                ]
            )
        refuse(_place_faults(provider_arn, self))
        statements = trust_statements(
            provider_arn=provider_arn,
            issuer=issuer,
            service_accounts=trust.service_accounts,
            subject_patterns=trust.subject_patterns,
            audience=self._audience,
            without_default=not self._allow_default,
        )
        refuse(
            default_account_faults(identities(trust.service_accounts), allowed=self._allow_default)
        )
        given = TOKEN.findall(self._audience)
        if not (isinstance(trust.oidc_provider, EksOidcProvider) and trust.oidc_provider.is_ours):
            given += TOKEN.findall(f"{provider_arn} {issuer}")
        number = str(len(trusted.issuers) + 1) if trusted.issuers else ""
        return _Trusted(
            statements=(*trusted.statements, *statements),
            issuers=(*trusted.issuers, issuer),
            given=(*trusted.given, *given),
            names={**trusted.names, provider_arn: f"Provider{number}", issuer: f"Issuer{number}"},
            longest={**trusted.longest, **quotas.longest_provider_tokens(provider_arn, issuer)},
        )


@dataclass(frozen=True, kw_only=True)
class _Trusted:
    """Whom a role trusts, and what its trust policy needs to say so."""

    statements: Sequence[dict[str, Any]] = ()
    issuers: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[str] = ()
    longest: Mapping[str, int] = field(default_factory=dict)

    @property
    def policy(self) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": list(self.statements)}

    @property
    def document(self) -> dict[str, Any]:
        return trust_document(self.policy, self.names, up_to_quote=self.given)


class _RoleResource(iam.CfnRole):
    """A role that says when its trust policy may have changed; to ask each would cost too much."""

    when_changed: Callable[[], None] | None = None
    overridden: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "assume_role_policy_document" and self.when_changed is not None:
            self.when_changed()

    def add_override(self, path: str, value: object) -> None:
        """Override as the CDK does; every other kind of override comes through here."""
        if _TRUST_PATH.match(path):
            self.overridden += (f"an override of {path}",)
            if self.when_changed is not None:
                self.when_changed()
        super().add_override(path, value)


_TRUST_PATH = re.compile(r"(Type|Properties|Properties\.AssumeRolePolicyDocument(\..*)?)$")


@jsii.implements(IValidation)
class _Checks:
    """Check the roles of a stack, once all is known and before it is written.

    Their trust policies must be what was asked for, and what they were granted must fit.

    One for all of them: each call into Node costs as much as a twentieth of a role.
    """

    def __init__(self, stack: Stack) -> None:
        self.account = stack.account
        self._stack = stack
        self._trusts: dict[IrsaRole, Callable[[], list[str]]] = {}
        self._roles: dict[IrsaRole, tuple[_Documents, _Faults]] = {}
        stack.node.add_validation(self)

    @classmethod
    def of(cls, scope: Construct) -> "_Checks":
        """Return that of the stack that *scope* is in, defining it at the first call."""
        if scope not in _CHECKS:
            stack = Stack.of(scope)
            if stack not in _CHECKS:
                _CHECKS[stack] = cls(stack)
            _CHECKS[scope] = _CHECKS[stack]
        return _CHECKS[scope]

    def trust(self, role: IrsaRole, faults: Callable[[], list[str]]) -> None:
        """Check the trust policy of *role* for its *faults*."""
        self._trusts[role] = faults

    def grants(self, role: IrsaRole, documents: "_Documents", faults: "_Faults") -> None:
        """Check the *documents* of *role* for their *faults*."""
        self._roles[role] = documents, faults

    def validate(self) -> list[str]:
        """Return the faults of all roles."""
        roles = self._roles.values()
        granted = self._stack.resolve([documents() for documents, _ in roles])
        return [
            *(fault for faults in self._trusts.values() for fault in faults()),
            *(
                fault
                for (_, faults), documents in zip(roles, granted, strict=True)
                for fault in faults([quotas.longest_document(document) for document in documents])
            ),
        ]


_Documents = Callable[[], list[iam.PolicyDocument]]
_Faults = Callable[[Sequence[Mapping[str, Any]]], list[str]]
_CHECKS: "WeakKeyDictionary[Construct, _Checks]" = WeakKeyDictionary()


def provider_facts(oidc_provider: iam.IOpenIdConnectProvider) -> tuple[str, str]:
    """Return the ARN and the issuer of a provider of ours, of the CDK's, or imported.

    Raises:
        InvalidInput: it is the provider's ARN, or none.
    """
    given: object = oidc_provider
    if given is None or isinstance(given, str):
        refuse(
            [
                f"oidc_provider must be an IAM OIDC provider, got {oidc_provider!r}; write"
                " EksOidcProvider.from_issuer_url(...)"
            ]
        )
    arn = oidc_provider.open_id_connect_provider_arn
    if isinstance(oidc_provider, EksOidcProvider):
        return arn, oidc_provider.issuer
    # The CDK's own issuer attribute splits twice; from the ARN it is one expression.
    return arn, issuer_from_arn(arn)


def _place_faults(provider_arn: str, scope: Resource) -> Iterator[str]:
    """Refuse a provider that the role could never trust: of another partition or account."""
    _, partition, _, _, account, *_ = [*provider_arn.split(":", 5), *[""] * 5]
    if (is_deploy_time(partition) or not partition) and (is_deploy_time(account) or not account):
        return
    stack = scope.stack
    region, own_account = stack.region, stack.account
    yield from arn_faults(
        provider_arn,
        "oidc-provider",
        of="provider_arn",
        partition=None if is_deploy_time(region) else partition_of_region(region),
        account=None if is_deploy_time(own_account) else own_account,
    )


def _account_tags(trusts: Sequence[Trust]) -> dict[str, str]:
    """Return the tags that say which account a role is for, if it is for one."""
    try:
        accounts = {one for trust in trusts for one in identities(trust.service_accounts)}
    except InvalidInput:
        return {}  # refused by its own name
    if len(accounts) != 1 or any(trust.subject_patterns for trust in trusts):
        return {}
    [account] = accounts
    return {"ServiceAccountName": account.name, "ServiceAccountNamespace": account.namespace}


def _kind_faults(
    role: str, trusts: object, boundary: object, managed_policies: object
) -> Iterator[str]:
    """Refuse text and plain values where objects are wanted; they would fail without a word."""
    for trust in trusts if isinstance(trusts, tuple) else [trusts]:
        if not isinstance(trust, Trust):
            yield f"trusts of {role} must be Trust objects, got {trust!r}; write Trust(...)"
    policies = (
        managed_policies if isinstance(managed_policies, list | tuple) else [managed_policies]
    )
    for of, policy in (
        ("permissions_boundary", boundary),
        *(("managed_policies", policy) for policy in policies),
    ):
        if isinstance(policy, str):
            yield (
                f"{of} of {role} must be an iam.IManagedPolicy, got {policy!r}; write"
                " iam.ManagedPolicy.from_managed_policy_arn(...)"
            )


def _as_json(
    documents: Mapping[str, iam.PolicyDocument | Mapping[str, Any]],
) -> dict[str, Mapping[str, Any]]:
    return {
        name: document if isinstance(document, Mapping) else document.to_json()
        for name, document in documents.items()
    }
