"""The binder's side of a deploy: properties, events, and one call of its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Deadline, Request
from service_accounts import on_event
from tests.support.cloudformation import STACK_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from custom_resource import Answer

LOGICAL_ID = "Batch0"
ROLE = "eks.amazonaws.com/role-arn"
ONE = "arn:aws:iam::111122223333:role/one"
TWO = "arn:aws:iam::111122223333:role/two"


def account(key: str, ownership: str = "CREATE", role: str = ONE, **more: Any) -> dict[str, Any]:
    """One entry of the property, keyed as it is there."""
    special = {section.capitalize(): more.pop(section, {}) for section in ("labels", "annotations")}
    return {key: {"Role": role, "Ownership": ownership, **special, **more}}


def run(
    connection: Mapping[str, str],
    kind: str,
    accounts: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    *,
    logical_id: str = LOGICAL_ID,
    stack_id: str = STACK_ID,
    seconds: float = 60.0,
    **properties: Any,
) -> Answer:
    """Let the function do the work of one event."""
    common = {"Cluster": dict(connection), **properties}
    request = Request(
        type=kind,
        physical_id=None if kind == "Create" else f"{connection['Name']}/{logical_id}",
        properties={**common, "ServiceAccounts": dict(accounts)},
        old_properties={} if old is None else {**common, "ServiceAccounts": dict(old)},
        stack_id=stack_id,
        logical_id=logical_id,
        request_id="request",
    )
    return on_event.work(request, Deadline(seconds))
