"""IAM and access entries settle late: what is written shows, and has no effect for a while.

See:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html
    https://github.com/hashicorp/terraform-provider-aws/issues/4209
"""

import contextvars
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import eks, iam

from rehearsal.emulator import slowness

Parameters = dict[str, Any]

# Account and role -> when its attached policies changed, and what they were before.
_history: dict[tuple[str, str], list[tuple[float, list[str]]]] = {}
_gather = iam_evaluator._gather_role_policies
_list = iam._list_attached_role_policies
_review = eks._authenticate_token_review
_associate = eks._associate_access_policy


def install() -> None:
    """Let changes of roles and access entries settle."""
    for action in ("AttachRolePolicy", "DetachRolePolicy"):
        iam._IAM_HANDLERS[action] = _remembering(iam._IAM_HANDLERS[action])
    iam._IAM_HANDLERS["ListAttachedRolePolicies"] = listed
    iam_evaluator._gather_role_policies = effective
    eks._authenticate_token_review = reviewed
    eks._associate_access_policy = associate


def listed(parameters: Parameters) -> Any:
    """ListAttachedRolePolicies, as it was a while ago."""
    name = iam._p(parameters, "RoleName")
    with _Before(get_account_id(), name, slowness.current().iam_lists):
        return _list(parameters)


def effective(role_name: str, account_id: str) -> Any:
    """Return the policies that count: none of a new role, and those attached a while ago."""
    seconds = slowness.current().iam
    role = iam._roles.get_scoped(account_id, None, role_name)
    if role is not None and seconds and _age(role["CreateDate"]) < seconds:
        return []
    with _Before(account_id, role_name, seconds):
        return _gather(role_name, account_id)


def reviewed(cluster: str, account: str, region: str, review: Any, secret: str = "") -> Any:
    """Answer a TokenReview; an access entry that has not settled lets nobody in."""
    status, headers, body = _review(cluster, account, region, review, secret)
    seconds = slowness.current().sign_in
    answer = json.loads(body)
    if seconds and answer.get("status", {}).get("authenticated"):
        entry = _entry_of(cluster, answer["status"]["user"]["username"])
        if entry is not None and time.time() - entry["createdAt"] < seconds:
            answer["status"] = {"authenticated": False}
            body = json.dumps(answer).encode()
    return status, headers, body


def associate(cluster: str, principal: str, body: Any) -> Any:
    """AssociateAccessPolicy; its permissions come a while later."""
    seconds = slowness.current().permissions
    if not seconds:
        return _associate(cluster, principal, body)
    context = contextvars.copy_context()
    threading.Timer(seconds, context.run, (_associate, cluster, principal, body)).start()
    return 200, {}, b"{}"


class _Before:
    """Shows a role as it was some seconds ago."""

    def __init__(self, account: str, name: str, seconds: float) -> None:
        self._role = iam._roles.get_scoped(account, None, name) or {}
        since = time.monotonic() - seconds
        changes = _history.get((account, name), [])
        self._then = next((then for at, then in changes if at > since), None)

    def __enter__(self) -> None:
        self._now = self._role.get("AttachedPolicies")
        if self._then is not None:
            self._role["AttachedPolicies"] = self._then

    def __exit__(self, *_error: object) -> None:
        if self._then is not None:
            self._role["AttachedPolicies"] = self._now


def _remembering(action: Callable[[Parameters], Any]) -> Callable[[Parameters], Any]:
    def run(parameters: Parameters) -> Any:
        account, name = get_account_id(), iam._p(parameters, "RoleName")
        then = list((iam._roles.get(name) or {}).get("AttachedPolicies", ()))
        answer = action(parameters)
        _history.setdefault((account, name), []).append((time.monotonic(), then))
        return answer

    return run


def _entry_of(cluster: str, username: str) -> Any:
    """Return the access entry that a signed-in user came by."""
    for _key, entry in eks._access_entries.all_items():
        if entry.get("clusterName") != cluster:
            continue
        role = entry["principalArn"].rsplit("/", 1)[-1]
        if username in (entry["principalArn"], entry.get("username")) or f"/{role}/" in username:
            return entry
    return None


def _age(created: str) -> float:
    then = datetime.fromisoformat(created)
    return time.time() - then.timestamp()
