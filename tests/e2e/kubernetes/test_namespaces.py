"""Namespaces made on request: with our marks, removed only when nothing else is in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from kubernetes_api import connection
from tests.support.binder import account, run

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed


@pytest.fixture(autouse=True)
def _cluster_scope(cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "eks_token", lambda _: cluster.tokens["admin"])


def test_makes_a_missing_namespace_and_removes_it_empty(cluster: Rehearsed) -> None:
    name = cluster.unused_name()
    asked = account(f"{name}/api", CreateNamespace="true")

    run(cluster.connection, "Create", asked)
    made = _namespace(cluster, name)
    run(cluster.connection, "Delete", asked)

    assert made
    assert made["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "irsa-stack"
    assert _is_going(cluster, name)


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("ConfigMap", {"data": {}}), ("Secret", {"type": "Opaque"}), ("ServiceAccount", {})],
)
def test_leaves_a_namespace_that_holds_anything_else(
    cluster: Rehearsed, kind: str, extra: dict[str, Any]
) -> None:
    name = cluster.unused_name()
    asked = account(f"{name}/api", CreateNamespace="true")
    run(cluster.connection, "Create", asked)
    thing = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "theirs", "namespace": name}}
    cluster.plane.apply({**thing, **extra})

    run(cluster.connection, "Delete", asked)

    assert not _is_going(cluster, name)
    assert cluster.account(f"{name}/api") is None


def test_leaves_a_namespace_that_holds_a_custom_resource(cluster: Rehearsed) -> None:
    name = cluster.unused_name()
    asked = account(f"{name}/api", CreateNamespace="true")
    run(cluster.connection, "Create", asked)
    cluster.define_widgets()
    widget = {"apiVersion": "example.com/v1", "kind": "Widget"}
    cluster.plane.apply({**widget, "metadata": {"name": "theirs", "namespace": name}})

    run(cluster.connection, "Delete", asked)

    assert not _is_going(cluster, name)


def test_leaves_a_namespace_that_it_did_not_make(cluster: Rehearsed) -> None:
    name = cluster.namespace()
    asked = account(f"{name}/api", CreateNamespace="true")
    run(cluster.connection, "Create", asked)

    run(cluster.connection, "Delete", asked)

    assert not _is_going(cluster, name)


def test_keeps_a_namespace_while_another_account_is_asked_for(cluster: Rehearsed) -> None:
    name = cluster.unused_name()
    both = {
        **account(f"{name}/one", CreateNamespace="true"),
        **account(f"{name}/two", CreateNamespace="true"),
    }
    run(cluster.connection, "Create", both)

    run(cluster.connection, "Update", account(f"{name}/one", CreateNamespace="true"), both)

    assert not _is_going(cluster, name)


def test_waits_for_a_namespace_that_is_going_away(cluster: Rehearsed) -> None:
    name = cluster.unused_name()
    asked = account(f"{name}/api", CreateNamespace="true")
    run(cluster.connection, "Create", asked)
    run(cluster.connection, "Delete", asked)

    run(cluster.connection, "Create", asked)

    assert cluster.account(f"{name}/api")


def test_a_namespace_whose_account_goes_with_our_access_is_left_behind(
    cluster: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cluster.unused_name()
    kept = account(f"{cluster.namespace()}/api")
    both = {**kept, **account(f"{name}/api", CreateNamespace="true")}
    run(cluster.connection, "Create", both)
    # CloudFormation updates the access entry first: `AmazonEKSEditPolicy` in what is left.
    monkeypatch.setattr(connection, "eks_token", lambda _: cluster.tokens["functions"])

    answer = run(cluster.connection, "Update", kept, both)

    assert answer.data["Bound"] == "1"
    assert not _is_going(cluster, name)
    assert cluster.account(f"{name}/api")


def _namespace(cluster: Rehearsed, name: str) -> dict[str, Any] | None:
    return cluster.admin.get(f"/api/v1/namespaces/{name}")


def _is_going(cluster: Rehearsed, name: str) -> bool:
    time.sleep(0.1)
    found = _namespace(cluster, name)
    return found is None or "deletionTimestamp" in found["metadata"]
