"""`aws-node` is bound, verified, rebound and released on real API servers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.aws_node import (
    ACCOUNT,
    CNI_POLICY,
    DAEMON_SET,
    EVENTS,
    JOURNAL,
    ONE,
    OWNER,
    ROLE,
    TWO,
    WORKER_POLICY,
    events_in_order,
    journal,
    nodes,
)
from tests.support.cloudformation import STACK_ID
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from tests.support.aws_node import AwsNode

ANOTHER_STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/other/1"


@pytest.mark.parametrize("count", [1, 3, 50])
def test_binds_verifies_detaches_and_gives_all_back(aws_node: AwsNode, count: int) -> None:
    with nodes(aws_node.cluster.plane, count):
        wait_until(lambda: len(aws_node.pods) == count, 60)
        before = aws_node.state()
        with aws_node.watched():
            answer = aws_node.deploy("Create", seconds=300)
            bound = aws_node.state()
            aws_node.deploy("Delete", seconds=300)
        after = aws_node.state()
        aws_node.remove()

    assert answer.physical_id == "rehearsal/aws-node"
    assert answer.data == {
        "NodesChecked": str(count),
        "RoleSeen": ONE,
        "DetachedFrom": "nodes,spot",
    }
    assert [role for _, role in bound["pods"]] == [ONE] * count
    assert bound["node roles"] == {"nodes": [WORKER_POLICY], "spot": []}
    assert bound["uids"] == before["uids"]
    assert after == before


def test_detaches_last_and_attaches_first(aws_node: AwsNode) -> None:
    start = aws_node.cluster.audit_position()

    aws_node.deploy("Create")
    aws_node.deploy("Delete")

    assert events_in_order(aws_node, start) == [
        "patch serviceaccounts",
        "patch daemonsets",
        "DetachRolePolicy nodes",
        "DetachRolePolicy spot",
        "patch serviceaccounts",
        "AttachRolePolicy nodes",
        "AttachRolePolicy spot",
        "patch serviceaccounts",
        "patch daemonsets",
        "patch serviceaccounts",
    ]


def test_writes_only_its_own_keys(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")

    found, daemon_set = aws_node.account, aws_node.daemon_set
    assert found
    assert daemon_set
    assert aws_node.annotations == {
        ROLE: ONE,
        OWNER: f"{STACK_ID}#AwsNode",
        JOURNAL: f'{{"nodes":["{CNI_POLICY}"],"spot":["{CNI_POLICY}"]}}',
        EVENTS: aws_node.annotations[EVENTS],
    }
    assert daemon_set["spec"]["template"]["metadata"]["annotations"] == {"irsa-stack/role-arn": ONE}
    ours = [
        entry for entry in found["metadata"]["managedFields"] if entry["manager"] == "irsa-stack"
    ]
    assert [entry["operation"] for entry in ours] == ["Apply"]
    assert ours[0]["fieldsV1"] == {
        "f:metadata": {"f:annotations": {f"f:{key}": {} for key in (ROLE, OWNER, JOURNAL, EVENTS)}}
    }


def test_a_new_cluster_without_nodes_is_done_at_once(aws_node: AwsNode) -> None:
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"there": "is-none"}}}}}
    aws_node.cluster.admin.merge(DAEMON_SET, nowhere)
    aws_node.settle()

    answer = aws_node.deploy("Create", aws_node.properties(NodeRoleNames=[]))

    assert answer.data == {"NodesChecked": "0", "RoleSeen": ONE, "DetachedFrom": "none"}
    assert aws_node.iam.calls == []


def test_the_same_role_writes_nothing(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    start, calls = aws_node.cluster.audit_position(), len(aws_node.iam.changes)

    answer = aws_node.deploy("Update")

    assert aws_node.cluster.writes(start) == []
    assert len(aws_node.iam.changes) == calls
    assert answer.data["DetachedFrom"] == "nodes,spot"


def test_another_role_restarts_once(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    start = aws_node.cluster.audit_position()

    with aws_node.watched():
        aws_node.deploy("Update", aws_node.properties(RoleArn=TWO))

    assert [event for event in events_in_order(aws_node, start) if "daemonsets" in event] == [
        "patch daemonsets"
    ]
    assert aws_node.state()["pods"] == [("node-1", TWO)]
    assert aws_node.iam.roles == {"nodes": [WORKER_POLICY], "spot": []}


def test_another_role_has_the_node_roles_behind_it_until_it_is_verified(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    start, known = aws_node.cluster.audit_position(), len(aws_node.iam.calls)

    aws_node.deploy("Update", aws_node.properties(RoleArn=TWO))

    del aws_node.iam.calls[:known]
    assert events_in_order(aws_node, start) == [
        "AttachRolePolicy nodes",
        "AttachRolePolicy spot",
        "patch serviceaccounts",
        "patch daemonsets",
        "DetachRolePolicy nodes",
        "DetachRolePolicy spot",
    ]


def test_a_node_role_that_is_added_loses_the_policy_without_a_restart(aws_node: AwsNode) -> None:
    only_nodes = aws_node.properties(NodeRoleNames=["nodes"])
    aws_node.deploy("Create", only_nodes)
    start, known = aws_node.cluster.audit_position(), len(aws_node.iam.calls)

    answer = aws_node.deploy("Update", old=only_nodes)

    del aws_node.iam.calls[:known]
    assert events_in_order(aws_node, start) == ["patch serviceaccounts", "DetachRolePolicy spot"]
    assert answer.data["DetachedFrom"] == "nodes,spot"


def test_a_node_role_that_is_dropped_gets_the_policy_back(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")

    answer = aws_node.deploy("Update", aws_node.properties(NodeRoleNames=["nodes"]))

    assert aws_node.iam.changes[2:] == [("AttachRolePolicy", "spot", "AmazonEKS_CNI_Policy")]
    assert answer.data["DetachedFrom"] == "nodes"
    assert journal(aws_node) == {"nodes": [CNI_POLICY]}


def test_what_an_operator_had_detached_before_is_not_given_back(aws_node: AwsNode) -> None:
    aws_node.iam.roles["spot"] = []

    answer = aws_node.deploy("Create")
    aws_node.deploy("Delete")

    assert answer.data["DetachedFrom"] == "nodes"
    assert aws_node.iam.roles["spot"] == []


def test_waits_for_an_aws_node_that_is_not_there_yet(aws_node: AwsNode) -> None:
    aws_node.remove()
    late = threading.Timer(1.0, aws_node.cluster.plane.apply, args=_installation())
    late.start()

    answer = aws_node.deploy("Create")

    late.join()

    assert answer.data["NodesChecked"] == "1"


def test_a_changed_annotation_is_left_alone_on_delete(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.annotate(role=TWO)

    with aws_node.watched():
        aws_node.deploy("Delete")

    assert aws_node.annotations == {ROLE: TWO}
    assert aws_node.state()["pods"] == [("node-1", TWO)]
    assert aws_node.iam.roles["spot"] == [CNI_POLICY]


def test_a_changed_annotation_does_not_fail_an_unrelated_update(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.annotate(role=TWO)
    start = aws_node.cluster.audit_position()

    answer = aws_node.deploy("Update", aws_node.properties(RolloutTimeoutSeconds="30"))

    assert answer.data["RoleSeen"] == TWO
    assert aws_node.cluster.writes(start) == []


def test_an_account_that_was_made_anew_fails_no_unrelated_update_nor_its_rollback(
    aws_node: AwsNode,
) -> None:
    aws_node.deploy("Create")
    admin, collection = aws_node.cluster.admin, ACCOUNT.removesuffix("/aws-node")
    aws_node.cluster.plane.kubectl(
        "delete", "--namespace=kube-system", "serviceaccount", "aws-node"
    )
    made = {"metadata": {"name": "aws-node", "annotations": {ROLE: TWO}}}
    admin.request("POST", collection, made, query={"fieldManager": "helm"})
    fewer, start = aws_node.properties(NodeRoleNames=["nodes"]), aws_node.cluster.audit_position()

    aws_node.deploy("Update", fewer)
    aws_node.deploy("Update", old=fewer)

    assert aws_node.cluster.writes(start) == []
    assert aws_node.annotations == {ROLE: TWO}


def test_an_annotation_that_went_is_put_back(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.annotate(role=None)
    start = aws_node.cluster.audit_position()

    aws_node.deploy("Update", aws_node.properties(RolloutTimeoutSeconds="30"))

    assert aws_node.annotations[ROLE] == ONE
    assert "patch daemonsets" not in events_in_order(aws_node, start)


def test_pods_that_were_made_while_the_annotation_was_gone_are_restarted(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.annotate(role=None)
    aws_node.cluster.plane.kubectl(
        "delete", "pods", "--namespace=kube-system", "--selector=k8s-app=aws-node"
    )
    aws_node.settle()

    aws_node.deploy("Update", aws_node.properties(RolloutTimeoutSeconds="30"))

    assert aws_node.state()["pods"] == [("node-1", ONE)]
    assert aws_node.iam.roles == {"nodes": [WORKER_POLICY], "spot": []}


@pytest.mark.parametrize("gone", ["daemonset", "serviceaccount", "both"])
def test_delete_gives_the_policies_back_when_aws_node_is_gone(aws_node: AwsNode, gone: str) -> None:
    aws_node.deploy("Create")
    for kind in ("daemonset", "serviceaccount"):
        if gone in (kind, "both"):
            aws_node.cluster.plane.kubectl("delete", "--namespace=kube-system", kind, "aws-node")

    aws_node.deploy("Delete")

    assert sorted(aws_node.iam.roles["nodes"]) == sorted([WORKER_POLICY, CNI_POLICY])
    assert aws_node.annotations == {}


def test_delete_succeeds_when_a_node_role_is_gone(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    properties = aws_node.properties()
    del aws_node.iam.roles["spot"]

    aws_node.deploy("Delete", properties)

    assert aws_node.annotations == {}


def test_a_lost_journal_gives_back_every_policy(aws_node: AwsNode) -> None:
    aws_node.deploy("Create")
    aws_node.cluster.plane.kubectl(
        "annotate", "--namespace=kube-system", "serviceaccount", "aws-node", f"{JOURNAL}-"
    )

    aws_node.deploy("Delete")

    assert aws_node.iam.roles["spot"] == [CNI_POLICY]


@pytest.mark.parametrize(
    "who", [{"stack_id": ANOTHER_STACK}, {"logical_id": "Renamed"}], ids=["stack", "resource"]
)
def test_another_rebinding_is_refused_and_leaves_no_trace(
    aws_node: AwsNode, who: dict[str, str]
) -> None:
    aws_node.deploy("Create")
    before, other = aws_node.state(), aws_node.properties(RoleArn=TWO)

    reason = aws_node.deploy_failing("Create", other, event="failed", **who)
    aws_node.deploy("Delete", other, physical_id="rehearsal/aws-node/unfinished/failed", **who)

    assert "must be bound by one rebinding, got it bound by" in reason
    assert aws_node.state() == before


def test_an_add_on_that_owns_the_role_is_refused_with_the_way_out(aws_node: AwsNode) -> None:
    aws_node.annotate(role=TWO, manager="eks")
    before = aws_node.state()

    reason = aws_node.deploy_failing("Create")
    aws_node.roll_back_create()

    assert "use AwsNodeAddon in place of AwsNodeRebinding" in reason
    assert "nothing had been changed" in reason
    assert aws_node.state() == before


def _installation() -> tuple[dict[str, object], ...]:
    labels = {"k8s-app": "aws-node"}
    metadata = {"name": "aws-node", "namespace": "kube-system"}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": "aws-node",
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "aws-node", "image": "amazon-k8s-cni:1"}],
            },
        },
    }
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec},
    )
