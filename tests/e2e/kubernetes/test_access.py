"""What the binder may do: `AmazonEKSEditPolicy` in its namespaces, or the RBAC of its group.

The access policy is played by RBAC: a role binding of the `edit` role, which it mirrors. The group
is the real thing. See:
https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from custom_resource import Failure
from irsa_stack.kubernetes.rbac import binder_rules
from tests.support.binder import ONE, TWO, account, run
from tests.support.rehearsed import wait_until

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed


def test_is_forbidden_outside_its_namespaces_and_says_so(cluster: Rehearsed) -> None:
    inside, outside = cluster.namespace(), cluster.namespace(bound=False)
    asked = {**account(f"{inside}/api"), **account(f"{outside}/api")}

    with pytest.raises(Failure, match=r"serviceaccounts is forbidden.*access entry") as refused:
        run(cluster.connection, "Create", asked)

    assert outside in str(refused.value)
    assert cluster.account(f"{inside}/api") is None


def test_a_rollback_does_not_fail_where_access_is_gone_already(cluster: Rehearsed) -> None:
    kept, added = cluster.namespace(), cluster.namespace(bound=False)
    before = account(f"{kept}/api")
    run(cluster.connection, "Create", before)

    answer = run(cluster.connection, "Update", before, {**before, **account(f"{added}/api")})

    assert answer.data["Bound"] == "1"


def test_needs_cluster_scope_to_create_a_namespace(cluster: Rehearsed) -> None:
    asked = account(f"{cluster.namespace()}-new/api", CreateNamespace="true")

    with pytest.raises(Failure, match="is forbidden"):
        run(cluster.connection, "Create", asked)


@pytest.mark.parametrize("restart", [["deployment/api"], ["*"]])
def test_does_all_its_work_on_the_rbac_of_a_group(cluster: Rehearsed, restart: list[str]) -> None:
    namespace = cluster.namespace(bound=False)
    cluster.let_in({namespace: binder_rules(restart)})
    cluster.make_account(f"{namespace}/theirs")
    workload = cluster.make_deployment(f"{namespace}/api", account="theirs")
    cluster.make_budget(f"{namespace}/api", maxUnavailable=1)
    spared, before = f"{namespace}/spared", account(f"{namespace}/spared")

    def asked(role: str) -> dict[str, Any]:
        theirs = account(f"{namespace}/theirs", "ADOPT", role, Restart=restart)
        return {**account(f"{namespace}/ours", role=role), **theirs}

    run(cluster.connection, "Create", {**asked(ONE), **before})
    run(cluster.connection, "Update", asked(TWO), {**asked(ONE), **before})
    bound = cluster.template_role(workload)
    run(cluster.connection, "Delete", asked(TWO))

    assert bound == TWO
    assert cluster.template_role(workload) is None
    assert cluster.account(f"{namespace}/ours") is None
    assert cluster.account(spared) is None
    theirs = cluster.account(f"{namespace}/theirs")
    assert theirs
    assert "annotations" not in theirs["metadata"]


RBAC = "/apis/rbac.authorization.k8s.io/v1"
ELSE = [
    ("GET", "{ns}/secrets"),
    ("GET", "{ns}/secrets/any"),
    ("GET", "{ns}/configmaps"),
    ("GET", "{ns}/pods"),
    ("POST", "{ns}/pods"),
    ("POST", "{ns}/pods/any/exec?command=id"),
    ("GET", "{ns}/pods/any/exec?command=id"),
    ("POST", "{ns}/pods/any/eviction"),
    ("GET", "{ns}/pods/any/log"),
    ("GET", "{ns}/services/any/proxy/"),
    ("POST", "{ns}/serviceaccounts/any/token"),
    ("PUT", "{ns}/serviceaccounts/any"),
    ("DELETE", "{ns}/serviceaccounts"),
    ("POST", "{apps}/deployments"),
    ("PATCH", "{apps}/deployments/another"),
    ("PATCH", "{apps}/daemonsets/another"),
    ("DELETE", "{apps}/deployments/api"),
    ("PATCH", "{apps}/deployments/api/scale"),
    ("POST", "{rbac}/roles"),
    ("PATCH", "{rbac}/roles/system:serviceaccounts:identities"),
    ("POST", "{rbac}/rolebindings"),
    ("POST", RBAC + "/clusterrolebindings"),
    ("PATCH", RBAC + "/clusterroles/edit"),
    ("GET", "/api/v1/namespaces"),
    ("POST", "/api/v1/namespaces"),
    ("GET", "/api/v1/nodes"),
    ("GET", "/api/v1/serviceaccounts"),
    ("GET", "/api/v1/secrets"),
    ("GET", "/api/v1/namespaces/kube-system/serviceaccounts"),
    ("PATCH", "/api/v1/namespaces/kube-system/serviceaccounts/default"),
    ("PATCH", "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node"),
]


def test_is_forbidden_everything_else_on_the_rbac_of_a_group(cluster: Rehearsed) -> None:
    namespace = cluster.namespace(bound=False)
    cluster.let_in({namespace: binder_rules(["deployment/api"])})
    places = {
        "ns": f"/api/v1/namespaces/{namespace}",
        "apps": f"/apis/apps/v1/namespaces/{namespace}",
        "rbac": f"{RBAC}/namespaces/{namespace}",
    }
    wait_until(lambda: cluster.status("GET", f"{places['ns']}/serviceaccounts") == 200)

    answers = {
        (method, path): cluster.status(
            method, path.format(**places), None if method == "GET" else {}
        )
        for method, path in ELSE
    }

    assert answers == dict.fromkeys(ELSE, 403)


@pytest.mark.parametrize(
    "whom",
    [
        {"Impersonate_User": "system:admin"},
        {"Impersonate_User": "x", "Impersonate_Group": "system:masters"},
        {"Impersonate_User": "system:serviceaccount:{ns}:default"},
    ],
    ids=["user", "group", "service account"],
)
@pytest.mark.parametrize("access", ["edit", "group"])
def test_a_group_impersonates_nobody_where_edit_is_a_service_account(
    cluster: Rehearsed, whom: dict[str, str], access: str
) -> None:
    namespace = cluster.namespace(bound=access == "edit")
    if access == "group":
        cluster.let_in({namespace: binder_rules(["*"])})
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    wait_until(lambda: cluster.status("GET", path) == 200)
    headers = {name: value.format(ns=namespace) for name, value in whom.items()}
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}

    answer = cluster.status("POST", review, body, **headers)

    may = access == "edit" and ":serviceaccount:" in whom["Impersonate_User"]
    assert answer == (201 if may else 403)
