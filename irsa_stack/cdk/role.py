"""IAM roles that only named service accounts can assume."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NoReturn, Unpack

import jsii
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, DependencyGroup, IValidation

from irsa_stack.cdk.durations import seconds_of
from irsa_stack.cdk.oidc_provider import EksOidcProvider, issuer_from_arn
from irsa_stack.cdk.role_options import RoleOptions
from irsa_stack.cloudformation.deploy_time import TOKEN, is_deploy_time, is_placeholder
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


@jsii.implements(IValidation)
class IrsaRole(iam.Role):
    """Define an IAM role that only the named service accounts can assume.

    Synthesises one `AWS::IAM::Role`, with its trust policy in the open: a plain object when the
    issuer is known, else the same document in `Fn::Sub`. In all else it is a role of the CDK: pass
    it to any `grant_*` method, or wherever an `iam.IRole` is wanted.

    Args:
        oidc_provider: IAM OIDC provider of the cluster, in the role's account. Default: only those
            of *trusts*.
        service_accounts: identities, or `namespace/name`. Default: only *subject_patterns*.
        grants: group that policies of grants, and attached ones, join for whatever must wait for
            them. Default: nothing waits.
        options: see `RoleOptions`. A role of one service account also has the tags
            `ServiceAccountName` and `ServiceAccountNamespace`, unless *tags* say otherwise.

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
        grants: DependencyGroup | None = None,
        **options: Unpack[RoleOptions],
    ) -> None:
        # As all that its parent is, a role goes by the service account that it is for.
        self._label = ", ".join(map(str, service_accounts)) if id == "Default" else id
        self._options = options
        patterns = options.get("subject_patterns", ())
        given: Sequence[object] = listed(options.get("trusts", ()))
        own = (
            []
            if oidc_provider is None
            else [
                Trust(
                    oidc_provider=oidc_provider,
                    service_accounts=service_accounts,
                    subject_patterns=patterns,
                )
            ]
        )
        every = [*own, *(trust for trust in given if isinstance(trust, Trust))]
        self._trusted, faults = self._trusting(_Trusted(), every, scope)
        if oidc_provider is None and (service_accounts or patterns):
            faults.append(
                "oidc_provider must be given with service_accounts, got none; pass the cluster's"
                " EksOidcProvider"
            )
        if not own and not given:
            faults.append("oidc_provider must be given, got none; pass it, or trusts=[...]")
        documents = dict(options.get("inline_policies") or {})
        self._inline_policies = _as_json(documents)
        tags = {**_account_tags(every), **(options.get("tags") or {})}
        seconds, untimely = seconds_of(
            options.get("max_session_duration"), of=f"max_session_duration of {self._label}"
        )
        faults += [
            *untimely,
            *quotas.session_faults(seconds, of=f"max_session_duration of {self._label}"),
            *_option_faults(self._label, options, given, self._inline_policies, tags),
        ]
        refuse(faults)

        accounts = [identity for trust in every for identity in identities(trust.service_accounts)]
        self.service_accounts: tuple[ServiceAccountIdentity, ...] = tuple(accounts)
        """The service accounts trusted by name at definition."""
        self._grants = grants
        self._attached: list[iam.Policy] = []
        self._is_attaching = False
        self._is_checked = False
        boundary, policies = (
            options.get("permissions_boundary"),
            options.get("managed_policies", ()),
        )
        role_name, description = options.get("role_name"), options.get("description")
        super().__init__(
            scope,
            id,
            assumed_by=_somebody(),
            # The CDK refuses what its own lookup answers until the CLI has looked up.
            role_name=_once_looked_up(role_name),
            path=_once_looked_up(options.get("path")),
            permissions_boundary=boundary,
            managed_policies=list(policies) or None,
            max_session_duration=options.get("max_session_duration"),
            description=description,
        )
        self._managed_policy_arns = [policy.managed_policy_arn for policy in policies]
        # In place of the CDK's own, whose trust policy names whoever assumes the role.
        self.node.try_remove_child("Resource")
        self._resource = _RoleResource(
            self,
            "Resource",
            assume_role_policy_document=self._trusted.document,
            description=description,
            # Of a name that the CDK makes if need be, only the base class knows whether it does.
            role_name=self._physical_name if is_deploy_time(role_name) else role_name,
            path=options.get("path"),
            permissions_boundary=None if boundary is None else boundary.managed_policy_arn,
            managed_policy_arns=self._managed_policy_arns or None,
            # Plain maps: an object each would cost a third of the time of the whole role.
            policies=[
                {"policyName": name, "policyDocument": document}
                for name, document in documents.items()
            ]
            or None,
            max_session_duration=seconds,
            tags=[{"key": key, "value": value} for key, value in tags.items()] or None,
        )
        self._resource.when_changed = self._check

    @property
    def trust_policy(self) -> dict[str, Any]:
        """The trust policy as a document; strings may hold deploy-time values."""
        return self._trusted.policy

    def add_trust(self, trust: Trust) -> None:
        """Trust service accounts of one more cluster, in a statement of their own.

        Raises:
            InvalidInput: the cluster is trusted already, or a rule is broken; the role is as it
                was.
        """
        trusted, faults = self._trusting(self._trusted, [trust], self)
        refuse(faults)
        self._trusted = trusted
        self._resource.assume_role_policy_document = trusted.document

    @cached_property
    def assume_role_policy(self) -> iam.PolicyDocument | None:
        """What the CDK takes for the trust policy: a statement added there fails the synth."""
        self._check()  # whoever reads it may change it
        return super().assume_role_policy

    def add_managed_policy(self, policy: iam.IManagedPolicy) -> None:
        """Attach one more managed policy."""
        arn = policy.managed_policy_arn
        if arn not in self._managed_policy_arns:
            self._managed_policy_arns.append(arn)
            self._resource.managed_policy_arns = self._managed_policy_arns

    def attach_inline_policy(self, policy: iam.Policy) -> None:
        """Attach a policy, which whatever waits for the role's permissions waits for too."""
        if self._is_attaching or policy in self._attached:
            return  # the policy calls back
        self._is_attaching = True
        super().attach_inline_policy(policy)
        self._is_attaching = False
        self._attached.append(policy)
        node = policy.node
        is_below = node.scope is self
        # The CDK splits the policy of grants, and counts nothing else.
        if self._inline_policies or not (is_below and node.id == "DefaultPolicy"):
            self._check()
        if self._grants is not None and (is_below or policy.stack is self.stack):
            # The role itself stands for all that its policy of grants may overflow into.
            self._grants.add(self if is_below else policy)

    def grant_assume_role(self, identity: iam.IPrincipal) -> NoReturn:  # noqa: ARG002 (the CDK's)
        """Refused: only service accounts assume this role.

        Raises:
            AttributeError: always; *add_trust* is the way.
        """
        raise AttributeError(
            f"trust policy of {self._label} must name service accounts only, got"
            " grant_assume_role; trust accounts with add_trust(Trust(...)), and give others a role"
            " of their own"
        )

    def validate(self) -> list[str]:
        """Say what was done to the role since, and would be lost or fail at deploy."""
        changes = [*self._resource.overridden]
        if self._resource.assume_role_policy_document != self._trusted.document:
            changes.append("another assume_role_policy_document")
        policy = super().assume_role_policy
        if policy is None or policy.statement_count != 1:
            changes.append("a statement in assume_role_policy")
        granted = self.stack.resolve([one.document for one in self._attached])
        documents = {
            f"granted {position}": quotas.longest_document(document)
            for position, document in enumerate(granted)
        }
        return [
            *(
                f"trust policy of {self._label} must be the one that was asked for, got {change};"
                " change it with add_trust(Trust(...)), and give others a role of their own"
                for change in changes
            ),
            *quotas.inline_policies_faults(
                {**self._inline_policies, **documents}, role=self._label
            ),
        ]

    def _check(self) -> None:
        """Look at the role once more before the template is written; to do so always costs much."""
        if not self._is_checked:
            self._is_checked = True
            self.node.add_validation(self)

    def _trusting(
        self, trusted: "_Trusted", trusts: Sequence[Trust], scope: Construct
    ) -> tuple["_Trusted", list[str]]:
        """Return *trusted* with *trusts* added, and what is wrong with that."""
        faults: list[str] = []
        for trust in trusts:
            try:
                trusted = trusted.with_trust(trust, self._options, scope)
            except InvalidInput as error:
                faults.extend(error.faults)
        faults += quotas.trust_policy_size_faults(
            trusted.policy,
            role=self._label,
            allowed=self._options.get("trust_policy_characters", quotas.TRUST_POLICY_CHARACTERS),
            longest=trusted.longest,
        )
        return trusted, faults


