"""How late AWS is in a run, and what it does twice; by default at once, and once.

A test sets it with `Account.slow`.
"""

import json
from dataclasses import dataclass

PATH = "/_rehearsal/slowness"


@dataclass(frozen=True, kw_only=True)
class Slowness:
    """What is late; all numbers but the last two are seconds.

    Args:
        events: until an asynchronous event reaches its function.
        waited: that such an event has waited already when it is sent.
        again: until an event that crashed its function is tried again; AWS takes 60 and then 120.
        sign_in: that a new access entry lets nobody in (401).
        permissions: that an access policy, once associated, gives nothing (403).
        iam: that a change of a role has no effect yet.
        iam_lists: that the list of a role's policies is older.
        log_group: after the deletion of a cluster, EKS makes its log group again. Default: never.
        cancelled_after: until the Create of *cancelled* is cancelled.
        cancelled: logical id of a custom resource whose Create CloudFormation cancels.
        copies: how often an asynchronous event is delivered.
    """

    events: float = 0.0
    waited: float = 0.0
    again: float = 0.5
    sign_in: float = 0.0
    permissions: float = 0.0
    iam: float = 0.0
    iam_lists: float = 0.0
    log_group: float | None = None
    cancelled_after: float = 0.0
    cancelled: str = ""
    copies: int = 1


class _State:
    slowness = Slowness()


def current() -> Slowness:
    """Return how slow AWS is now."""
    return _State.slowness


def read(body: bytes) -> None:
    """Take over what a test sends."""
    _State.slowness = Slowness(**json.loads(body))
