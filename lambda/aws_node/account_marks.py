"""What we write on the service account, and whether it is ours to write. Pure.

Beside the role annotation stand marks of ours. `irsa-stack/owner` names the custom resource that
bound the account. `irsa-stack/detached-policies` is the journal: which policies the node roles had
when `aws-node` got a role of its own. It is written before the first of them is detached, and in
the same write as the role, so that neither is ever there without the other. `irsa-stack/undo` is
what we replaced of another resource of our stack, until that lets go of the account.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_node.rebinding import Attachment, Rebinding
from kubernetes_api.owner import OWNER, Owner, owner_of
from kubernetes_api.shared_keys import (
    ROLE_ARN_ANNOTATION,
    SECTIONS,
    applied_keys,
    conflicts,
    guarded,
    has_foreign_manager,
    is_managed_by_us,
    keys_of,
    managers_of,
)
from kubernetes_api.undo_journal import UNDO, read_undo_journal, taken_from, undo_journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubernetes_api.shared_keys import Object

JOURNAL = "irsa-stack/detached-policies"
ACCOUNT = "kube-system/aws-node"
# The field manager of EKS, when it runs the VPC CNI as a managed add-on with a role.
_ADDON = "eks"


def role_of(account: Object) -> str | None:
    """The role that the account's next pods get."""
    return keys_of(account)["annotations"].get(ROLE_ARN_ANNOTATION)


def is_foreign(account: Object, role_arn: str) -> bool:
    """Whether the account has a role that is not ours to replace."""
    return bool(conflicts(account, {"annotations": {ROLE_ARN_ANNOTATION: role_arn}}))


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
    managers = sorted(
        {manager for manager, _ in managers_of(account, "annotations", ROLE_ARN_ANNOTATION)}
    )
    removal = (
        f"kubectl annotate serviceaccount aws-node --namespace kube-system {ROLE_ARN_ANNOTATION}-"
    )
    if _ADDON in managers:
        return (
            f"{ACCOUNT} must not get its role from EKS, got {present!r} from the managed add-on "
            "vpc-cni; use AwsNodeAddon in place of AwsNodeRebinding, or take the role off the "
            "add-on first; if the add-on is gone and left the annotation, remove it (running pods "
            f"keep their role): {removal}"
        )
    if is_foreign(account, wanted.role_arn):
        return (
            f"{ACCOUNT} must not have another role, got {present!r} set by "
            f"{', '.join(managers) or 'somebody unknown'}; remove that annotation (running pods "
            f"keep their role) and deploy again: {removal}"
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
    return {ROLE_ARN_ANNOTATION: wanted.role_arn, OWNER: owner.mark, JOURNAL: journal_text(journal)}


def journal_text(journal: Iterable[Attachment]) -> str:
    """The journal as it is written on the account."""
    written: dict[str, list[str]] = {}
    for role, policy in sorted(journal):
        written.setdefault(role, []).append(policy)
    return json.dumps(written, separators=(",", ":"))


def with_undo(account: Object, wanted: Mapping[str, str], owner: Owner) -> dict[str, str]:
    """The marks, and what they replace of another resource's while that has not let go."""
    if owner.yields(account):
        replaced = {*applied_keys(account), *(("annotations", key) for key in wanted)}
        replaced.discard(("annotations", UNDO))
        change: dict[str, dict[str, None]] = {section: {} for section in SECTIONS}
        for section, key in replaced:
            change[section][key] = None
        return {**wanted, UNDO: undo_journal(account, change)}
    kept = keys_of(account)["annotations"].get(UNDO)
    return {**wanted, UNDO: kept} if kept else dict(wanted)


def before_take_over(account: Object) -> dict[str, Any]:
    """The account with what was replaced by the take-over of which its undo journal tells."""
    journal = read_undo_journal(account)
    former = {
        section: {k: v for k, v in (journal.get(section) or {}).items() if v is not None}
        for section in SECTIONS
    }
    return {**account, "metadata": {**account["metadata"], **former}}


def is_of_rebinding(account: Object) -> bool:
    """Whether the resource that holds the account keeps a journal for node roles, as we do.

    If it took the account over, it replaced the journal of the resource before; where that one's
    still stands, the new resource does not know of it.
    """
    replaced = read_undo_journal(account).get("annotations") or {}
    present = JOURNAL in keys_of(account)["annotations"]
    return present and (not taken_from(account) or JOURNAL in replaced)


def journal_of_former(account: Object, bound: Rebinding | None) -> frozenset[Attachment]:
    """What node roles are to get back by the resource from which the account was taken over."""
    former = before_take_over(account)
    return journal_of(former if JOURNAL in keys_of(former)["annotations"] else account, bound)


def is_written(account: Object, wanted: Mapping[str, str]) -> bool:
    """Whether the account has these annotations, and we own them."""
    present = keys_of(account)["annotations"]
    return all(
        present.get(key) == value and is_managed_by_us(account, "annotations", key)
        for key, value in wanted.items()
    )


def application(
    account: Object, wanted: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The server-side apply that makes these annotations all that we own of the account."""
    metadata = {
        "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"],
        # An account that is deleted meanwhile must not be made anew by us.
        "uid": account["metadata"]["uid"],
        "annotations": dict(wanted),
        **({"labels": dict(labels)} if labels else {}),
    }
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def without_role(account: Object, bound: Rebinding) -> dict[str, Any]:
    """The merge patch that takes the role off the account; empty when it is not ours.

    Ours is the role that was bound, and any other that nobody but us wrote.
    """
    present = keys_of(account)["annotations"]
    ours = is_managed_by_us(account, "annotations", ROLE_ARN_ANNOTATION)
    as_bound = present.get(ROLE_ARN_ANNOTATION) == bound.role_arn and (ours or OWNER in present)
    if as_bound or (ours and not has_foreign_manager(account, "annotations", ROLE_ARN_ANNOTATION)):
        return guarded(account, {"annotations": {ROLE_ARN_ANNOTATION: None}})
    return {}


def without_former(account: Object, former: Owner) -> dict[str, Any]:
    """The merge patch by which a resource lets go for good; empty when it is not awaited back."""
    if taken_from(account) != former.mark:
        return {}
    stale = [UNDO] if is_of_rebinding(account) else [UNDO, JOURNAL]
    present = keys_of(account)["annotations"]
    return guarded(account, {"annotations": {key: None for key in stale if key in present}})


def without_marks(account: Object) -> dict[str, Any]:
    """The merge patch that takes our marks off; empty when they are not there."""
    stale = {key: None for key in (OWNER, JOURNAL, UNDO) if key in keys_of(account)["annotations"]}
    return guarded(account, {"annotations": stale}) if stale else {}
