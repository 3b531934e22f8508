"""What to do with one service account: (asked for, asked for before, found) -> step. Pure.

Whose an object is, is written on it. The annotation `irsa-stack/owner` names the custom resource
that binds it; the label `app.kubernetes.io/managed-by: irsa-stack` says beside it that we made the
object. Only an object with both is ever deleted. An object that another custom resource of the same
stack bound may be taken over: an account may move to another construct. The annotation
`irsa-stack/undo` keeps what a take-over or `Force` replaced, until that other resource lets go or
we do.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubernetes_api.connection import FIELD_MANAGER
from kubernetes_api.owner import MANAGED_BY, OWNER, Holder, Owner, owner_of
from kubernetes_api.shared_keys import (
    SECTIONS,
    applied_keys,
    conflicts,
    difference,
    guarded,
    has_foreign_manager,
    is_managed_by_us,
    keys_of,
    managers_of,
    patched_keys,
    still_ours,
    undone,
)
from kubernetes_api.undo_journal import (
    UNDO,
    read_undo_journal,
    taken_from,
    undo_journal,
    without_undo,
)
from service_accounts.binding import ADOPT, CREATE, RESTART_DUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes_api.shared_keys import Keys, Object
    from service_accounts.binding import Binding


class Verb(enum.Enum):
    """What a step does to the object."""

    CREATE = "create"
    APPLY = "apply"  # server-side apply: somebody else's object, our keys
    PATCH = "patch"  # merge patch, guarded by the version that was read
    DELETE = "delete"
    NOTHING = "nothing"
    LEAVE = "leave"  # not as asked for, and not ours to change: told, no failure
    REFUSE = "refuse"


@dataclass(frozen=True)
class Step:
    """One step on one object."""

    verb: Verb
    body: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    reason: str = ""


_NOTHING = Step(Verb.NOTHING)
_OTHERS = (Holder.SIBLING, Holder.STRANGER)
# What a rebinding of aws-node writes beside its owner: policies that are to be given back.
DETACHED = "irsa-stack/detached-policies"


def decide(
    wanted: Binding | None, previous: Binding | None, found: Object | None, owner: Owner
) -> Step:
    """The step that brings an account from what is found to what is asked for.

    A binding that the event does not change is never refused: somebody may have changed the object
    since, and refusing would fail the rollback of an unrelated change as well.

    Args:
        wanted: The binding asked for, None when it is to go.
        previous: The binding asked for before, None when there was none.
        found: The object, None when there is none.
        owner: The custom resource for which we act.
    """
    if wanted is None:
        return _release(previous, found, owner) if previous and found else _NOTHING
    if found is None:
        return _without_object(wanted, previous, owner)
    disputed = _disputed(wanted, found, owner)
    reason = _refusal(wanted, found, owner, disputed)
    if reason:
        is_tolerated = wanted == previous or _is_rolled_back(wanted, previous, found, owner)
        return Step(Verb.LEAVE if is_tolerated else Verb.REFUSE, reason=reason)
    if owner.made(found):
        return _patch_of_ours(wanted, previous, found, owner)
    return _application(wanted, found, owner, disputed)


def undo(before: Object | None, step: Step, now: Object | None) -> Step:
    """The step that undoes a step of ours, as far as the object is still what we made of it.

    What was sent counts, not what was answered: a write whose answer was lost may have been done.

    Args:
        before: The object before our step, None when there was none.
        step: Our step.
        now: The object as it is now.
    """
    if step.verb is Verb.DELETE:
        return Step(Verb.CREATE, _copy(before)) if before and now is None else _NOTHING
    if now is None or (before and now["metadata"]["uid"] != before["metadata"]["uid"]):
        return _NOTHING
    if before is None:
        return _deletion(now) if owner_of(now) == owner_of(step.body) else _NOTHING
    change = undone(before, _after(before, step), now)
    return Step(Verb.PATCH, guarded(now, change)) if change else _NOTHING


def _after(before: Object, step: Step) -> Object:
    """The labels and annotations of an object after a step on it."""
    after: dict[str, dict[str, str | None]] = {s: {**keys} for s, keys in keys_of(before).items()}
    if step.verb is Verb.APPLY:
        for section, key in applied_keys(before):
            after[section].pop(key, None)
    for section in SECTIONS:
        after[section] = {**after[section], **step.body["metadata"].get(section, {})}
    kept = {s: {k: v for k, v in keys.items() if v is not None} for s, keys in after.items()}
    return {"metadata": kept}


def new_object(binding: Binding, owner: Owner) -> dict[str, Any]:
    """The service account as we make it, with our marks."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": binding.name,
            "namespace": binding.namespace,
            "labels": {**binding.labels, MANAGED_BY: FIELD_MANAGER},
            "annotations": {**binding.annotations, OWNER: owner.mark},
        },
    }