@cache
def _somebody() -> iam.IPrincipal:
    """Return the one principal that the CDK wants; the trust policy in the template is another."""
    return iam.WebIdentityPrincipal("replaced")


class _RoleResource(iam.CfnRole):
    """A role that says when its trust policy may have changed."""

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


def _once_looked_up(value: str | None) -> str | None:
    return None if is_placeholder(value) else value


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

    def with_trust(self, trust: Trust, options: RoleOptions, scope: Construct) -> "_Trusted":
        """Return the same with *trust*, for a role in *scope*.

        Raises:
            InvalidInput: its issuer is trusted already, or a rule is broken.
        """
        provider_arn, issuer = provider_facts(trust.oidc_provider)
        if issuer in self.issuers:
            raise InvalidInput(
                [
                    f"trusts must name each issuer once, got {issuer!r} twice; put its service"
                    " accounts into one Trust"
                ]
            )
        refuse(_place_faults(provider_arn, scope))
        audience = options.get("audience", STS_AUDIENCE)
        allow_default = options.get("allow_default_service_account", False)
        statements = trust_statements(
            provider_arn=provider_arn,
            issuer=issuer,
            service_accounts=trust.service_accounts,
            subject_patterns=trust.subject_patterns,
            audience=audience,
            without_default=not allow_default,
        )
        refuse(default_account_faults(identities(trust.service_accounts), allowed=allow_default))
        given = TOKEN.findall(audience)
        if not (isinstance(trust.oidc_provider, EksOidcProvider) and trust.oidc_provider.is_ours):
            given += TOKEN.findall(f"{provider_arn} {issuer}")
        number = str(len(self.issuers) + 1) if self.issuers else ""
        return _Trusted(
            statements=(*self.statements, *statements),
            issuers=(*self.issuers, issuer),
            given=(*self.given, *given),
            names={**self.names, provider_arn: f"Provider{number}", issuer: f"Issuer{number}"},
            longest={**self.longest, **quotas.longest_provider_tokens(provider_arn, issuer)},
        )


def _option_faults(
    role: str,
    options: RoleOptions,
    trusts: object,
    inline_policies: Mapping[str, Mapping[str, Any]],
    tags: Mapping[str, str],
) -> Iterator[str]:
    """Say what IAM would refuse of the options of *role*."""
    yield from _kind_faults(
        role, trusts, options.get("permissions_boundary"), options.get("managed_policies", ())
    )
    yield from quotas.role_name_faults(options.get("role_name"), of=f"role_name of {role}")
    yield from quotas.path_faults(options.get("path"), of=f"path of {role}")
    yield from quotas.description_faults(options.get("description"), of=f"description of {role}")
    own = len(tags) - len(options.get("tags") or {})
    yield from quotas.tags_faults(len(tags), of=role, own=own)
    yield from quotas.inline_policies_faults(inline_policies, role=role)


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


def _place_faults(provider_arn: str, scope: Construct) -> Iterator[str]:
    """Refuse a provider that the role could never trust: of another partition or account."""
    _, partition, _, _, account, *_ = [*provider_arn.split(":", 5), *[""] * 5]
    if (is_deploy_time(partition) or not partition) and (is_deploy_time(account) or not account):
        return
    stack = Stack.of(scope)
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
