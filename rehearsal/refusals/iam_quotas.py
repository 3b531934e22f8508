"""IAM's quotas, as they are unless AWS raised them.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from rehearsal.refusals.change import Change, Refusal
from rehearsal.refusals.intrinsics import UNKNOWN, references

SOURCE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
_TRUST_POLICY, _MANAGED_POLICY, _INLINE_POLICIES = 2048, 6144, 10_240
_ATTACHED, _TAGS = 10, 50
# What only the deploy can tell counts as one id, so that nothing is refused that AWS would take.
_AN_ID = "x" * 20


def exceeded(change: Change) -> Iterator[Refusal]:
    """Refuse roles and policies that are too large, or carry too much."""
    for logical_id, properties in change.of_type("AWS::IAM::ManagedPolicy"):
        if _size(change, properties["PolicyDocument"]) > _MANAGED_POLICY:
            yield _refusal(logical_id, "Cannot exceed quota for PolicySize: 6144")
    for logical_id, properties in change.of_type("AWS::IAM::Role"):
        if _size(change, properties["AssumeRolePolicyDocument"]) > _TRUST_POLICY:
            yield _refusal(logical_id, "Cannot exceed quota for ACLSizePerRole: 2048")
        if len(properties.get("ManagedPolicyArns") or []) > _ATTACHED:
            yield _refusal(logical_id, "Cannot exceed quota for PoliciesPerRole: 10")
        if len(properties.get("Tags") or []) + len(change.tags) > _TAGS:
            yield _refusal(logical_id, "Cannot exceed quota for TagsPerRole: 50")
        inline = [*_written(properties), *_added(change, logical_id)]
        if sum(_size(change, document) for document in inline) > _INLINE_POLICIES:
            yield _refusal(
                logical_id, f"Maximum policy size of 10240 bytes exceeded for role {logical_id}"
            )


def _written(role: Any) -> Iterator[Any]:
    for policy in role.get("Policies") or []:
        yield policy["PolicyDocument"]


def _added(change: Change, role: str) -> Iterator[Any]:
    """Yield the policies that resources of their own put into *role*."""
    for _, properties in change.of_type("AWS::IAM::Policy", "AWS::IAM::RolePolicy"):
        roles = properties.get("Roles") or [properties.get("RoleName")]
        if any(name == role for name, _ in references(roles)):
            yield properties["PolicyDocument"]


def _size(change: Change, document: Any) -> int:
    text = change.resolved(document)
    if not isinstance(text, str):
        text = json.dumps(text, separators=(",", ":"), ensure_ascii=False)
    return len(UNKNOWN.sub(_AN_ID, re.sub(r"\s", "", text)))


def _refusal(logical_id: str, message: str) -> Refusal:
    return Refusal(resource=logical_id, message=message, source=SOURCE)
