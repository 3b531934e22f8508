"""Resources with a name of their own: two cannot have it, not even for a moment."""

from collections.abc import Iterator

from rehearsal.refusals.change import Change, Properties, Refusal
from rehearsal.refusals.intrinsics import references
from rehearsal.refusals.replacement import NAMES

_REPLACEMENTS = "https://repost.aws/knowledge-center/cloudformation-custom-name"
_TYPES = "https://repost.aws/knowledge-center/cloudformation-update-resource-type"
_EXISTING = "https://repost.aws/knowledge-center/cloudformation-stack-delete-failed"


def named_replacements(change: Change) -> Iterator[Refusal]:
    """Refuse to replace a resource whose name stays, because the new one comes before it goes."""
    for logical_id, properties in change.made(*NAMES):
        old, kind = change.old_resources.get(logical_id), change.resources[logical_id]["Type"]
        if old is None or old["Type"] != kind:
            continue
        name = _name(change, kind, properties)
        moves = any(resource in change.replaced for resource in _referred(kind, properties))
        if name and not moves and name == _name(change, kind, old.get("Properties") or {}):
            yield Refusal(
                resource=logical_id,
                message="CloudFormation cannot update a stack when a custom-named resource"
                f" requires replacing. Rename {name[0]} and update the stack again.",
                source=_REPLACEMENTS,
            )


def taken(change: Change) -> Iterator[Refusal]:
    """Refuse to make a resource under the name of one that is there until the clean-up."""
    for logical_id, properties in change.made(*NAMES):
        kind = change.resources[logical_id]["Type"]
        name = _name(change, kind, properties)
        if logical_id in change.old_resources or not name:
            continue
        for resource in change.old_resources.values():
            if resource["Type"] == kind and name == _name(
                change, kind, resource.get("Properties") or {}
            ):
                yield Refusal(
                    resource=logical_id,
                    message=f"{name[0]} already exists in stack {change.stack}",
                    source=_EXISTING,
                )


def changed_types(change: Change) -> Iterator[Refusal]:
    """Refuse to give a logical id another type."""
    for logical_id, resource in change.resources.items():
        old = change.old_resources.get(logical_id)
        if old is not None and old["Type"] != resource["Type"]:
            yield Refusal(
                resource=logical_id,
                message="Update of resource type is not permitted. The new template modifies"
                f" resource type of the following resources: [{logical_id}]",
                source=_TYPES,
            )


def _name(change: Change, kind: str, properties: Properties) -> tuple[str, ...]:
    """Return what names a resource, or nothing if CloudFormation names it."""
    if NAMES[kind][0] not in properties:
        return ()
    return tuple(str(change.resolved(properties.get(key))) for key in NAMES[kind])


def _referred(kind: str, properties: Properties) -> Iterator[str]:
    """Yield the resources that a name refers to: with another one it is another name."""
    for key in NAMES[kind]:
        yield from (resource for resource, _ in references(properties.get(key)))
