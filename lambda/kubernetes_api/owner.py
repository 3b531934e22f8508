"""Whose an object is, as it is written on it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubernetes_api.connection import FIELD_MANAGER
from kubernetes_api.shared_keys import keys_of

if TYPE_CHECKING:
    from kubernetes_api.shared_keys import Object

MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "irsa-stack/owner"


class Holder(enum.Enum):
    """Who has bound an object, seen from one custom resource."""

    NOBODY = "nobody"
    US = "us"
    SIBLING = "another custom resource of our stack"
    STRANGER = "a custom resource of another stack"


@dataclass(frozen=True)
class Owner:
    """The custom resource for which we act."""

    stack_id: str
    logical_id: str

    @property
    def mark(self) -> str:
        """The value of the owner annotation."""
        return f"{self.stack_id}#{self.logical_id}"

    def holder_of(self, thing: Object) -> Holder:
        """Who bound the object, as its owner annotation says."""
        found = owner_of(thing)
        if found in ("", self.mark):
            return Holder.US if found else Holder.NOBODY
        stack_id = found.rpartition("#")[0]
        return Holder.SIBLING if stack_id == self.stack_id else Holder.STRANGER

    def made(self, thing: Object) -> bool:
        """Whether this stack made the object, and nobody has taken it over since."""
        is_of_stack = self.holder_of(thing) in (Holder.US, Holder.SIBLING)
        return is_of_stack and keys_of(thing)["labels"].get(MANAGED_BY) == FIELD_MANAGER


def owner_of(thing: Object) -> str:
    """The custom resource that bound the object; empty when none did."""
    return keys_of(thing)["annotations"].get(OWNER, "")
