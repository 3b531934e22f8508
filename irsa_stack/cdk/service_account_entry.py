"""What the custom resource of a cluster's service accounts carries of each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jsii
from aws_cdk import IResolvable, IStableAnyProducer, Lazy

from irsa_stack.iam.quotas import ROLE_NAME_CHARACTERS, document_characters
from irsa_stack.kubernetes.service_account_manifest import COMMON_MANIFEST, ROLE_ARN_ANNOTATION

ENTRIES_BYTES = 100_000
"""Bytes of the property. CloudFormation sends old and new properties in one asynchronous
invocation, which took 256 KiB at most until late 2025 and takes 1 MB since.

See: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

ROLE_ARN_CHARACTERS = len("arn:aws-us-gov:iam::111122223333:role/") + ROLE_NAME_CHARACTERS
"""Characters of a role's ARN at the longest, but for its path."""


@dataclass(frozen=True, kw_only=True)
class BoundEntry:
    """One service account, as the function reads it: its role, and what is special about it."""

    key: str
    role_arn: str
    role_arn_characters: int
    ownership: str = "CREATE"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    restart: tuple[str, ...] = ()
    force: bool = False
    create_namespace: bool = False

    @cached_property
    def bytes(self) -> int:
        """Bytes in the event, with deploy-time values at their longest."""
        return document_characters(
            {self.key: self.property}, {self.role_arn: self.role_arn_characters}
        )

    @cached_property
    def property(self) -> str | dict[str, Any]:
        """The ARN of the role; or a map of it and of what the common manifest does not say."""
        # An adopted service account takes nothing of the common manifest.
        common = {} if self.ownership == "ADOPT" else COMMON_MANIFEST["metadata"]["annotations"]
        annotations = {
            key: value
            for key, value in sorted(self.annotations.items())
            if key != ROLE_ARN_ANNOTATION and common.get(key) != value
        }
        special = {
            "Ownership": "" if self.ownership == "CREATE" else str(self.ownership),
            "Labels": dict(sorted(self.labels.items())),
            "Annotations": annotations,
            "Restart": list(self.restart),
            "Force": "true" if self.force else "",
            "CreateNamespace": "true" if self.create_namespace else "",
        }
        given = {key: value for key, value in special.items() if value}
        return {"Role": self.role_arn, **given} if given else self.role_arn


def size_faults(bound: Mapping[str, BoundEntry], entry: BoundEntry) -> Iterator[str]:
    """Say why one custom resource could not carry *entry* beside those that are bound."""
    size = sum(one.bytes for one in (*bound.values(), entry))
    if size > ENTRIES_BYTES:
        yield (
            f"service accounts must be at most {ENTRIES_BYTES} bytes together, got {size} with"
            f" {entry.key!r}, whose labels, annotations and restart take {entry.bytes}; put large"
            " texts into a ConfigMap, or spread the service accounts over several stacks"
        )


def produced(produce: Callable[[], Any]) -> IResolvable:
    """Return a value that is made at synth, when all service accounts have been added."""
    return Lazy.any(_Produced(produce))


@jsii.implements(IStableAnyProducer)
class _Produced:
    def __init__(self, produce: Callable[[], Any]) -> None:
        self._produce = produce

    def produce(self) -> Any:  # noqa: ANN401
        """Return the value."""
        return self._produce()
