"""Whether aws-node's pods run on its role: from their specs alone."""

from __future__ import annotations

from typing import Any

import pytest

from aws_node.pods import faults_of, nodes_of, of_daemon_set, role_of

OWN = "arn:aws:iam::111122223333:role/aws-node"
DAEMON_SET = {"metadata": {"uid": "1"}, "status": {"desiredNumberScheduled": 2}}
TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"


def _pod(
    node: str | None, role: str | None = OWN, file: str | None = TOKEN_FILE, uid: str = "1"
) -> dict[str, Any]:
    environment = {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": file}
    env = [{"name": name, "value": value} for name, value in environment.items() if value]
    containers = [{"name": "aws-eks-nodeagent"}, {"name": "aws-node", "env": env}]
    placed = {"nodeName": node} if node else {}
    return {
        "metadata": {"name": f"aws-node-{node}", "ownerReferences": [{"uid": uid}]},
        "spec": {"containers": containers, **placed},
    }


def test_every_node_has_a_pod_on_the_role() -> None:
    assert faults_of([_pod("a"), _pod("b")], DAEMON_SET, OWN) == ""


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ([_pod("a"), _pod("b", None)], "pod aws-node-b on b has (None, "),
        ([_pod("a"), _pod("b", "other")], "pod aws-node-b on b has ('other', "),
        ([_pod("a"), _pod("b", OWN, None)], f"pod aws-node-b on b has ('{OWN}', None)"),
        ([_pod("a")], "1 of 2 nodes have a pod"),
        ([_pod("a"), _pod(None)], "1 of 2 nodes have a pod"),
        ([_pod(str(n), None) for n in range(9)], "and 4 more"),
    ],
)
def test_names_the_pods_that_fail(pods: list[dict[str, Any]], told: str) -> None:
    assert told in faults_of(pods, DAEMON_SET, OWN)


def test_only_the_container_that_calls_ec2_counts() -> None:
    pod = _pod("a", None)
    pod["spec"]["containers"][0]["env"] = [{"name": "AWS_ROLE_ARN", "value": OWN}]

    assert role_of(pod) is None


def test_pods_that_go_or_belong_to_others_do_not_count() -> None:
    going = _pod("a")
    going["metadata"]["deletionTimestamp"] = "now"

    assert of_daemon_set([going, _pod("b", uid="2"), _pod("c")], DAEMON_SET) == [_pod("c")]


def test_a_pod_that_is_not_placed_is_on_no_node() -> None:
    assert nodes_of([_pod("a"), _pod(None)]) == {"a"}
