"""The examples that the rehearsal can have: deployed, looked at and destroyed."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from rehearsal.account import ACCOUNT_ID, REPOSITORY, Account
from rehearsal.cdk import Cdk
from rehearsal.kubernetes import Cluster

PYTHON = REPOSITORY / ".venv" / "bin" / "python"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
CNI_POLICY = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
CLUSTER = "orders-prod"
NODE_ROLE = "orders-prod-nodes"
# The others cannot be had here: `minimal` rightly trusts no issuer on loopback; the function by
# which `aws_eks` makes a cluster can be told no endpoint; `cross_account` wants two accounts, and
# `china` another partition.
AS_THEY_STAND = ("gitops", "multi_cluster_role")
# What the others' READMEs ask to put into `app.py`, as it stands there.
ISSUER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
ENDPOINT = "https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com"
CERTIFICATE_AUTHORITY = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"


class Example:
    """An example in an account."""

    def __init__(self, cdk: Cdk, folder: Path) -> None:
        self._cdk = cdk
        self._folder = folder
        program = f"PYTHONPATH={shlex.quote(str(REPOSITORY))} {shlex.quote(str(PYTHON))} app.py"
        self._app = f"--app=env {program}"

    def deploy(self) -> str:
        """Deploy it and return what the CLI prints."""
        return self._cdk.succeed(
            "deploy", "--all", "--require-approval=never", self._app, folder=self._folder
        )

    def destroy(self) -> None:
        """Destroy it."""
        self._cdk.succeed("destroy", "--all", "--force", self._app, folder=self._folder)


@pytest.mark.parametrize("name", AS_THEY_STAND)
def test_is_deployed_and_destroyed(name: str, bootstrapped: Account, environment: Path) -> None:
    example = Example(Cdk(bootstrapped, environment), REPOSITORY / "examples" / name)
    assert "✅" in example.deploy()
    example.destroy()


@pytest.fixture(scope="module")
def orders_prod(bootstrapped: Account) -> dict[str, Any]:
    """A cluster that another tool made, with its provider and its node role."""
    iam = bootstrapped.client("iam")
    _service_role(iam, NODE_ROLE, "ec2.amazonaws.com")
    iam.attach_role_policy(RoleName=NODE_ROLE, PolicyArn=CNI_POLICY)
    bootstrapped.client("eks").create_cluster(
        name=CLUSTER,
        version="1.36",
        roleArn=_service_role(iam, CLUSTER, "eks.amazonaws.com"),
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
        accessConfig={"authenticationMode": "API"},
    )
    iam.create_open_id_connect_provider(
        Url=bootstrapped.issuer_url, ClientIDList=["sts.amazonaws.com"]
    )
    cluster: dict[str, Any] = bootstrapped.client("eks").describe_cluster(name=CLUSTER)["cluster"]
    return cluster


@pytest.fixture
def example(
    request: pytest.FixtureRequest,
    orders_prod: dict[str, Any],
    bootstrapped: Account,
    environment: Path,
    tmp_path: Path,
) -> Example:
    """The example that the test is named after, with what its README asks to put in."""
    name = request.function.__name__.removeprefix("test_")
    source = REPOSITORY / "examples" / name
    app = (source / "app.py").read_text()
    for placeholder, value in (
        (ISSUER_URL, orders_prod["identity"]["oidc"]["issuer"]),
        (ENDPOINT, orders_prod["endpoint"]),
        (CERTIFICATE_AUTHORITY, orders_prod["certificateAuthority"]["data"]),
    ):
        assert app.count(placeholder) == 1
        app = app.replace(placeholder, value)
    folder = tmp_path / name
    folder.mkdir()
    (folder / "app.py").write_text(app)
    (folder / "cdk.json").write_text((source / "cdk.json").read_text())
    return Example(Cdk(bootstrapped, environment), folder)


@pytest.fixture
def kubernetes(bootstrapped: Account) -> Cluster:
    """The cluster as its administrator meets it."""
    assert bootstrapped.kubernetes is not None
    return bootstrapped.kubernetes


def test_existing_cluster(example: Example, kubernetes: Cluster) -> None:
    _create_namespaces(kubernetes, "orders", "shop")
    kubernetes.create_service_account("shop", namespace="shop")

    example.deploy()
    accounts = _roles_of_accounts(kubernetes)
    assert accounts["orders/worker"].startswith(f"arn:aws:iam::{ACCOUNT_ID}:role/")
    assert accounts["shop/shop"].startswith(f"arn:aws:iam::{ACCOUNT_ID}:role/")
    assert accounts["orders/worker"] != accounts["shop/shop"]

    example.destroy()
    accounts = _roles_of_accounts(kubernetes)
    assert "orders/worker" not in accounts
    assert accounts["shop/shop"] == ""


def test_aws_node_only(example: Example, kubernetes: Cluster, bootstrapped: Account) -> None:
    printed = example.deploy()
    role = _roles_of_accounts(kubernetes)["kube-system/aws-node"]
    assert f"OrdersAwsNode.RoleSeen = {role}" in printed
    assert f"OrdersAwsNode.DetachedFrom = {NODE_ROLE}" in printed
    assert _attached(bootstrapped, NODE_ROLE) == []

    example.destroy()
    assert _roles_of_accounts(kubernetes)["kube-system/aws-node"] == ""
    assert _attached(bootstrapped, NODE_ROLE) == [CNI_POLICY]


def test_many_service_accounts(example: Example, kubernetes: Cluster) -> None:
    teams = [f"team-{number:02}" for number in range(20)]
    _create_namespaces(kubernetes, *teams)

    example.deploy()
    expected = {f"{team}/service-{number:02}" for team in teams for number in range(15)}
    roles = {
        account: role
        for account, role in _roles_of_accounts(kubernetes).items()
        if account in expected
    }
    assert len(roles) == 300
    assert len(set(roles.values())) == 300

    example.destroy()
    assert not expected & _roles_of_accounts(kubernetes).keys()


def _service_role(iam: Any, name: str, service: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return str(made["Role"]["Arn"])


def _attached(account: Account, role: str) -> list[str]:
    answer = account.client("iam").list_attached_role_policies(RoleName=role)
    return [policy["PolicyArn"] for policy in answer["AttachedPolicies"]]


def _create_namespaces(kubernetes: Cluster, *names: str) -> None:
    kubernetes.apply(
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names)
    )


def _roles_of_accounts(kubernetes: Cluster) -> dict[str, str]:
    """Return the role that each account names, empty for none, by `namespace/name`."""
    found = json.loads(
        kubernetes.kubectl("get", "serviceaccounts", "--all-namespaces", "--output=json")
    )
    return {
        f"{metadata['namespace']}/{metadata['name']}": metadata.get("annotations", {}).get(
            ROLE_ANNOTATION, ""
        )
        for metadata in (item["metadata"] for item in found["items"])
    }
