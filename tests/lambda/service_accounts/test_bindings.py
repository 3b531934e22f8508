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


COMMON = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {
        "name": "<name>",
        "namespace": "<namespace>",
        "labels": {"made-by": "us"},
        "annotations": {"eks.amazonaws.com/role-arn": "<role>", "regional": "true"},
    },
}
SPECIAL = {"Labels": {"app": "api"}, "Annotations": {"regional": "false", "note": "x"}}


@pytest.mark.parametrize(
    ("entry", "labels", "annotations"),
    [
        (ONE, {"made-by": "us"}, {"regional": "true"}),
        ({"Role": ONE}, {"made-by": "us"}, {"regional": "true"}),
        (
            {"Role": ONE, **SPECIAL},
            {"made-by": "us", "app": "api"},
            {"regional": "false", "note": "x"},
        ),
        ({"Role": ONE, "Ownership": "ADOPT"}, {}, {}),
        (
            {"Role": ONE, "Ownership": "ADOPT", **SPECIAL},
            {"app": "api"},
            {"regional": "false", "note": "x"},
        ),
    ],
)
def test_what_is_special_joins_the_common_manifest_of_what_we_make(
    entry: Any, labels: dict[str, str], annotations: dict[str, str]
) -> None:
    [binding] = bindings_of({"Manifest": COMMON, "ServiceAccounts": {"apps/api": entry}}).values()

    assert (binding.key, binding.labels) == ("apps/api", labels)
    assert binding.annotations == {**annotations, "eks.amazonaws.com/role-arn": ONE}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], r"ServiceAccounts must be a map, got \[\]"),
        ({"api": ONE}, "must be keyed by namespace/name, got 'api'"),
        ({"apps/api": {"Ownership": "CREATE"}}, "Role must be the ARN of a role, got None"),
        ({"apps/api": {"Role": {"Ref": "x"}}}, "Role must be the ARN of a role, got {'Ref': 'x'}"),
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