def _without_object(wanted: Binding, previous: Binding | None, owner: Owner) -> Step:
    if wanted.ownership == CREATE:
        return Step(Verb.CREATE, new_object(wanted, owner))
    reason = (
        f"{wanted.key} must exist to be adopted, got nothing; deploy what makes it first, or use "
        "Ownership.CREATE"
    )
    return Step(Verb.LEAVE if previous else Verb.REFUSE, reason=reason)


def _patch_of_ours(wanted: Binding, previous: Binding | None, found: Object, owner: Owner) -> Step:
    target = new_object(wanted, owner)
    asked: dict[str, dict[str, str | None]] = {s: {**keys} for s, keys in keys_of(target).items()}
    written = previous.keys if previous else {section: {} for section in SECTIONS}
    for section, keys in keys_of(found).items():
        for key, value in keys.items():
            ours = is_managed_by_us(found, section, key) or written[section].get(key) == value
            stale = key not in asked[section] and key != UNDO
            if ours and stale and not has_foreign_manager(found, section, key):
                asked[section][key] = None
    change = difference(found, asked)
    if not change:
        return _NOTHING
    if owner.holder_of(found) is not Holder.US:
        change["annotations"][UNDO] = undo_journal(found, change)
    return Step(Verb.PATCH, guarded(found, change))


def _application(
    wanted: Binding, found: Object, owner: Owner, disputed: list[tuple[str, str]]
) -> Step:
    keys = wanted.keys
    keys["annotations"][OWNER] = owner.mark
    journal = keys_of(found)["annotations"].get(UNDO)
    replaced: dict[str, dict[str, str | None]] = {}
    lost: set[tuple[str, str]] = set()
    if owner.holder_of(found) in _OTHERS:
        replaced = difference(found, keys)
        # To apply is to drop what the other resource applied and we do not.
        lost = applied_keys(found) - {("annotations", UNDO)}
    for section, key in {*disputed, *lost}:
        replaced.setdefault(section, {})[key] = None
    if replaced:
        journal = undo_journal(found, replaced)
    if journal:
        keys["annotations"][UNDO] = journal
    owned = {(section, key) for section, values in keys.items() for key in values}
    stale = applied_keys(found) - owned
    unowned = any(not is_managed_by_us(found, section, key) for section, key in owned)
    changes = difference(found, keys)
    if not (changes or stale or unowned):
        return _NOTHING
    # What we once wrote with a patch has another manager in Kubernetes' eyes: us, by another verb.
    changed = {(section, key) for section, values in changes.items() for key in values}
    force = bool(disputed or changed & patched_keys(found))
    guard = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
    sections = {section: values for section, values in keys.items() if values}
    metadata = {"name": wanted.name, "namespace": wanted.namespace, **guard, **sections}
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return Step(Verb.APPLY, body, force=force)


