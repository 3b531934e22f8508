"""The function's properties: read strictly when asked for, leniently when to be undone."""

from __future__ import annotations

from typing import Any

import pytest

from custom_resource import Failure
from service_accounts.bindings import bindings_of, tolerated_bindings_of
from tests.support.binder import ONE, account


def test_reads_an_account() -> None:
    asked = account(
        "apps/api", "ADOPT", Restart=["deployment/api"], Force="true", CreateNamespace="true"
    )

    (binding,) = bindings_of({"ServiceAccounts": asked}).values()

    assert binding.key == "apps/api"
    assert binding.ownership == "ADOPT"
    assert binding.role_arn == ONE
    assert binding.restart == ("deployment/api",)
    assert binding.force
    assert binding.create_namespace


def test_an_account_that_is_but_a_role_takes_the_common_manifest() -> None:
    common = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "<name>", "namespace": "<namespace>", "labels": {"a": "b"}},
    }
    [binding] = bindings_of({"Manifest": common, "ServiceAccounts": {"apps/api": ONE}}).values()

    assert (binding.key, binding.role_arn, binding.labels) == ("apps/api", ONE, {"a": "b"})


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], r"ServiceAccounts must be a map, got \[\]"),
        ({"apps/api": {"Ownership": "CREATE"}}, "Manifest must be of apps/api, got None/None"),
        ({"apps/api": {"Ownership": "CREATE", "Manifest": "{"}}, "Manifest must be of apps/api"),
        (account("apps/api", "HELM"), "Ownership must be CREATE or ADOPT, got 'HELM'"),
        (account("apps/api", Restart=["api"]), "Restart must name <kind>/<name> or \\*, got 'api'"),
        (account("apps/api", Restart=["job/api"]), "got 'job/api'"),
        (account("apps/api", Restart=["deployments/api"]), "got 'deployments/api'"),
    ],
)
def test_refuses_what_it_cannot_do_and_tolerates_it_as_the_past(asked: Any, told: str) -> None:
    with pytest.raises(Failure, match=told):
        bindings_of({"ServiceAccounts": asked})

    assert tolerated_bindings_of({"ServiceAccounts": asked}) == {}


def test_names_all_faults_at_once() -> None:
    asked = {**account("apps/api", "HELM"), **account("apps/web", Restart=["web"])}

    with pytest.raises(Failure, match=r"apps/api.*apps/web"):
        bindings_of({"ServiceAccounts": asked})


def test_nothing_asked_for_is_nothing_to_do() -> None:
    assert bindings_of({}) == {}
