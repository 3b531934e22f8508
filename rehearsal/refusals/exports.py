"""Exports that other stacks import."""

from collections.abc import Iterator
from typing import Any

from rehearsal.refusals.change import Change, Refusal, Template
from rehearsal.refusals.intrinsics import references

SOURCE = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html"
)


def in_use(change: Change) -> Iterator[Refusal]:
    """Refuse to delete or to change an export that another stack imports."""
    before, after = (_exports(change, template) for template in (change.old or {}, change.new))
    for name, value in before.items():
        users = [user for user in change.imports.get(name, ()) if user != change.stack]
        if not users:
            continue
        if name not in after:
            verb = "deleted"
        elif after[name] != value or any(
            resource in change.replaced for resource, _ in references(value)
        ):
            verb = "updated"
        else:
            continue
        yield Refusal(
            resource=change.stack,
            message=f"Export {name} cannot be {verb} as it is in use by {', '.join(users)}",
            source=SOURCE,
        )


def imported(template: Template) -> set[str]:
    """Return the names of the exports that a template imports."""
    return set(_imported(template))


def _imported(value: Any) -> Iterator[str]:
    match value:
        case {"Fn::ImportValue": str(name)}:
            yield name
        case dict():
            for part in value.values():
                yield from _imported(part)
        case list():
            for part in value:
                yield from _imported(part)


def _exports(change: Change, template: Template) -> dict[str, Any]:
    return {
        str(change.resolved(output["Export"]["Name"])): output["Value"]
        for output in (template.get("Outputs") or {}).values()
        if "Export" in output
    }
