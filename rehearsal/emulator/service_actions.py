"""Calls of the emulator's own service actions, so that what a stack makes is what an API shows."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

_ERROR = 400


class ActionRefused(ValueError):  # noqa: N818 (becomes the status reason of a resource)
    """A service refused, in the words that CloudFormation shows."""


def query_action(
    service: str, action: Callable[[dict[str, list[str]]], Any], **parameters: Any
) -> ET.Element:
    """Run an action of the query protocol (IAM, EC2) and return its answer."""
    status, _headers, body = action(_flattened(parameters))
    # The emulator wrote this document, in this process.
    root = ET.fromstring(body)  # noqa: S314
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    if status >= _ERROR:
        raise ActionRefused(
            f"{root.findtext('.//Message')} (Service: {service}, Status Code: {status},"
            f" Error Code: {root.findtext('.//Code')})"
        )
    return root


def json_action(service: str, response: Any) -> dict[str, Any]:
    """Return the answer of an action of a JSON protocol (EKS)."""
    status, _headers, body = response
    answer: dict[str, Any] = json.loads(body or b"{}")
    if status >= _ERROR:
        raise ActionRefused(
            f"{answer.get('message') or answer} (Service: {service}, Status Code: {status})"
        )
    return answer


def camel_case(value: Any) -> Any:
    """Return CloudFormation's `PropertyNames` as a JSON API's `propertyNames`."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel_case(item) for key, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


def tag_map(properties: dict[str, Any]) -> dict[str, str]:
    """Return CloudFormation's list of tags as a map."""
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}


def _flattened(parameters: dict[str, Any]) -> dict[str, list[str]]:
    """Write lists as `Name.member.N`, as the query protocol does."""
    flat: dict[str, list[str]] = {}
    for key, value in parameters.items():
        if isinstance(value, list):
            for position, item in enumerate(value, 1):
                member = f"{key}.member.{position}"
                fields = item.items() if isinstance(item, dict) else [("", item)]
                for field, text in fields:
                    flat[f"{member}.{field}" if field else member] = [str(text)]
        elif value is not None:
            flat[key] = [str(value)]
    return flat
