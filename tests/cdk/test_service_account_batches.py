import json

import pytest
from aws_cdk import Stack

from tests.support.clusters import service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import COMMERCIAL, Deployment


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def accounts(stack):
    return service_accounts(stack)


def batches(stack):
    """What the function gets, every batch."""
    deployment = Deployment({"Stack": template_of(stack)}, COMMERCIAL)
    return [
        deployment.value("Stack", body["Properties"]["ServiceAccounts"])
        for _, _, body in deployment.resources("Custom::ServiceAccounts")
    ]


def only_batch(stack):
    [batch] = batches(stack)
    return batch


@pytest.mark.parametrize("count", [1, 2, 50])
def test_one_custom_resource_binds_all_accounts(stack, accounts, count):
    for number in range(count):
        accounts.add(f"Account{number}", namespace="apps", name=f"account-{number}")
    assert len(only_batch(stack)) == count


def test_the_order_of_adding_changes_nothing():
    def batch(names):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for name in names:
            accounts.add(name, namespace="apps", name=name)
        return json.dumps(only_batch(stack))

    assert batch(["c", "a", "b"]) == batch(["a", "b", "c"])


def test_an_account_that_comes_changes_one_entry():
    def batch(names):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for name in names:
            accounts.add(name, namespace="apps", name=name)
        return only_batch(stack)

    before, after = batch(["a", "c"]), batch(["a", "b", "c"])
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"apps/b"}


def test_batches_split_before_an_update_could_not_be_sent(stack, accounts):
    for number in range(120):
        accounts.add(
            f"Account{number}",
            namespace="apps",
            name=f"account-{number}",
            annotations={"note": "x" * 2_000},
        )
    found = batches(stack)
    assert len(found) > 1
    assert sum(map(len, found)) == 120
    # Old and new properties travel in one invocation of at most 256 KiB.
    assert all(2 * len(json.dumps(batch)) < 256 * 1024 for batch in found)


def test_no_neighbour_moves_an_account_to_another_batch():
    def placed(count):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for number in range(count):
            accounts.add(
                f"Account{number}", namespace="apps", name=f"account-{number}",
                annotations={"note": "x" * 2_000},
            )  # fmt: skip
        return {key: position for position, batch in enumerate(batches(stack)) for key in batch}

    fewer, more = placed(60), placed(61)
    assert max(fewer.values()) == max(more.values())
    assert {key: more[key] for key in fewer} == fewer


def test_a_common_account_is_its_role_and_nothing_more(stack, accounts):
    api = accounts.add("Api", namespace="apps", name="api")
    deployment = Deployment({"Stack": template_of(stack)}, COMMERCIAL)
    arn = deployment.value("Stack", stack.resolve(api.role_arn))
    assert only_batch(stack) == {"apps/api": arn}
