"""What may be said of a role: of one, and of all that a construct makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from aws_cdk import Duration
    from aws_cdk import aws_iam as iam

    from irsa_stack.cdk.role import Trust


class RoleOptions(TypedDict, total=False):
    """Say what a role is besides the service account that it is for.

    `IrsaRole`, `ServiceAccounts.add` and `.add_controller` take these by keyword.

    Args:
        audience: value of the `aud` claim. Default: `sts.amazonaws.com`, in every partition.
        subject_patterns: `namespace/name` with `*` or `?` in the name: all such service accounts
            of the cluster, future ones too. Default: none.
        trusts: service accounts of more clusters, one statement each; adding one never replaces the
            role. Default: none.
        role_name: 1 to 64 characters. Default: CloudFormation names the role.
        path: 1 to 512 characters with slashes at both ends. Default: that of the `RoleDefaults`.
        permissions_boundary: ceiling on every grant. Default: that of the `RoleDefaults`.
        managed_policies: policies attached at definition, at most 10 without a raised quota.
            Default: none.
        inline_policies: documents by name, as `iam.PolicyDocument` or plain JSON, 10,240 characters
            together. Default: none.
        max_session_duration: 1 to 12 hours. Default: 1 hour, set by IAM.
        description: at most 1,000 characters. Default: none.
        tags: tags of the role, at most 50. They join those that name its service account, or take
            their place. Default: none.
        trust_policy_characters: the AWS account's quota L-C07B4B0D, 2,048 to 8,192. Default: 2,048.
        allow_default_service_account: whether the service account named `default` may have the
            role; else no pattern lets it in. Default: no.
    """

    audience: str
    subject_patterns: Sequence[str]
    trusts: "Sequence[Trust]"
    role_name: str | None
    path: str | None
    permissions_boundary: "iam.IManagedPolicy | None"
    managed_policies: "Sequence[iam.IManagedPolicy]"
    inline_policies: "Mapping[str, iam.PolicyDocument | Mapping[str, Any]] | None"
    max_session_duration: "Duration | None"
    description: str | None
    tags: Mapping[str, str] | None
    trust_policy_characters: int
    allow_default_service_account: bool


@dataclass(frozen=True, kw_only=True)
class RoleDefaults:
    """Say what every role has that a construct makes, those of its functions too.

    Args:
        permissions_boundary: ceiling on every role. Default: no boundary.
        path: path of every role, with slashes at both ends. Default: `/`.
    """

    permissions_boundary: "iam.IManagedPolicy | None" = None
    path: str | None = None
