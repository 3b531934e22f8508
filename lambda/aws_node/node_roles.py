"""The policies of node roles, as IAM has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from custom_resource import Failure, OutOfTime, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_node.rebinding import Attachment
    from custom_resource import Deadline

_CONFIG = Config(
    connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
)
# What a stack made or allowed a moment ago takes a while to count.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
SETTLING_SECONDS = 45.0
_POLL_SECONDS = 3.0
# IAM is busy, with others or with this role: asked again until the deadline.
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
_BUSY = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable",
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceFailure",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class NodeRoles:
    """Reads, attaches and detaches; each change is a no-op when it is done already."""

    def __init__(self, deadline: Callable[[], Deadline]) -> None:
        self._deadline = deadline
        self._settled_at = 0.0
        self._client: Any = None

    def policies(self, role: str, *, is_known: bool = True) -> list[str] | None:
        """ARNs of the managed policies of a role, None when there is no such role.

        Args:
            role: Its name.
            is_known: Whether it was there before. One that is new may not be seen yet.
        """
        found: list[str] = []
        page: dict[str, Any] | None = {"IsTruncated": True}
        while page and page["IsTruncated"]:
            marker = {"Marker": page["Marker"]} if "Marker" in page else {}
            page = self._ask("list_attached_role_policies", RoleName=role, **marker)
            if page is None and not is_known and self._is_settling():
                log("asking again", level="WARNING", asked=role, said="there is no such role")
                self._deadline().sleep(_POLL_SECONDS)
                page = {"IsTruncated": True}
                continue
            found += [p["PolicyArn"] for p in page["AttachedPolicies"]] if page else []
        return None if page is None else found

    def attach(self, attachments: Iterable[Attachment]) -> None:
        """Attach, whatever a list says: IAM's lists are late. What is gone needs nothing."""
        for role, policy in sorted(attachments):
            done = self._ask("attach_role_policy", RoleName=role, PolicyArn=policy)
            log("attached" if done is not None else "gone, not attached", role=role, policy=policy)

    def detach(self, attachment: Attachment) -> None:
        """Detach a policy; one that is gone already is success."""
        role, policy = attachment
        done = self._ask("detach_role_policy", RoleName=role, PolicyArn=policy)
        log("detached" if done is not None else "detached already", role=role, policy=policy)

    def _ask(self, operation: str, **named: str) -> dict[str, Any] | None:
        """IAM's answer, None when what is asked for does not exist.

        Raises:
            Failure: It is refused, or IAM does not answer.
        """
        asked = f"iam:{operation.title().replace('_', '')} {' '.join(named.values())}"
        while True:
            self._deadline().remaining()
            try:
                if self._client is None:
                    self._client = boto3.client("iam", config=_CONFIG)
                answer: dict[str, Any] = getattr(self._client, operation)(**named)
            except ClientError as error:
                code, said = error.response["Error"]["Code"], error.response["Error"]["Message"]
                if code == "NoSuchEntity":
                    return None
                denied = code.startswith("AccessDenied")
                fix = "; let this function's role do it" if denied else ""
                refused = Failure(f"{asked}: IAM says {said!r} ({code}){fix}")
                if code not in _BUSY and not (denied and self._is_settling()):
                    raise refused from error
                log("asking again", level="WARNING", asked=asked, said=said, code=code)
            except BotoCoreError as error:
                raise Failure(
                    f"{asked}: IAM must answer, got {str(error)!r}; check that this function's "
                    "subnets have a way to IAM's endpoint (a NAT gateway)"
                ) from error
            else:
                return answer
            try:
                self._deadline().sleep(_POLL_SECONDS)
            except OutOfTime:
                raise refused from None

    def _is_settling(self) -> bool:
        """Whether a refusal may pass: for a while from the first."""
        now = time.monotonic()
        self._settled_at = self._settled_at or now + SETTLING_SECONDS
        return now + _POLL_SECONDS <= self._settled_at
