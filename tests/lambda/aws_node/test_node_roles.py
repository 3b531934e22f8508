"""Node roles' policies, through boto3 and over HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from aws_node import node_roles
from aws_node.node_roles import NodeRoles
from aws_node.rebinding import Attachment
from custom_resource import Deadline, Failure, OutOfTime
from tests.support.iam_server import IamServer

if TYPE_CHECKING:
    from collections.abc import Iterator

CNI, WORKER = "arn:aws:iam::aws:policy/CNI", "arn:aws:iam::aws:policy/Worker"


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[IamServer]:
    monkeypatch.setattr(node_roles, "SETTLING_SECONDS", 0.5)
    monkeypatch.setattr(node_roles, "_POLL_SECONDS", 0.1)
    with IamServer({"nodes": [WORKER, CNI], "bare": []}) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def roles(iam: IamServer) -> NodeRoles:
    assert iam
    deadline = Deadline(30)
    return NodeRoles(lambda: deadline)


def test_tells_the_policies_of_a_role(roles: NodeRoles) -> None:
    assert roles.policies("nodes") == [WORKER, CNI]
    assert roles.policies("bare") == []


def test_tells_a_role_that_does_not_exist(roles: NodeRoles) -> None:
    assert roles.policies("gone") is None


def test_attaches_whatever_a_late_list_says(iam: IamServer, roles: NodeRoles) -> None:
    """F2: right after a detachment IAM lists the policy as attached."""
    iam.listed = {"bare": [CNI]}

    roles.attach([Attachment("bare", CNI), Attachment("nodes", CNI)])

    assert iam.changes == [("AttachRolePolicy", "bare", "CNI")]


def test_a_role_that_is_gone_needs_no_policy(iam: IamServer, roles: NodeRoles) -> None:
    roles.attach([Attachment("gone", CNI)])

    assert iam.changes == []


def test_a_role_that_was_made_a_moment_ago_is_waited_for(iam: IamServer, roles: NodeRoles) -> None:
    """F2, A26c."""
    threading.Timer(0.2, lambda: iam.roles.update(new=[CNI])).start()

    assert roles.policies("new", is_known=False) == [CNI]


@pytest.mark.parametrize(
    "code", ["Throttling", "ServiceUnavailable", "ConcurrentModification", "RequestLimitExceeded"]
)
def test_an_iam_that_is_busy_is_asked_again(iam: IamServer, roles: NodeRoles, code: str) -> None:
    """F8: for longer than boto's own attempts."""
    iam.busy["DetachRolePolicy"] = [code] * 9

    roles.detach(Attachment("nodes", CNI))

    assert iam.roles["nodes"] == [WORKER]


def test_an_iam_that_stays_busy_is_told_at_the_deadline(iam: IamServer) -> None:
    deadline = Deadline(2.0)
    iam.busy["DetachRolePolicy"] = ["ConcurrentModification"] * 999

    with pytest.raises(Failure, match=r"iam:DetachRolePolicy nodes .*ConcurrentModification"):
        NodeRoles(lambda: deadline).detach(Attachment("nodes", CNI))


def test_detaching_twice_is_success(iam: IamServer, roles: NodeRoles) -> None:
    roles.detach(Attachment("nodes", CNI))
    roles.detach(Attachment("nodes", CNI))

    assert iam.roles["nodes"] == [WORKER]


def test_a_refusal_is_told_in_iams_words(iam: IamServer, roles: NodeRoles) -> None:
    iam.denied.add("DetachRolePolicy")

    with pytest.raises(Failure) as told:
        roles.detach(Attachment("nodes", CNI))

    assert str(told.value) == (
        "iam:DetachRolePolicy nodes arn:aws:iam::aws:policy/CNI: IAM says 'not authorized to "
        "perform: iam:DetachRolePolicy' (AccessDenied); let this function's role do it"
    )


def test_bears_a_refusal_while_new_rights_settle(
    iam: IamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_roles, "SETTLING_SECONDS", 20.0)
    iam.denied.add("ListAttachedRolePolicies")
    deadline = Deadline(30)
    threading.Timer(0.3, iam.denied.clear).start()

    assert NodeRoles(lambda: deadline).policies("bare") == []


def test_no_answer_names_the_cure(monkeypatch: pytest.MonkeyPatch, roles: NodeRoles) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", "http://127.0.0.1:9")

    with pytest.raises(Failure, match=r"IAM must answer, got .*a NAT gateway"):
        roles.policies("nodes")


def test_nothing_is_asked_after_the_deadline(iam: IamServer) -> None:
    deadline = Deadline(0)

    with pytest.raises(OutOfTime):
        NodeRoles(lambda: deadline).detach(Attachment("nodes", CNI))

    assert iam.calls == []
