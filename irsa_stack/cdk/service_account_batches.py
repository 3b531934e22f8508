"""The custom resources that carry a cluster's service accounts: as few as their size allows."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsii
from aws_cdk import CustomResource, IResolvable, IStableAnyProducer, Lazy

from irsa_stack.iam.quotas import ROLE_NAME_CHARACTERS, document_characters
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.kubernetes.service_account_manifest import is_common

BATCH_BYTES = 100_000
"""Bytes of a batch's property. CloudFormation sends old and new properties in one asynchronous
invocation, which took 256 KiB at most until late 2025 and takes 1 MB since.

See: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

ACCOUNT_BYTES = BATCH_BYTES // 4
"""Bytes of what is special about one account: several must fit into a batch."""

ROLE_ARN_CHARACTERS = len("arn:aws-us-gov:iam::111122223333:role/") + ROLE_NAME_CHARACTERS
"""Characters of a role's ARN at the longest, but for its path."""


@dataclass(frozen=True, kw_only=True)
class BoundEntry:
    """One account of a batch, as the function reads it."""

    identity: ServiceAccountIdentity
    ownership: str
    manifest: dict[str, Any]
    restart: tuple[str, ...]
    force: bool
    create_namespace: bool
    role_arn: str
    role_arn_characters: int

    @property
    def key(self) -> str:
        """Under which the function finds it."""
        return str(self.identity)

    @cached_property
    def bytes(self) -> int:
        """Bytes in the event, with deploy-time values at their longest."""
        return document_characters(
            {self.key: self.property}, {self.role_arn: self.role_arn_characters}
        )

    @cached_property
    def property(self) -> str | dict[str, Any]:
        """The role, if all else is as with every account; else the whole."""
        entry: dict[str, Any] = {"Ownership": str(self.ownership), "Manifest": self.manifest}
        if self.restart:
            entry["Restart"] = list(self.restart)
        if self.force:
            entry["Force"] = "true"
        if self.create_namespace:
            entry["CreateNamespace"] = "true"
        nothing_special = entry.keys() == {"Ownership", "Manifest"} and (
            self.ownership == "CREATE"
            and is_common(self.manifest, self.identity, role_arn=self.role_arn)
        )
        return self.role_arn if nothing_special else entry


class ServiceAccountBatches:
    """Spread accounts over custom resources, doubling their number when one gets too large.

    Args:
        define: defines the custom resource of an id and its accounts, which are known at synth.
    """

    def __init__(self, define: Callable[[str, IResolvable], CustomResource]) -> None:
        self._define = define
        self._entries: dict[str, BoundEntry] = {}
        self._resources: list[CustomResource] = []
        self._bytes: list[int] = []

    def bind(self, entry: BoundEntry) -> None:
        """Let one of the custom resources carry *entry*."""
        if not self._resources:
            self._add()
            self._bytes = [0]
        self._entries[entry.key] = entry
        self._bytes[_batch_of(entry.key, len(self._resources))] += entry.bytes
        while max(self._bytes) > BATCH_BYTES:
            for _ in range(len(self._resources)):
                self._add()
            self._bytes = [0] * len(self._resources)
            for bound in self._entries.values():
                self._bytes[_batch_of(bound.key, len(self._resources))] += bound.bytes

    def _add(self) -> None:
        position = len(self._resources)
        batch = self._define(f"Batch{position}", produced(lambda: self._accounts(position)))
        # An account that moves to a new batch is taken over there before the old batch lets go.
        if self._resources:
            self._resources[-1].node.add_dependency(batch)
        self._resources.append(batch)

    def _accounts(self, position: int) -> dict[str, Any]:
        count = len(self._resources)
        return {
            key: entry.property
            for key, entry in sorted(self._entries.items())
            if _batch_of(key, count) == position
        }


def size_faults(
    *, labels: Mapping[str, str], annotations: Mapping[str, str], restart: Sequence[str]
) -> Iterator[str]:
    """Say why a batch could not carry what is special about one account."""
    size = document_characters({"labels": labels, "annotations": annotations, "restart": restart})
    if size > ACCOUNT_BYTES:
        yield (
            f"labels, annotations and restart must be at most {ACCOUNT_BYTES} bytes together, got"
            f" {size}; put large texts into a ConfigMap"
        )


def produced(produce: Callable[[], Any]) -> IResolvable:
    """Return a value that is made at synth, when all accounts have been added."""
    return Lazy.any(_Produced(produce))


def _batch_of(key: str, count: int) -> int:
    """Place an account by its name alone, so that no neighbour moves it."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % count


@jsii.implements(IStableAnyProducer)
class _Produced:
    def __init__(self, produce: Callable[[], Any]) -> None:
        self._produce = produce

    def produce(self) -> Any:  # noqa: ANN401
        """Return the value."""
        return self._produce()
