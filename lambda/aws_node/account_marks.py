"""What we write on the service account, and whether it is ours to write. Pure.

Beside the role annotation stand marks of ours. `irsa-stack/owner` names the custom resource that
bound the account. `irsa-stack/detached-policies` is the journal: which policies the node roles had
when `aws-node` got a role of its own. It is written before the first of them is detached, and in
the same write as the role, so that neither is ever there without the other. `irsa-stack/events`
names the last events that worked on it, newest first: an event that finds a newer one stops.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_node.rebinding import Attachment
from kubernetes_api.owner import OWNER, Holder, Owner, owner_of
from kubernetes_api.shared_keys import (
    ROLE_ARN_ANNOTATION,
    conflicts,
    guarded,
    has_foreign_manager,
    is_managed_by_us,
    keys_of,
    managers_of,
)
from kubernetes_api.undo_journal import UNDO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aws_node.rebinding import Rebinding
    from kubernetes_api.shared_keys import Object

JOURNAL = "irsa-stack/detached-policies"
EVENTS = "irsa-stack/events"
ACCOUNT = "kube-system/aws-node"
# The event of an undoing is the failed one's with this behind it.
UNDOING = "/undo"
_REMEMBERED = 4
# The field manager of EKS, when it runs the VPC CNI as a managed add-on with a role.
_ADDON = "eks"


def role_of(account: Object) -> str | None:
    """The role that the account's next pods get."""
    return keys_of(account)["annotations"].get(ROLE_ARN_ANNOTATION)


def refusal(account: Object, wanted: Rebinding, owner: Owner) -> str:
    """Why the account cannot be bound, in words; empty when it can."""
    if owner.holder_of(account) in (Holder.SIBLING, Holder.STRANGER):
        return (
            f"{ACCOUNT} must be bound by one rebinding, got it bound by {owner_of(account)}; "
            "remove that one, deploy, then add this one"
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
    if conflicts(account, {"annotations": {ROLE_ARN_ANNOTATION: wanted.role_arn}}):
        return (
            f"{ACCOUNT} must not have another role, got {present!r} set by "
            f"{', '.join(managers) or 'somebody unknown'}; remove that annotation (running pods "
            f"keep their role) and deploy again: {removal}"
        )
    return ""


def events_of(account: Object) -> list[str]:
    """The last events that worked on the account, newest first."""
    return keys_of(account)["annotations"].get(EVENTS, "").split()


def newer_event(account: Object, event: str, known: Collection[str]) -> str:
    """The event that has begun since this one, empty when none has.

    Args:
        account: The service account.
        event: The event that asks.
        known: The events that were there when it began.
    """
    newest, *older = events_of(account) or [event]
    return newest if event in older or newest not in (event, *known) else ""


def is_made_by(account: Object, event: str) -> bool:
    """Whether no event has worked on the account since the one that made the binding."""
    newest = (events_of(account) or [event])[0]
    return newest.removesuffix(UNDOING) == event


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


def marks_of(wanted: Rebinding, owner: Owner, journal: Iterable[Attachment]) -> dict[str, str]:
    """The annotations that make the account ours."""
    written: dict[str, list[str]] = {}
    for role, policy in sorted(journal):
        written.setdefault(role, []).append(policy)
    text = json.dumps(written, separators=(",", ":"))
    return {ROLE_ARN_ANNOTATION: wanted.role_arn, OWNER: owner.mark, JOURNAL: text}


def stamp_of(account: Object, event: str) -> dict[str, str]:
    """The annotation that says that this event works on the account now."""
    older = [known for known in events_of(account) if known != event]
    return {EVENTS: " ".join([event, *older][:_REMEMBERED])}


def is_written(account: Object, wanted: Mapping[str, str]) -> bool:
    """Whether the account has these annotations, and we own them."""
    present = keys_of(account)["annotations"]
    return all(
        present.get(key) == value and is_managed_by_us(account, "annotations", key)
        for key, value in wanted.items()
    )


def application(account: Object, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The server-side apply that makes these annotations all that we own of the account.

    It is refused when the account is no longer as it was read, or was made anew since.
    """
    found = account["metadata"]
    kept = {key: found[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    metadata = {**kept, "annotations": dict(wanted)}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def stamped(account: Object, event: str) -> dict[str, Any]:
    """The merge patch of an event that begins to release; empty when nothing of ours is there."""
    stamp = stamp_of(account, event)
    if OWNER not in keys_of(account)["annotations"] or is_written(account, stamp):
        return {}
    return guarded(account, {"annotations": stamp})


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


def without_marks(account: Object) -> dict[str, Any]:
    """The merge patch that takes our marks off; empty when they are not there."""
    present = keys_of(account)["annotations"]
    stale = {key: None for key in (OWNER, JOURNAL, EVENTS, UNDO) if key in present}
    return guarded(account, {"annotations": stale}) if stale else {}
