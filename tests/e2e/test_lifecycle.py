"""The life of the product's stacks, in order: each test leaves what the next one starts from."""

import pytest
from botocore.exceptions import ClientError

from rehearsal.cdk import Cdk
from rehearsal.environments import OTHER_PARAMETER, reader, write_environment
from rehearsal.inventory import added, inventory
from rehearsal.product import ACCOUNTS_STACK, CLUSTER_STACK, Product

NOBODYS = {"namespace": "apps", "name": "nobodys", "ownership": "ADOPT"}
"""A service account that its owner never made, so that adopting it fails."""


@pytest.fixture(scope="module")
def product(bootstrapped, tmp_path_factory):
    return Product(Cdk(bootstrapped, write_environment(tmp_path_factory.mktemp("environment"))))


@pytest.fixture(scope="module")
def empty(product):
    """The inventory of the account before the first deploy."""
    return inventory(product.account)


def describe(product: Product, *service_accounts, **settings) -> None:
    """Change the environment file."""
    write_environment(product.cdk.environment.parent, *service_accounts, **settings)


def assume(product: Product) -> dict:
    return product.account.assume_role(product.role_arn, product.token())


@pytest.mark.usefixtures("empty")
def test_deploy_makes_both_stacks(product):
    product.cdk.deploy()
    assert product.status(CLUSTER_STACK) == "CREATE_COMPLETE"
    assert product.status(ACCOUNTS_STACK) == "CREATE_COMPLETE"


def test_its_outputs_name_the_role_that_the_service_account_has(product):
    outputs = product.cdk.outputs()[ACCOUNTS_STACK]
    assert product.role_arn in outputs.values()


def test_diff_of_what_is_deployed_is_empty(product):
    assert product.cdk.run("diff", "--all", "--fail").returncode == 0


def test_a_second_deploy_changes_nothing(product):
    before = inventory(product.account)
    printed = product.cdk.deploy()
    assert printed.count("(no changes)") == 2
    assert inventory(product.account) == before


def test_diff_of_a_changed_policy_exits_1(product):
    describe(product, reader(parameter=OTHER_PARAMETER))
    assert product.cdk.run("diff", "--all", "--fail").returncode == 1


def test_a_changed_policy_keeps_the_role(product):
    role_arn = product.role_arn
    product.cdk.deploy()
    assert product.role_arn == role_arn
    policies = product.account.client("iam").get_role_policy(
        RoleName=role_arn.rsplit("/", 1)[1], PolicyName="Permissions"
    )
    assert OTHER_PARAMETER in str(policies["PolicyDocument"])


def test_a_foreign_thumbprint_locks_the_role(product):
    describe(product, reader(), thumbprints=["0" * 40])
    product.cdk.deploy()
    with pytest.raises(ClientError, match="doesn't match configured thumbprint"):
        assume(product)


def test_the_computed_thumbprint_opens_it_again(product):
    describe(product, reader())
    product.cdk.deploy()
    assert assume(product)["SubjectFromWebIdentityToken"] == "system:serviceaccount:apps:reader"


def test_a_failed_update_rolls_back_to_the_same_inventory(product):
    before = inventory(product.account)
    role_arn = product.role_arn
    describe(product, reader(), NOBODYS)
    assert product.cdk.try_deploy().returncode == 1
    assert product.status(ACCOUNTS_STACK) == "UPDATE_ROLLBACK_COMPLETE"
    assert inventory(product.account) == before
    assert product.role_arn == role_arn


def test_destroy_leaves_nothing(product, empty):
    describe(product, reader())
    token, role_arn = product.token(), product.role_arn
    product.cdk.destroy()
    assert added(empty, inventory(product.account)) == {}
    with pytest.raises(ClientError, match="No OpenIDConnect provider found"):
        product.account.assume_role(role_arn, token)


def test_destroy_gives_aws_node_back_as_it_was(product):
    account = product.kubernetes.get("serviceaccount", "aws-node", namespace="kube-system")
    assert not [key for key in account["metadata"]["annotations"] if not key.startswith("kubectl.")]


def test_a_failed_create_leaves_nothing(product, empty):
    describe(product, reader(), NOBODYS)
    assert product.cdk.try_deploy().returncode == 1
    assert product.status(ACCOUNTS_STACK) == "ROLLBACK_COMPLETE"
    product.cdk.destroy()
    assert added(empty, inventory(product.account)) == {}
