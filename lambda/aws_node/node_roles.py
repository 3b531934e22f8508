"""The policies of node roles, as IAM has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from custom_resource import Failure, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_node.rebinding import Attachment
    from custom_resource import Deadline

_CONFIG = Config(
    connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
)
# What a stack allowed a moment ago takes a while to count.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
SETTLING_SECONDS = 45.0
_POLL_SECONDS = 3.0


class NodeRoles:
    """Reads, attaches and detaches; each change is a no-op when it is done already."""

    def __init__(self, deadline: Callable[[], Deadline]) -> None:
        self._deadline = deadline
        self._settled_at = time.monotonic() + SETTLING_SECONDS
        self._client: Any = None

    def policies(self, role: str) -> list[str] | None:
        """ARNs of the managed policies of a role, None when there is no such role."""
        found: list[str] = []
        page: dict[str, Any] | None = {"IsTruncated": True}
        while page and page["IsTruncated"]:
            marker = {"Marker": page["Marker"]} if "Marker" in page else {}
            page = self._ask("list_attached_role_policies", RoleName=role, **marker)
            found += [p["PolicyArn"] for p in page["AttachedPolicies"]] if page else []
        return None if page is None else found

    def attach_missing(self, attachments: Iterable[Attachment]) -> int:
        """Attach what is not attached; a role or a policy that is gone needs nothing.

        Returns:
            How many were attached.
        """
        attachments = sorted(attachments)
        present = {role: self.policies(role) for role in {a.role for a in attachments}}
        attached = 0
        for role, policy in attachments:
            policies = present[role]
            if policies is None or policy in policies:
                continue
            done = self._ask("attach_role_policy", RoleName=role, PolicyArn=policy)
            log("attached" if done is not None else "gone, not attached", role=role, policy=policy)
            attached += 1
        return attached

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
                if not denied or time.monotonic() + _POLL_SECONDS > self._settled_at:
                    fix = "; let this function's role do it" if denied else ""
                    raise Failure(f"{asked}: IAM says {said!r} ({code}){fix}") from error
                log("asking again", level="WARNING", asked=asked, said=said)
            except BotoCoreError as error:
                raise Failure(
                    f"{asked}: IAM must answer, got {str(error)!r}; check that this function's "
                    "subnets have a way to IAM's endpoint (a NAT gateway)"
                ) from error
            else:
                return answer
            self._deadline().sleep(_POLL_SECONDS)
