"""The function is killed between any two of its writes; CloudFormation then rolls back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from aws_node.node_roles import NodeRoles
from kubernetes_api.connection import Api
from tests.support.aws_node import TWO, WORKER_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.aws_node import AwsNode

# Account, DaemonSet, two node roles. A change of roles gives the policies back first, twice. A
# Delete marks the account before that, and takes the journal off last.
CREATE_WRITES, UPDATE_WRITES, DELETE_WRITES = 4, 8, 8


class Killed(BaseException):
    """Lambda stopped the function."""


@contextlib.contextmanager
def killed_at(write: int) -> Iterator[None]:
    """Kill the function instead of its n-th write, counted from 0, to Kubernetes or to IAM."""
    sent = 0

    def count() -> None:
        nonlocal sent
        if sent == write:
            raise Killed
        sent += 1

    to_kubernetes, to_iam = Api.request, NodeRoles._ask

    def request(self: Api, method: str, path: str, *args: Any, **named: Any) -> Any:
        if method == "PATCH":
            count()
        return to_kubernetes(self, method, path, *args, **named)

    def ask(self: NodeRoles, operation: str, **named: str) -> Any:
        if not operation.startswith("list"):
            count()
        return to_iam(self, operation, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Api, "request", request)
        patch.setattr(NodeRoles, "_ask", ask)
        with pytest.raises(Killed):
            yield


@pytest.mark.parametrize("write", range(CREATE_WRITES))
def test_a_killed_create_leaves_nothing_after_the_rollback(aws_node: AwsNode, write: int) -> None:
    before = aws_node.state()

    with aws_node.watched():
        with killed_at(write):
            aws_node.deploy("Create")
        # CloudFormation makes up an id when it was not told one.
        aws_node.deploy("Delete", physical_id="stack-AwsNode-1ABCDEFGHIJKL")

    assert aws_node.state() == before


@pytest.mark.parametrize("write", range(UPDATE_WRITES))
def test_a_killed_update_is_undone_by_the_rollback(aws_node: AwsNode, write: int) -> None:
    aws_node.deploy("Create")
    before, other = aws_node.state(), aws_node.properties(RoleArn=TWO)

    with aws_node.watched():
        with killed_at(write):
            aws_node.deploy("Update", other)
        aws_node.deploy("Update", old=other)

    assert aws_node.state() == before


@pytest.mark.parametrize("write", range(DELETE_WRITES))
def test_a_killed_delete_ends_when_it_is_tried_again(aws_node: AwsNode, write: int) -> None:
    before = aws_node.state()
    aws_node.deploy("Create")

    with aws_node.watched():
        with killed_at(write):
            aws_node.deploy("Delete")
        aws_node.deploy("Delete")

    assert aws_node.state() == before


@pytest.mark.parametrize("write", range(DELETE_WRITES))
def test_a_killed_delete_gives_back_only_what_was_detached(aws_node: AwsNode, write: int) -> None:
    aws_node.iam.roles["bare"] = [WORKER_POLICY]
    aws_node.deploy("Create")

    with killed_at(write):
        aws_node.deploy("Delete")
    aws_node.deploy("Delete")

    assert aws_node.iam.roles["bare"] == [WORKER_POLICY]


@pytest.mark.parametrize("write", range(CREATE_WRITES))
def test_a_create_that_is_sent_again_after_a_kill_ends_as_one(
    aws_node: AwsNode, write: int
) -> None:
    with killed_at(write):
        aws_node.deploy("Create")
    aws_node.deploy("Create")
    once = aws_node.state()
    aws_node.deploy("Delete")

    aws_node.deploy("Create")

    assert once == aws_node.state()
