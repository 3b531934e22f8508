"""A stack operation as AWS's rules look at it: what was, what shall be, and where."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.refusals.intrinsics import references, resolved
from rehearsal.refusals.replacement import CHANGING_ATTRIBUTES, CREATE_ONLY

Template = Mapping[str, Any]
Properties = Mapping[str, Any]

_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a stack is.

    Args:
        partition: of AWS.
        region: of the partition.
        url_suffix: end of the partition's host names.
        zones: availability zones that the account sees: name to id, in AWS's order.
    """

    partition: str = "aws"
    region: str = "us-east-1"
    url_suffix: str = "amazonaws.com"
    zones: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What AWS refuses.

    Args:
        resource: logical id, or the stack's name.
        message: AWS's words.
        source: URL that says so.
    """

    resource: str
    message: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """A stack that is created or updated.

    Args:
        stack: its name.
        new: template that it shall have.
        old: template that it has. Default: it is created.
        tags: stack tags that it shall have.
        old_tags: stack tags that it has.
        imports: exports that other stacks import now, with the names of these stacks.
        place: where it is.
    """

    stack: str
    new: Template
    old: Template | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    old_tags: Mapping[str, str] = field(default_factory=dict)
    imports: Mapping[str, Sequence[str]] = field(default_factory=dict)
    place: Place = field(default_factory=Place)

    @property
    def resources(self) -> Template:
        """Resources as they shall be."""
        return self.new.get("Resources") or {}

    @property
    def old_resources(self) -> Template:
        """Resources as they are."""
        return (self.old or {}).get("Resources") or {}

    @property
    def is_retagged(self) -> bool:
        """Whether an update changes the stack's tags."""
        return self.old is not None and self.tags != self.old_tags

    def of_type(self, *types: str) -> Iterator[tuple[str, Properties]]:
        """Yield logical id and properties of each resource that shall have one of *types*."""
        for logical_id, resource in self.resources.items():
            if resource["Type"] in types:
                yield logical_id, resource.get("Properties") or {}

    def updated(self, *types: str) -> Iterator[tuple[str, Properties, Properties]]:
        """Yield logical id, old and new properties of each resource that is updated in place."""
        for logical_id, properties in self.of_type(*types):
            if logical_id in self.changed and logical_id not in self.replaced:
                yield logical_id, self.old_resources[logical_id].get("Properties") or {}, properties

    def made(self, *types: str) -> Iterator[tuple[str, Properties]]:
        """Yield logical id and properties of each resource that is new, or made in replacement."""
        for logical_id, properties in self.of_type(*types):
            if logical_id not in self.old_resources or logical_id in self.replaced:
                yield logical_id, properties

    @property
    def changed(self) -> Mapping[str, frozenset[str]]:
        """The properties that an update changes of each resource that it keeps or replaces."""
        return self._outcome[0]

    @property
    def replaced(self) -> frozenset[str]:
        """The resources that an update makes anew before the old ones go."""
        return self._outcome[1]

    def resolved(self, value: Any) -> Any:
        """Return *value* with its intrinsic functions resolved, as far as literals go."""
        place = self.place
        known = {
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::URLSuffix": place.url_suffix,
            "AWS::AccountId": "111122223333",
            "AWS::StackName": self.stack,
        }
        return resolved(value, known)

    def zone(self, value: Any) -> str:
        """Return the name of a subnet's `AvailabilityZone`, or what stands for it."""
        match value:
            case {"Fn::Select": [position, {"Fn::GetAZs": _}]}:
                names = list(self.place.zones)
                at = int(position)
                return names[at] if at < len(names) else f"zone {at}"
        return str(self.resolved(value))

    @functools.cached_property
    def _outcome(self) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
        """Follow what changes to what refers to it, until no more changes."""
        kept = [name for name in self.resources if name in self.old_resources]
        changed = {name: self._written(name) for name in kept}
        replaced = {
            name
            for name in kept
            if self.resources[name]["Type"] != self.old_resources[name]["Type"]
        }

        def moves(name: str, attribute: str | None) -> bool:
            changing = CHANGING_ATTRIBUTES.get(self.resources.get(name, {}).get("Type", ""), {})
            return name in replaced or bool(
                changing.get(attribute or "", frozenset()) & changed.get(name, set())
            )

        while True:
            before = len(replaced), sum(map(len, changed.values()))
            for name in kept:
                for key, value in (self.resources[name].get("Properties") or {}).items():
                    if any(moves(*reference) for reference in references(value)):
                        changed[name].add(key)
                if self._is_replaced(name, changed[name]):
                    replaced.add(name)
            if before == (len(replaced), sum(map(len, changed.values()))):
                outcome = {name: frozenset(keys) for name, keys in changed.items() if keys}
                return outcome, frozenset(replaced)

    def _written(self, name: str) -> set[str]:
        """Return the properties that the templates write differently."""
        old, new = (
            resources[name].get("Properties") or {}
            for resources in (self.old_resources, self.resources)
        )
        return {key for key in {*old, *new} if old.get(key, _ABSENT) != new.get(key, _ABSENT)}

    def _is_replaced(self, name: str, changed: set[str]) -> bool:
        old, new = (
            resources[name].get("Properties") or {}
            for resources in (self.old_resources, self.resources)
        )
        return any(
            key in changed and (not nested or _at(old, path) != _at(new, path))
            for path in CREATE_ONLY.get(self.resources[name]["Type"], ())
            for key, _, nested in [path.partition("/")]
        )


def _at(properties: Properties, path: str) -> Any:
    found: Any = properties
    for key in path.split("/"):
        found = found.get(key) if isinstance(found, dict) else None
    return found
