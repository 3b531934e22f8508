"""What a take-over or force replaced on an object, kept on it to be given back. Pure.

Another custom resource of our stack may take over what one bound: a construct that gets another id
makes a new resource before the old one is deleted. Until the old one lets go, the new one knows
what to give back: CloudFormation may roll back, and then only the new one is told.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubernetes_api.owner import OWNER
from kubernetes_api.shared_keys import SECTIONS, guarded, inverse, keys_of

if TYPE_CHECKING:
    from kubernetes_api.shared_keys import Keys, Object

UNDO = "irsa-stack/undo"


def undo_journal(found: Object, change: Keys) -> str:
    """The annotation's value for a change: what gives back all that it replaces."""
    return json.dumps(inverse(found, change), sort_keys=True, separators=(",", ":"))


def read_undo_journal(found: Object) -> dict[str, dict[str, str | None]]:
    """What is to be given back, by section; empty when nothing is, or it cannot be read.

    Whoever may write the object may have written it.
    """
    try:
        journal = json.loads(keys_of(found)["annotations"].get(UNDO, "{}"))
    except (ValueError, RecursionError):
        return {}
    return journal if isinstance(journal, dict) and _is_sound(journal) else {}


def _is_sound(journal: dict[str, Any]) -> bool:
    return all(
        section in SECTIONS
        and isinstance(keys, dict)
        and all(value is None or isinstance(value, str) for value in keys.values())
        for section, keys in journal.items()
    )


def taken_from(found: Object) -> str:
    """The mark of the resource that the object was taken from and that has not let go of it yet."""
    return (read_undo_journal(found).get("annotations") or {}).get(OWNER) or ""


def without_undo(found: Object) -> dict[str, Any]:
    """The merge patch of the resource that lets go: it need not get the object back."""
    return guarded(found, {"annotations": {UNDO: None}})
