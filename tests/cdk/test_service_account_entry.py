import pytest
from aws_cdk import Stack

from irsa_stack import InvalidInput
from tests.support.clusters import service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import COMMERCIAL, Deployment

NOTE = {"note": "x" * 2_000}


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def accounts(stack):
    return service_accounts(stack)


def bound(stack):
    """What the function gets."""
    deployment = Deployment({"Stack": template_of(stack)}, COMMERCIAL)
    [(_, _, body)] = deployment.resources("Custom::ServiceAccounts")
    return deployment.value("Stack", body["Properties"]["ServiceAccounts"])


def bound_of(names):
    stack = Stack(app_with_flags(), "Stack")
    accounts = service_accounts(stack)
    for name in names:
        accounts.add(f"apps/{name}")
    return bound(stack)


def fill(accounts, count, **kwargs):
    for number in range(count):
        accounts.add(f"apps/account-{number}", **kwargs)


@pytest.mark.parametrize("special", [{}, {"restart": ["deployment/api"], "labels": {"app": "api"}}])
def test_one_custom_resource_binds_as_many_as_a_stack_holds(stack, accounts, special):
    fill(accounts, 400, **special)
    assert len(bound(stack)) == 400


def test_the_order_of_adding_changes_nothing():
    assert list(bound_of(["c", "a", "b"]).items()) == list(bound_of(["a", "b", "c"]).items())


def test_an_account_that_comes_changes_one_entry():
    before, after = bound_of(["a", "c"]), bound_of(["a", "b", "c"])
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"apps/b"}


def test_refuses_more_than_an_update_could_send(accounts):
    with pytest.raises(InvalidInput) as caught:
        fill(accounts, 120, annotations=NOTE)
    # Old and new properties travel in one invocation of at most 256 KiB.
    [fault] = caught.value.faults
    assert fault.startswith("service accounts must be at most 100000 bytes together, got 10")
    assert fault.endswith("or spread the service accounts over several stacks")


def test_after_a_refusal_a_smaller_one_is_still_bound(stack, accounts):
    with pytest.raises(InvalidInput):
        fill(accounts, 120, annotations=NOTE)
    accounts.add("apps/small")
    assert "apps/small" in bound(stack)


def test_a_common_account_is_its_role_and_nothing_more(stack, accounts):
    api = accounts.add("apps/api")
    deployment = Deployment({"Stack": template_of(stack)}, COMMERCIAL)
    arn = deployment.value("Stack", stack.resolve(api.role_arn))
    assert bound(stack) == {"apps/api": arn}


def test_a_special_account_is_its_role_and_what_differs(stack, accounts):
    accounts.add("apps/api", restart=["deployment/api"])
    assert bound(stack)["apps/api"].keys() == {"Role", "Restart"}
