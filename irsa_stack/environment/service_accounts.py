"""The service accounts of an environment."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.environment.values import (
    AccountName,
    Namespace,
    PolicyArn,
    RoleArn,
    RoleName,
    RolePath,
    TagMap,
    checked,
    matching,
)
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.iam import quotas
from irsa_stack.iam.arn import existing_role_faults
from irsa_stack.iam.issuer import issuer_url_faults
from irsa_stack.iam.quotas import managed_policies_faults
from irsa_stack.iam.service_reference import (
    action_faults,
    condition_faults,
    resource_faults,
)
from irsa_stack.iam.trust import default_account_faults
from irsa_stack.kubernetes.binding_rules import binding_faults
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.kubernetes.service_account_manifest import metadata_faults, token_expiration_faults


def _identity_faults(text: str) -> Iterator[str]:
    try:
        ServiceAccountIdentity.parse(text)
    except InvalidInput as error:
        yield from error.faults


class Statement(Part):
    """A permission of a role."""

    actions: list[
        Annotated[
            str, matching(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", "s3:GetObject"), checked(action_faults)
        ]
    ] = Field(min_length=1)
    """IAM actions."""
    resources: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    """ARNs."""
    conditions: dict[str, dict[str, str | list[str]]] = Field(default_factory=dict)
    """IAM conditions by operator."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        refuse(
            [
                *resource_faults(self.actions, self.resources),
                *(
                    f"conditions.{'.'.join(place)} {fault}"
                    for place, fault in condition_faults(self.conditions, self.actions)
                ),
            ]
        )
        return self


class ClusterTrust(Part):
    """Service accounts of one more cluster that may assume a role."""

    issuer_url: Annotated[str, checked(issuer_url_faults)]
    """OpenID Connect issuer URL of that cluster; IAM must have its provider in this AWS account."""
    service_accounts: list[Annotated[str, checked(_identity_faults)]] = Field(default_factory=list)
    """Its service accounts, as namespace/name."""
    subject_patterns: list[str] = Field(default_factory=list)
    """Its service accounts, as namespace/name with `*` or `?` in the name."""


class ServiceAccountSettings(Part):
    """An application's service account."""

    namespace: Namespace
    """Its namespace."""
    name: AccountName
    """Its name."""
    ownership: Literal["CREATE", "ADOPT", "HELM", "NONE"] = "CREATE"
    """Whose object it is."""
    managed_policies: Annotated[list[PolicyArn], checked(managed_policies_faults)] = Field(
        default_factory=list
    )
    """ARNs of policies, at most 20; IAM's quota is 10 unless it is raised."""
    statements: list[Statement] = Field(default_factory=list)
    """Permissions of its role."""
    restart: list[str] = Field(default_factory=list)
    """Workloads to restart when the role changes."""
    force: bool = False
    """With ADOPT, whether to take annotations that another tool owns, such as eksctl's."""
    create_namespace: bool = False
    """Whether to make its namespace if it is missing; then the function that binds the accounts
    needs to be cluster admin."""
    token_expiration: Annotated[int, checked(token_expiration_faults)] | None = None
    """Seconds that a token lives, 600 to 86400."""
    role_name: RoleName | None = None
    """Name of its role. Default: CloudFormation's."""
    path: RolePath | None = None
    """Path of its role. Default: `role_path`."""
    permissions_boundary: PolicyArn | None = None
    """ARN of the ceiling on its role. Default: that of the file."""
    max_session_duration: Annotated[int, checked(quotas.session_faults)] | None = None
    """Seconds that a session of its role lives, 3600 to 43200. Default: 3600."""
    description: Annotated[str, checked(quotas.description_faults)] | None = None
    """Description of its role."""
    tags: TagMap = Field(default_factory=dict)
    """More tags of its role."""
    subject_patterns: list[str] = Field(default_factory=list)
    """More accounts of this cluster that may assume the role, as namespace/name with `*` or `?` in
    the name: future ones too."""
    trusts: list[ClusterTrust] = Field(default_factory=list)
    """Accounts of more clusters that may assume the role."""
    audience: Annotated[str, Field(min_length=1)] = "sts.amazonaws.com"
    """Audience of its tokens; the cluster's OIDC provider must have it among its client ids."""
    regional_sts: bool | None = None
    """Whether SDKs call the STS of the region. Default: yes; with ADOPT what the object says."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels of the object."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """More annotations of the object, or with HELM in the chart's values."""
    role_arn: RoleArn | None = None
    """An existing role, instead of one made here."""
    allow_default_service_account: bool = False
    """Whether the account named `default` is meant."""
    review_note: Annotated[str, Field(min_length=10)] | None = None
    """Why its AWS managed policies and wildcards are right; without it they fail the review."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *metadata_faults(labels=self.labels, annotations=self.annotations),
            *default_account_faults([self.identity], allowed=self.allow_default_service_account),
            *binding_faults(
                self.ownership,
                force=self.force,
                create_namespace=self.create_namespace,
                restart=self.restart,
                labels=self.labels,
                annotations=self.annotations,
            ),
        ]
        if self.role_arn is not None:
            options = {name: getattr(self, name) for name in sorted(_OF_A_ROLE)}
            faults += existing_role_faults(self.role_arn, **options)
        refuse(faults)
        return self

    @property
    def identity(self) -> ServiceAccountIdentity:
        """Namespace and name as one."""
        return ServiceAccountIdentity(self.namespace, self.name)


_OF_A_ROLE = {
    "managed_policies",
    "statements",
    "role_name",
    "path",
    "permissions_boundary",
    "max_session_duration",
    "description",
    "tags",
    "subject_patterns",
    "trusts",
}


def _names_once(raw: object) -> object:
    """Refuse one account twice, before the accounts themselves are read."""
    if isinstance(raw, list):
        named = [
            f"{item.get('namespace')}/{item.get('name')}" for item in raw if isinstance(item, dict)
        ]
        refuse(
            f"must name each account once, got {name!r} twice; remove one"
            for name in sorted({name for name in named if named.count(name) > 1})
        )
    return raw


ServiceAccountList = Annotated[list[ServiceAccountSettings], BeforeValidator(_names_once)]
