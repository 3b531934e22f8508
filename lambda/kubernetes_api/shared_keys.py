"""Labels and annotations on objects that we share with others: which are ours. Pure.

Kubernetes keeps who wrote which field in `metadata.managedFields`.
See: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubernetes_api.connection import FIELD_MANAGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    Object = Mapping[str, Any]
    # section ("labels" or "annotations") -> key -> value; None where the key must go
    Keys = Mapping[str, Mapping[str, str | None]]

SECTIONS = ("labels", "annotations")
# See: https://github.com/aws/amazon-eks-pod-identity-webhook
ROLE_ARN_ANNOTATION = "eks.amazonaws.com/role-arn"


def keys_of(thing: Object) -> dict[str, dict[str, str]]:
    """The labels and annotations of an object."""
    metadata = thing.get("metadata") or {}
    return {section: dict(metadata.get(section) or {}) for section in SECTIONS}


def managers_of(thing: Object, section: str, key: str) -> set[tuple[str, str]]:
    """Who owns a key: pairs of field manager and operation (`Apply` or `Update`)."""
    field = (f"f:{section}", f"f:{key}")
    return {
        (entry.get("manager", ""), entry.get("operation", ""))
        for entry in thing["metadata"].get("managedFields") or ()
        if field[1] in entry.get("fieldsV1", {}).get("f:metadata", {}).get(field[0], {})
    }


def has_foreign_manager(thing: Object, section: str, key: str) -> bool:
    """Whether somebody else owns the key, be it beside us."""
    return any(manager != FIELD_MANAGER for manager, _ in managers_of(thing, section, key))


def is_managed_by_us(thing: Object, section: str, key: str) -> bool:
    """Whether we own the key, be it beside others."""
    return any(manager == FIELD_MANAGER for manager, _ in managers_of(thing, section, key))


def applied_keys(thing: Object) -> set[tuple[str, str]]:
    """The labels and annotations that our server-side apply owns, as pairs of section and key."""
    return _own_keys(thing, "Apply")


def patched_keys(thing: Object) -> set[tuple[str, str]]:
    """Those that a patch of ours owns: in Kubernetes' eyes another manager than our apply."""
    return _own_keys(thing, "Update")


def _own_keys(thing: Object, operation: str) -> set[tuple[str, str]]:
    return {
        (section, field.removeprefix("f:"))
        for entry in thing["metadata"].get("managedFields") or ()
        if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, operation)
        for section in SECTIONS
        for field in entry.get("fieldsV1", {}).get("f:metadata", {}).get(f"f:{section}", {})
        if field != "."
    }


def conflicts(thing: Object, wanted: Keys) -> list[tuple[str, str]]:
    """The keys that hold another value which is not ours to change."""
    present = keys_of(thing)
    return [
        (section, key)
        for section, keys in wanted.items()
        for key, value in keys.items()
        if key in present[section]
        and present[section][key] != value
        and (has_foreign_manager(thing, section, key) or not is_managed_by_us(thing, section, key))
    ]


def still_ours(thing: Object, written: Keys, *, is_marked: bool) -> dict[str, dict[str, str]]:
    """Of the keys that we once wrote, those that are still ours alone.

    Args:
        thing: The object as it is.
        written: What we wrote.
        is_marked: Whether our mark is still on it. Then a key counts as ours though no manager is
            recorded for it, and though it has another value, if only we wrote that: an update of
            ours was killed. Without our mark such a value is what we gave back.
    """
    present = keys_of(thing)
    return {
        section: {
            key: present[section][key]
            for key, value in keys.items()
            if key in present[section]
            and not has_foreign_manager(thing, section, key)
            and _at_least_two(
                is_managed_by_us(thing, section, key), present[section][key] == value, is_marked
            )
        }
        for section, keys in written.items()
    }


def _at_least_two(*signs: bool) -> bool:
    return sum(signs) > 1


def difference(thing: Object, wanted: Keys) -> dict[str, dict[str, str | None]]:
    """What must be set, or with None be removed, for an object to hold the wanted keys."""
    present = keys_of(thing)
    changed = {
        section: {k: v for k, v in keys.items() if present[section].get(k) != v}
        for section, keys in wanted.items()
    }
    return {section: keys for section, keys in changed.items() if keys}


def inverse(thing: Object, change: Keys) -> dict[str, dict[str, str | None]]:
    """The change that puts back what a change replaces in an object."""
    present = keys_of(thing)
    return {section: {k: present[section].get(k) for k in keys} for section, keys in change.items()}


def guarded(thing: Object, change: Keys) -> dict[str, Any]:
    """The merge patch of a change, refused when the object is no longer as it was read."""
    version = thing["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, **change}}


def undone(before: Object, after: Object, now: Object) -> dict[str, dict[str, str | None]]:
    """The change that undoes ours, less the keys that somebody has changed since."""
    old, new, present = keys_of(before), keys_of(after), keys_of(now)
    change: dict[str, dict[str, str | None]] = {}
    for section in SECTIONS:
        for key in old[section].keys() | new[section].keys():
            ours, theirs = new[section].get(key), old[section].get(key)
            if ours != theirs and present[section].get(key) == ours:
                change.setdefault(section, {})[key] = theirs
    return change
