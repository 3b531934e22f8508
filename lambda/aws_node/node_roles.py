"""The CNI's policies on node roles: three IAM calls, and what they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from custom_resource import Failure, log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # role name -> ARNs of policies
    Policies = Mapping[str, Sequence[str]]

_PATIENT = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 6})


def iam_client() -> Any:  # noqa: ANN401 - boto3 has no types
    """A client of IAM that retries within bounds."""
    return boto3.client("iam", config=_PATIENT)


class NodeRoles:
    """What is done to node roles in one event, remembered so that it can be undone."""

    def __init__(self) -> None:
        self._iam = iam_client()
        self._detached: list[tuple[str, str]] = []

    def attached(self, role: str, policies: Sequence[str]) -> list[str]:
        """Which of the policies a role has.

        Raises:
            Failure: IAM refuses to tell, or the role does not exist.
        """
        pages = self._iam.get_paginator("list_attached_role_policies")
        try:
            arns = {
                policy["PolicyArn"]
                for page in pages.paginate(RoleName=role)
                for policy in page["AttachedPolicies"]
            }
        except (ClientError, BotoCoreError) as error:
            raise _failure("list the policies of", role, error) from error
        return [arn for arn in policies if arn in arns]

    def detach(self, role: str, policy: str) -> None:
        """Take a policy off a role; one that is off already is success.

        Raises:
            Failure: IAM refuses.
        """
        # Before the call: when its answer is lost, it may have happened.
        self._detached.append((role, policy))
        try:
            self._iam.detach_role_policy(RoleName=role, PolicyArn=policy)
        except (ClientError, BotoCoreError) as error:
            if not _is_missing(error):
                raise _failure(f"detach {policy} from", role, error) from error
        log("detached", role=role, policy=policy)

    def attach(self, role: str, policy: str) -> None:
        """Give a policy to a role; a role or policy that is gone is success.

        Raises:
            Failure: IAM refuses.
        """
        try:
            self._iam.attach_role_policy(RoleName=role, PolicyArn=policy)
        except (ClientError, BotoCoreError) as error:
            if not _is_missing(error):
                raise _failure(f"attach {policy} to", role, error) from error
            log("gone", level="WARNING", role=role, policy=policy)
            return
        log("attached", role=role, policy=policy)

    def undo(self) -> list[str]:
        """Attach again what was detached, newest first. Returns what could not be, in words."""
        problems = []
        for role, policy in reversed(self._detached):
            try:
                self.attach(role, policy)
            except Failure as failure:
                problems.append(str(failure))
        self._detached.clear()
        return problems

    @property
    def changed(self) -> bool:
        """Whether anything was detached that is not attached again."""
        return bool(self._detached)


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchEntity"


def _failure(action: str, role: str, error: Exception) -> Failure:
    return Failure(f"could not {action} the node role {role}: IAM says {error}")
