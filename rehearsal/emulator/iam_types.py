"""`AWS::IAM::RolePolicy`: an inline policy apart from its role."""

import json
from typing import Any

from ministack.services import iam

from rehearsal.emulator.service_actions import query_action

Record = dict[str, Any]
Made = tuple[str, Record]


def create_role_policy(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Put the policy into its role."""
    role, policy = properties["RoleName"], properties["PolicyName"]
    query_action(
        "Iam",
        iam._IAM_HANDLERS["PutRolePolicy"],
        RoleName=role,
        PolicyName=policy,
        PolicyDocument=json.dumps(properties["PolicyDocument"]),
    )
    return f"{policy}|{role}", {}


def update_role_policy(_physical_id: str, _old: Record, new: Record, stack: str) -> Made:
    """Put a changed document."""
    return create_role_policy("", new, stack)


def delete_role_policy(_physical_id: str, properties: Record) -> None:
    """Take the policy out of its role if both are still there."""
    role, policy = properties["RoleName"], properties["PolicyName"]
    if policy in (iam._roles.get(role) or {}).get("InlinePolicies", {}):
        query_action("Iam", iam._IAM_HANDLERS["DeleteRolePolicy"], RoleName=role, PolicyName=policy)
