"""CloudFormation refuses what AWS's rules refuse: `rehearsal/refusals/` has them.

AWS finds out while it makes the resources, here nothing is made before; events, words and the
stack's status are the same.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_region
from ministack.services import cloudformation, ec2
from ministack.services.cloudformation import handlers, stacks

from rehearsal.emulator.service_actions import query_action
from rehearsal.refusals import Change, Place, refusals

_STACK = "AWS::CloudFormation::Stack"
_PREVIOUS = (
    "_template",
    "_resolved_params",
    "_template_body",
    "Parameters",
    "Tags",
    "Outputs",
    "_conditions",
)

Record = dict[str, Any]

_fails_validation = stacks._fail_property_validation


def install() -> None:
    """Ask the rules before a stack is created or updated."""
    stacks._fail_property_validation = is_refused


def is_refused(
    stack: Record,
    stack_id: str,
    stack_name: str,
    resources: Record,
    *request: Any,
    previous_stack: Record | None = None,
) -> bool:
    """End an operation that AWS refuses, and say whether it was."""
    _ordered, parameters, _conditions, _mappings, disable_rollback = request
    found = refusals(_change(stack, stack_name, resources, parameters, previous_stack))
    if not found:
        validated = stack, stack_id, stack_name, resources, *request
        return bool(_fails_validation(*validated, previous_stack=previous_stack))
    verb = "CREATE" if previous_stack is None else "UPDATE"
    for refusal in found:
        kind = resources.get(refusal.resource, {}).get("Type", _STACK)
        stacks._add_event(
            stack_id, stack_name, refusal.resource, kind, f"{verb}_FAILED", refusal.message
        )
    reason = f"The following resource(s) failed: [{', '.join(one.resource for one in found)}]."
    for key in _PREVIOUS if previous_stack is not None else ():
        stack[key] = previous_stack[key]
    rollback = "ROLLBACK" if previous_stack is None else "UPDATE_ROLLBACK"
    ends = [f"{verb}_FAILED"] if disable_rollback else [f"{rollback}_IN_PROGRESS"]
    if not disable_rollback:
        ends.append(f"{rollback}_COMPLETE")
    for status in ends:
        stacks._add_event(stack_id, stack_name, stack_name, _STACK, status, reason, stack_id)
    stack["StackStatus"], stack["StackStatusReason"] = ends[-1], reason
    return True


def _change(
    stack: Record,
    stack_name: str,
    resources: Record,
    parameters: Record,
    previous: Record | None,
) -> Change:
    body = handlers._parse_template(stack["_template_body"])
    new = {"Resources": resources, "Outputs": body.get("Outputs") or {}}
    return Change(
        stack=stack_name,
        new=_with(parameters, new),
        old=previous and _with(previous["_resolved_params"], previous["_template"]),
        tags=_tags(stack),
        old_tags=_tags(previous or {}),
        imports=_imports(stack_name),
        place=_place(),
    )


def _imports(stack_name: str) -> Mapping[str, list[str]]:
    """Return what other stacks import, by export."""
    found = defaultdict(list)
    for name, other in cloudformation._stacks.items():
        if name != stack_name and not other["StackStatus"].startswith("DELETE"):
            for export in handlers._imported_export_names(other, name):
                found[export].append(name)
    return found


def _place() -> Place:
    answer = query_action("Ec2", ec2._ACTION_MAP["DescribeAvailabilityZones"])
    zones = {
        str(item.findtext("zoneName")): str(item.findtext("zoneId"))
        for item in answer.findall(".//availabilityZoneInfo/item")
    }
    return Place(region=get_region(), zones=zones)


def _tags(stack: Record) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags") or []}


def _with(parameters: Record, value: Any) -> Any:
    """Return *value* with the parameters that a template refers to."""
    if isinstance(value, list):
        return [_with(parameters, part) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in parameters:
        return parameters[value["Ref"]]["Value"]
    return {key: _with(parameters, part) for key, part in value.items()}
