"""The service accounts of an environment."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.environment.values import (
    AccountName,
    Namespace,
    PolicyArn,
    RoleArn,
    RoleName,
    checked,
    matching,
)
from irsa_stack.faults import refuse
from irsa_stack.iam.arn import existing_role_faults
from irsa_stack.iam.service_reference import (
    action_faults,
    condition_faults,
    resource_faults,
)
from irsa_stack.iam.trust import default_account_faults
from irsa_stack.kubernetes.binding_rules import binding_faults
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.kubernetes.service_account_manifest import token_expiration_faults


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


class ServiceAccountSettings(Part):
    """An application's service account."""

    namespace: Namespace
    """Its namespace."""
    name: AccountName
    """Its name."""
    ownership: Literal["CREATE", "ADOPT", "HELM", "NONE"] = "CREATE"
    """Whose object it is."""
    managed_policies: list[PolicyArn] = Field(default_factory=list)
    """ARNs of policies."""
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
    role_arn: RoleArn | None = None
    """An existing role, instead of one made here."""
    allow_default_service_account: bool = False
    """Whether the account named `default` is meant."""
    review_note: Annotated[str, Field(min_length=10)] | None = None
    """Why its AWS managed policies and wildcards are right; without it they fail the review."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *default_account_faults([self.identity], allowed=self.allow_default_service_account),
            *binding_faults(
                self.ownership,
                force=self.force,
                create_namespace=self.create_namespace,
                restart=self.restart,
            ),
        ]
        if self.role_arn is not None:
            faults += existing_role_faults(
                self.role_arn,
                managed_policies=self.managed_policies,
                statements=self.statements,
                role_name=self.role_name,
            )
        refuse(faults)
        return self

    @property
    def identity(self) -> ServiceAccountIdentity:
        """Namespace and name as one."""
        return ServiceAccountIdentity(self.namespace, self.name)


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
