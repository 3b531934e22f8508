"""`AwsNodeRebinding`'s function on the RBAC of its group, in place of `AmazonEKSEditPolicy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from irsa_stack.kubernetes.rbac import aws_node_rules
from tests.support.aws_node import ONE, TWO
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.aws_node import AwsNode
    from tests.support.rehearsed import Rehearsed

SYSTEM = "/api/v1/namespaces/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system"


@pytest.fixture
def grouped(cluster: Rehearsed) -> Iterator[Rehearsed]:
    """The cluster; the function is let in by its group only."""
    cluster.plane.kubectl("delete", "rolebinding", "functions", "--namespace=kube-system")
    cluster.let_in({"kube-system": aws_node_rules()})
    wait_until(lambda: cluster.status("GET", f"{SYSTEM}/secrets") == 403)
    wait_until(lambda: cluster.status("GET", f"{SYSTEM}/pods") == 200)
    yield cluster
    cluster.plane.kubectl(
        "delete", "rolebinding,role", "system:serviceaccounts:identities", "--namespace=kube-system"
    )
    cluster.allow("kube-system")  # for the fixture to take away


@pytest.mark.usefixtures("grouped")
def test_binds_rebinds_and_gives_all_back(aws_node: AwsNode) -> None:
    before = aws_node.state()

    created = aws_node.deploy("Create")
    updated = aws_node.deploy(
        "Update", aws_node.properties(RoleArn=TWO), aws_node.properties(RoleArn=ONE)
    )
    aws_node.deploy("Delete", aws_node.properties(RoleArn=TWO))

    assert (created.data["RoleSeen"], updated.data["RoleSeen"]) == (ONE, TWO)
    assert created.data["DetachedFrom"] == "nodes,spot"
    assert aws_node.state() == before


ELSE = [
    ("GET", f"{SYSTEM}/secrets"),
    ("GET", f"{SYSTEM}/configmaps"),
    ("GET", f"{SYSTEM}/serviceaccounts"),
    ("GET", f"{SYSTEM}/serviceaccounts/default"),
    ("PATCH", f"{SYSTEM}/serviceaccounts/default"),
    ("POST", f"{SYSTEM}/serviceaccounts"),
    ("DELETE", f"{SYSTEM}/serviceaccounts/aws-node"),
    ("POST", f"{SYSTEM}/serviceaccounts/aws-node/token"),
    ("POST", f"{SYSTEM}/pods"),
    ("POST", f"{SYSTEM}/pods?dryRun=All"),
    ("GET", f"{SYSTEM}/pods/any"),
    ("DELETE", f"{SYSTEM}/pods/any"),
    ("POST", f"{SYSTEM}/pods/any/exec?command=id"),
    ("GET", f"{APPS}/daemonsets"),
    ("PATCH", f"{APPS}/daemonsets/kube-proxy"),
    ("DELETE", f"{APPS}/daemonsets/aws-node"),
    ("POST", f"{APPS}/daemonsets"),
    ("GET", f"{APPS}/deployments"),
    ("PATCH", f"{APPS}/deployments/coredns"),
    ("POST", f"{RBAC}/rolebindings"),
    ("PATCH", f"{RBAC}/roles/system:serviceaccounts:identities"),
    ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/edit"),
    ("GET", "/api/v1/namespaces/default/pods"),
    ("GET", "/api/v1/pods"),
    ("GET", "/api/v1/nodes"),
]
CONTROLLER = "system:serviceaccount:kube-system:clusterrole-aggregation-controller"


def test_is_forbidden_everything_else(grouped: Rehearsed) -> None:
    answers = {
        (method, path): grouped.status(method, path, None if method == "GET" else {})
        for method, path in ELSE
    }

    assert answers == dict.fromkeys(ELSE, 403)


def test_cannot_be_a_controller_that_may_give_itself_the_cluster(grouped: Rehearsed) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"

    assert grouped.status("GET", path, Impersonate_User=CONTROLLER) == 403


def test_with_the_edit_policy_it_can(cluster: Rehearsed) -> None:
    """Why the group is the documented choice: the security review's finding 3."""
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"

    assert cluster.status("GET", path, Impersonate_User=CONTROLLER) == 200
