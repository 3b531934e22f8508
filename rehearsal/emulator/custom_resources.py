"""Rules of CloudFormation for custom resources that ministack leaves out.

A create that FAILED is followed by a Delete of the physical id that it reported; one that is
cancelled, because another resource failed, by a Delete at once, while the function still runs
(https://github.com/aws/aws-cdk/issues/26139). An answer must echo the request's identifiers and fit
4,096 bytes.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

import contextvars
import json
import logging
import secrets
import threading
from typing import Any

from ministack.services.cloudformation import custom_resource, provisioners

from rehearsal.emulator import slowness

ANSWER_BYTES = 4096

_TYPE = "AWS::CloudFormation::CustomResource"
_IDENTIFIERS = ("PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId")
_logger = logging.getLogger(__name__)

# Stack and logical id of a failed resource -> the physical id that it reported.
_failed: dict[tuple[str, str], str] = {}
_deliver = custom_resource.deliver_response
_create = provisioners._custom_resource_create


def install() -> None:
    """Put our rules between a function's answer and the stack engine."""
    custom_resource.deliver_response = deliver_response
    provisioners._custom_resource_create = create
    provisioners._RESOURCE_HANDLERS[_TYPE]["create"] = create


def deliver_response(token: str, response: Any) -> Any:
    """Hand an answer to the engine; a malformed one becomes the failure that AWS reports."""
    fault = answer_fault(response)
    if fault:
        response = {"Status": "FAILED", "Reason": fault, "PhysicalResourceId": None}
    elif response["Status"] == "FAILED":
        resource = response["StackId"], response["LogicalResourceId"]
        _failed[resource] = response["PhysicalResourceId"]
    return _deliver(token, response)


def answer_fault(response: Any) -> str | None:
    """Return what CloudFormation says about a malformed answer, in its words."""
    if len(json.dumps(response, separators=(",", ":"))) > ANSWER_BYTES:
        return "Response object is too long."
    if not isinstance(response, dict):
        return "Invalid response object: not a JSON object"
    missing = [key for key in _IDENTIFIERS if not _is_text(response.get(key))]
    if missing:
        return f"Invalid {missing[0]}"
    if response.get("Status") not in ("SUCCESS", "FAILED"):
        return "Invalid response object: Value of property Status must be an enum"
    if response["Status"] == "FAILED" and not response.get("Reason"):
        return "Invalid response object: Reason is required when Status is FAILED"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def create(
    logical_id: str, properties: dict[str, Any], stack_name: str, resource_type: str = _TYPE
) -> Any:
    """Create a custom resource; if it fails, delete what it says it has made."""
    slow = slowness.current()
    if slow.cancelled == logical_id:
        _cancel(slow.cancelled_after, logical_id, properties, stack_name, resource_type)
    try:
        return _create(logical_id, properties, stack_name, resource_type)
    except RuntimeError:
        physical_id = _failed.pop((provisioners._cr_stack_id(stack_name), logical_id), None)
        if physical_id:
            _clean_up(physical_id, properties, stack_name, logical_id, resource_type)
        raise


def _cancel(seconds: float, *request: Any) -> None:
    """Begin to create, and delete before the function has answered.

    Raises:
        RuntimeError: as AWS says it; always.
    """
    context = contextvars.copy_context()
    creating = threading.Thread(target=context.run, args=(_abandoned, *request), daemon=True)
    creating.start()
    creating.join(seconds)
    logical_id, properties, stack_name, resource_type = request
    placeholder = f"{stack_name}-{logical_id}-{secrets.token_hex(6).upper()}"
    _clean_up(placeholder, properties, stack_name, logical_id, resource_type)
    raise RuntimeError("Resource creation cancelled")


def _abandoned(*request: Any) -> None:
    try:
        _create(*request)
    except Exception as error:  # noqa: BLE001 (nobody waits for it any more)
        _logger.warning("cancelled create of %s: %s", request[0], error)


def _clean_up(physical_id: str, *request: Any) -> None:
    properties, stack_name, logical_id, resource_type = request
    try:
        provisioners._custom_resource_delete(
            physical_id, properties, stack_name, logical_id, resource_type
        )
    except Exception as error:  # noqa: BLE001 (must not hide why the create failed)
        _logger.warning("delete after failed create of %s: %s", logical_id, error)