def _release(previous: Binding, found: Object, owner: Owner) -> Step:
    journal, former = read_undo_journal(found), taken_from(found)
    is_ours = owner.holder_of(found) is Holder.US
    if owner.holder_of(found) in _OTHERS:
        # The other resource has it for good now: it need not give it back.
        if former == owner.mark:
            return Step(Verb.PATCH, without_undo(found))
        return Step(Verb.LEAVE, reason=f"{previous.key} is bound by {owner_of(found)} now")
    if is_ours and former:
        return Step(Verb.PATCH, guarded(found, _with_annotations(journal, {UNDO: None})))
    if owner.made(found) and previous.ownership == CREATE:
        return _deletion(found)
    ours = still_ours(found, previous.keys, is_marked=is_ours)
    back: dict[str, dict[str, str | None]] = {
        section: {key: (journal.get(section) or {}).get(key) for key in keys}
        for section, keys in ours.items()
    }
    if is_ours:
        back = _with_annotations(back, {OWNER: None, UNDO: None, RESTART_DUE: None})
        if owner.made(found):
            back["labels"][MANAGED_BY] = None
    change = difference(found, back)
    return Step(Verb.PATCH, guarded(found, change)) if change else _NOTHING


def _is_rolled_back(wanted: Binding, previous: Binding | None, found: Object, owner: Owner) -> bool:
    """Whether the change before was refused as well, for marks of ours that somebody took off."""
    is_bound_elsewhere = owner.holder_of(found) in _OTHERS
    return bool(previous) and not is_bound_elsewhere and not difference(found, wanted.keys)


def _disputed(wanted: Binding, found: Object, owner: Owner) -> list[tuple[str, str]]:
    """The keys of somebody else's object that hold another value which is not ours to change."""
    if wanted.ownership != ADOPT:
        return []
    keys = wanted.keys
    keys["annotations"][OWNER] = owner.mark
    # Another resource of our stack is not another owner.
    is_sibling = owner.holder_of(found) is Holder.SIBLING
    return [d for d in conflicts(found, keys) if not (is_sibling and d[1] == OWNER)]


def _refusal(wanted: Binding, found: Object, owner: Owner, disputed: list[tuple[str, str]]) -> str:
    """Why an object that is there cannot be bound, in words; empty when it can."""
    holder = owner.holder_of(found)
    if DETACHED in keys_of(found)["annotations"] and holder in _OTHERS:
        return (
            f"{wanted.key} must be bound by one construct, got it bound by {owner_of(found)}, an "
            "AwsNodeRebinding; remove that one, deploy, then add this one"
        )
    if wanted.ownership == CREATE and not owner.made(found):
        return (
            f"{wanted.key} must not exist before, got a service account {_provenance(found)}; "
            "bind it with Ownership.ADOPT, which leaves it to whom it belongs"
        )
    if not wanted.force and (disputed or holder is Holder.STRANGER):
        return _dispute(wanted, found, disputed)
    return ""


def _deletion(found: Object) -> Step:
    metadata = found["metadata"]
    guard = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    return Step(Verb.DELETE, guard)


def _copy(thing: Object) -> dict[str, Any]:
    metadata = {"name": thing["metadata"]["name"], "namespace": thing["metadata"]["namespace"]}
    rest = {k: v for k, v in thing.items() if k not in ("metadata", "secrets")}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        **rest,
        "metadata": {**metadata, **keys_of(thing)},
    }


def _with_annotations(
    change: Keys, annotations: Mapping[str, str | None]
) -> dict[str, dict[str, str | None]]:
    every = {section: dict(keys) for section, keys in change.items()}
    return {**every, "annotations": {**every.get("annotations", {}), **annotations}}


def _provenance(found: Object) -> str:
    if owner_of(found):
        return f"bound by {owner_of(found)}"
    manager = keys_of(found)["labels"].get(MANAGED_BY)
    if manager:
        return f"managed by {manager}"
    writers = sorted({e["manager"] for e in found["metadata"].get("managedFields") or ()})
    return f"written by {', '.join(writers)}" if writers else "of unknown origin"


def _dispute(wanted: Binding, found: Object, disputed: list[tuple[str, str]]) -> str:
    present = keys_of(found)
    told = [
        f"{key}={present[section][key]!r} ("
        + (", ".join(sorted(m for m, _ in managers_of(found, section, key))) or "unknown")
        + ")"
        for section, key in disputed
    ] or [f"{OWNER}={owner_of(found)!r}"]
    return (
        f"{wanted.key} must not hold other values, got {', '.join(told)}; remove them there, or "
        "force to replace them"
    )
