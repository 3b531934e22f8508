"""IAM roles that only named service accounts can assume."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import jsii
from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, DependencyGroup

from irsa_stack import budgets
from irsa_stack.arn import arn_faults, partition_of_region
from irsa_stack.deploy_time import is_deploy_time
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.identity import ServiceAccountIdentity
from irsa_stack.oidc_provider import EksOidcProvider, issuer_from_arn
from irsa_stack.trust import STS_AUDIENCE, default_account_faults, identities, trust_statements
from irsa_stack.trust_document import trust_document


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


@jsii.implements(iam.IGrantable)
class IrsaRole(Construct):
    """Define an IAM role that only the named service accounts can assume.

    Synthesises one `AWS::IAM::Role`, with its trust policy in the open: a plain object when the
    issuer is known, else the same document in `Fn::Sub`. Pass the construct to any `grant_*`
    method; grants go to one `AWS::IAM::Policy`, made when the first is asked for.

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
        description: at most 1,000 characters. Default: the accounts it is for.
        tags: tags of the role. Default: the account's name and namespace.
        grants: group that the policies of grants join, for whatever must wait for them. Default:
            nothing waits.
        trust_policy_characters: the account's quota L-C07B4B0D, 2,048 to 8,192. Default: 2,048.
        allow_default_service_account: whether the account named `default` may have the role.

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
        trust_policy_characters: int = budgets.TRUST_POLICY_CHARACTERS,
        allow_default_service_account: bool = False,
    ) -> None:
        super().__init__(scope, id)
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
        self._label = id if role_name is None else role_name
        self._audience = audience
        self._trust_policy_characters = trust_policy_characters
        self._allow_default = allow_default_service_account
        self._statements: list[dict[str, Any]] = []
        self._issuers: list[str] = []
        self._longest: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._path = path or "/"

        documents = dict(inline_policies or {})
        faults = [
            *self._trust_all([*own, *trusts]),
            *budgets.role_name_faults(role_name),
            *budgets.path_faults(path),
            *budgets.description_faults(description),
            *budgets.session_faults(
                None if max_session_duration is None else max_session_duration.to_seconds()
            ),
            *budgets.tags_faults(len(tags or {}), of=self._label),
            *_inline_faults(documents, self._label),
        ]
        if oidc_provider is None and (service_accounts or subject_patterns):
            faults.append(
                "oidc_provider must be given with service_accounts, got none; pass the cluster's"
                " EksOidcProvider"
            )
        if not own and not trusts:
            faults.append("oidc_provider must be given, got none; pass it, or trusts=[...]")
        refuse(faults)

        accounts = [
            identity for trust in [*own, *trusts] for identity in identities(trust.service_accounts)
        ]
        self.service_accounts: tuple[ServiceAccountIdentity, ...] = tuple(accounts)
        """The accounts trusted by name at definition."""
        self._resource = iam.CfnRole(
            self,
            "Resource",
            assume_role_policy_document=trust_document(self.trust_policy, self._names),
            description=description,
            role_name=role_name,
            path=path,
            permissions_boundary=(
                None if permissions_boundary is None else permissions_boundary.managed_policy_arn
            ),
            managed_policy_arns=[policy.managed_policy_arn for policy in managed_policies] or None,
            # Plain maps: an object each would cost a third of the time of the whole role.
            policies=[
                {"policyName": name, "policyDocument": document}
                for name, document in documents.items()
            ]
            or None,
            max_session_duration=(
                None if max_session_duration is None else max_session_duration.to_seconds()
            ),
            tags=[{"key": key, "value": value} for key, value in (tags or {}).items()] or None,
        )
        self._managed_policy_arns = [policy.managed_policy_arn for policy in managed_policies]
        self._grants = grants
        self._role: iam.IRole | None = None

    @property
    def trust_policy(self) -> dict[str, Any]:
        """The trust policy as a document; strings may hold deploy-time values."""
        return {"Version": "2012-10-17", "Statement": list(self._statements)}

    @property
    def role_arn(self) -> str:
        """ARN for the service account's role annotation (known at deploy)."""
        return self._resource.attr_arn

    @property
    def role_name(self) -> str:
        """Name of the role (known at deploy)."""
        return self._resource.ref

    @property
    def role(self) -> iam.IRole:
        """The role as the CDK's interface, for properties that want one."""
        if self._role is None:
            # By ARN with the path spelt out: with a path, the name is not the ARN's second part.
            self._role = iam.Role.from_role_arn(
                self,
                "Role",
                f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role{self._path}{self._resource.ref}",
            )
            if self._grants is not None:
                self._grants.add(self._role)
        return self._role

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Principal that `grant_*` methods add permissions to."""
        return self.role.grant_principal

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
            InvalidInput: the cluster is trusted already, or a rule is broken.
        """
        refuse(self._trust_all([trust]))
        self._resource.assume_role_policy_document = trust_document(self.trust_policy, self._names)

    def add_managed_policy(self, policy: iam.IManagedPolicy) -> None:
        """Attach one more managed policy."""
        self._managed_policy_arns.append(policy.managed_policy_arn)
        self._resource.managed_policy_arns = self._managed_policy_arns

    def add_to_policy(self, statement: iam.PolicyStatement) -> None:
        """Add one more permission, in the policy that grants go to."""
        self.role.add_to_principal_policy(statement)

    def _trust_all(self, trusts: Sequence[Trust]) -> Iterator[str]:
        for trust in trusts:
            try:
                self._trust(trust)
            except InvalidInput as error:
                yield from error.faults
        yield from budgets.trust_policy_size_faults(
            self.trust_policy,
            role=self._label,
            allowed=self._trust_policy_characters,
            longest=self._longest,
        )

    def _trust(self, trust: Trust) -> None:
        provider_arn, issuer = provider_facts(trust.oidc_provider)
        if issuer in self._issuers:
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
        )
        refuse(
            default_account_faults(identities(trust.service_accounts), allowed=self._allow_default)
        )
        self._issuers.append(issuer)
        number = "" if len(self._issuers) == 1 else str(len(self._issuers))
        self._names |= {provider_arn: f"Provider{number}", issuer: f"Issuer{number}"}
        self._longest.update(budgets.longest_provider_tokens(provider_arn, issuer))
        self._statements.extend(statements)


def provider_facts(oidc_provider: iam.IOpenIdConnectProvider) -> tuple[str, str]:
    """Return the ARN and the issuer of a provider of ours, of the CDK's, or imported."""
    arn = oidc_provider.open_id_connect_provider_arn
    if isinstance(oidc_provider, EksOidcProvider):
        return arn, oidc_provider.issuer
    # The CDK's own issuer attribute splits twice; from the ARN it is one expression.
    return arn, issuer_from_arn(arn)


def _place_faults(provider_arn: str, scope: Construct) -> Iterator[str]:
    """Refuse a provider that the role could never trust: of another partition or account."""
    if not is_deploy_time(provider_arn):
        stack = Stack.of(scope)
        region, account = stack.region, stack.account
        yield from arn_faults(
            provider_arn,
            "oidc-provider",
            of="provider_arn",
            partition=None if is_deploy_time(region) else partition_of_region(region),
            account=None if is_deploy_time(account) else account,
        )


def _inline_faults(
    documents: Mapping[str, iam.PolicyDocument | Mapping[str, Any]], role: str
) -> Iterator[str]:
    plain = {
        name: document if isinstance(document, Mapping) else document.to_json()
        for name, document in documents.items()
    }
    yield from budgets.inline_policies_faults(plain, role=role)
