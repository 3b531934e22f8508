"""Whose an object is, as it is written on it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubernetes_api.connection import FIELD_MANAGER
from kubernetes_api.shared_keys import keys_of

if TYPE_CHECKING:
    from kubernetes_api.shared_keys import Object

MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "irsa-stack/owner"


@dataclass(frozen=True)
class Owner:
    """The custom resource for which we act."""

    stack_id: str
    logical_id: str

    @property
    def mark(self) -> str:
        """The value of the owner annotation."""
        return f"{self.stack_id}#{self.logical_id}"

    def holds(self, thing: Object) -> bool:
        """Whether the object is bound by this resource."""
        return owner_of(thing) == self.mark

    def yields(self, thing: Object) -> bool:
        """Whether the object is bound by another resource, of whatever stack."""
        return owner_of(thing) not in ("", self.mark)

    def shares(self, thing: Object) -> bool:
        """Whether the object is bound by this resource or another one of its stack."""
        return owner_of(thing).rpartition("#")[0] == self.stack_id

    def made(self, thing: Object) -> bool:
        """Whether this stack made the object, and nobody has taken it over since."""
        return self.shares(thing) and keys_of(thing)["labels"].get(MANAGED_BY) == FIELD_MANAGER


def owner_of(thing: Object) -> str:
    """The custom resource that bound the object; empty when none did."""
    return keys_of(thing)["annotations"].get(OWNER, "")
