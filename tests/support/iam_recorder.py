"""IAM's three calls on node roles, with the state behind them. For unit and cluster tests only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CNI_POLICY = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"


class RecordingIam:
    """Roles and their policies; what was called, in order."""

    def __init__(self, **roles: list[str]) -> None:
        self.roles = {name: list(policies) for name, policies in roles.items()}
        self.calls: list[tuple[str, str, str]] = []
        self.denied: set[str] = set()
        self.before_write: Callable[[], None] = lambda: None

    def get_paginator(self, _name: str) -> RecordingIam:
        """The paginator of `list_attached_role_policies`."""
        return self

    def paginate(self, *, RoleName: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - IAM's names
        self._check("ListAttachedRolePolicies", RoleName)
        for arn in self.roles[RoleName]:
            yield {"AttachedPolicies": [{"PolicyArn": arn}]}

    def attach_role_policy(self, *, RoleName: str, PolicyArn: str) -> None:  # noqa: N803
        self._write("AttachRolePolicy", RoleName, PolicyArn)
        if PolicyArn not in self.roles[RoleName]:
            self.roles[RoleName].append(PolicyArn)

    def detach_role_policy(self, *, RoleName: str, PolicyArn: str) -> None:  # noqa: N803
        self._write("DetachRolePolicy", RoleName, PolicyArn)
        if PolicyArn not in self.roles[RoleName]:
            raise _error("NoSuchEntity", "DetachRolePolicy")
        self.roles[RoleName].remove(PolicyArn)

    def _write(self, operation: str, role: str, policy: str) -> None:
        self.before_write()
        self._check(operation, role)
        self.calls.append((operation, role, policy.rpartition("/")[2]))

    def _check(self, operation: str, role: str) -> None:
        if operation in self.denied or f"{operation} {role}" in self.denied:
            raise _error("AccessDenied", operation)
        if role not in self.roles:
            raise _error("NoSuchEntity", operation)


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} for the test"}}, operation)
