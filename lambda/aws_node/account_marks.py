"""What we write on the service account, and whether it is ours to write. Pure.

Beside the role annotation stand two of ours. `irsa-stack/owner` names the custom resource that
bound the account. `irsa-stack/detached-policies` is the journal: which policies the node roles had
when `aws-node` got a role of its own. It is written before the first of them is detached, and in
the same write as the role, so that neither is ever there without the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_node.rebinding import Attachment, Rebinding
from kubernetes_api.owner import OWNER, Owner, owner_of
from kubernetes_api.shared_keys import (
    conflicts,
    guarded,
    has_foreign_manager,
    is_managed_by_us,
    keys_of,
    managers_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubernetes_api.shared_keys import Object

ROLE = "eks.amazonaws.com/role-arn"
JOURNAL = "irsa-stack/detached-policies"
ACCOUNT = "kube-system/aws-node"
# The field manager of EKS, when it runs the VPC CNI as a managed add-on with a role.
_ADDON = "eks"


def role_of(account: Object) -> str | None:
    """The role that the account's next pods get."""
    return keys_of(account)["annotations"].get(ROLE)


def is_foreign(account: Object, role_arn: str) -> bool:
    """Whether the account has a role that is not ours to replace."""
    return bool(conflicts(account, {"annotations": {ROLE: role_arn}}))


def refusal(account: Object, wanted: Rebinding, owner: Owner) -> str:
    """Why the account cannot be bound, in words; empty when it can."""
    # Another resource of our own stack may take over: a construct that gets another id makes a new
    # resource before the old one is deleted, which then lets go.
    if owner.yields(account) and not owner.shares(account):
        return (
            f"{ACCOUNT} must be bound by one stack, got a second beside {owner_of(account)}; "
            "remove AwsNodeRebinding from one of them"
        )
    present = role_of(account)
    managers = sorted({manager for manager, _ in managers_of(account, "annotations", ROLE)})
    if _ADDON in managers:
        return (
            f"{ACCOUNT} must not get its role from EKS, got {present!r} from the managed add-on "
            "vpc-cni; use AwsNodeAddon in place of AwsNodeRebinding, or take the role off the "
            "add-on first"
        )
    if is_foreign(account, wanted.role_arn):
        return (
            f"{ACCOUNT} must not have another role, got {present!r} set by "
            f"{', '.join(managers) or 'somebody unknown'}; remove that annotation (running pods "
            f"keep their role) and deploy again: kubectl annotate serviceaccount aws-node "
            f"--namespace kube-system {ROLE}-"
        )
    return ""


def journal_of(account: Object | None, bound: Rebinding | None) -> frozenset[Attachment]:
    """What the node roles are to get back when `aws-node` gives up its role.

    Args:
        account: The service account, None when there is none.
        bound: What surely was bound before, None when that is not known. When its journal is lost
            (somebody made the account anew), every policy counts as detached by us: a policy too
            many does less harm than nodes without a network.
    """
    text = keys_of(account)["annotations"].get(JOURNAL) if account else None
    try:
        return frozenset(
            Attachment(role, policy)
            for role, policies in json.loads(text or "").items()
            for policy in policies
        )
    except (ValueError, AttributeError, TypeError):
        return bound.attachments if bound else frozenset()


def binding_of(account: Object) -> tuple[Owner, Rebinding] | None:
    """Who bound the account, and what of it the account tells; None when nobody did."""
    stack_id, _, logical_id = owner_of(account).rpartition("#")
    role_arn = role_of(account)
    if not stack_id or not role_arn:
        return None
    journal = journal_of(account, None)
    roles, policies = ({a.role for a in journal}, {a.policy for a in journal})
    return Owner(stack_id, logical_id), Rebinding(
        role_arn, tuple(sorted(roles)), tuple(sorted(policies))
    )


def marks_of(wanted: Rebinding, owner: Owner, journal: Iterable[Attachment]) -> dict[str, str]:
    """The annotations that make the account ours."""
    written: dict[str, list[str]] = {}
    for role, policy in sorted(journal):
        written.setdefault(role, []).append(policy)
    return {
        ROLE: wanted.role_arn,
        OWNER: owner.mark,
        JOURNAL: json.dumps(written, separators=(",", ":")),
    }


def is_written(account: Object, wanted: Mapping[str, str]) -> bool:
    """Whether the account has these annotations, and we own them."""
    present = keys_of(account)["annotations"]
    return all(
        present.get(key) == value and is_managed_by_us(account, "annotations", key)
        for key, value in wanted.items()
    )


def application(account: Object, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The server-side apply that makes these annotations all that we own of the account."""
    metadata = {
        "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"],
        # An account that is deleted meanwhile must not be made anew by us.
        "uid": account["metadata"]["uid"],
        "annotations": dict(wanted),
    }
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def without_role(account: Object, bound: Rebinding) -> dict[str, Any]:
    """The merge patch that takes the role off the account; empty when it is not ours.

    Ours is the role that was bound, and any other that nobody but us wrote.
    """
    present = keys_of(account)["annotations"]
    ours = is_managed_by_us(account, "annotations", ROLE)
    as_bound = present.get(ROLE) == bound.role_arn and (ours or OWNER in present)
    if as_bound or (ours and not has_foreign_manager(account, "annotations", ROLE)):
        return guarded(account, {"annotations": {ROLE: None}})
    return {}


def without_marks(account: Object) -> dict[str, Any]:
    """The merge patch that takes owner and journal off; empty when they are not there."""
    stale = {key: None for key in (OWNER, JOURNAL) if key in keys_of(account)["annotations"]}
    return guarded(account, {"annotations": stale}) if stale else {}
