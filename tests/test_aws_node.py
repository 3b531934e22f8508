"""`AwsNodeRebinding` and `AwsNodeAddon` in templates."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import Stack, assertions
from aws_cdk import aws_iam as iam

from irsa_stack import (
    AwsNodeAddon,
    AwsNodeRebinding,
    ClusterConnection,
    EksOidcProvider,
    IrsaServiceAccounts,
)
from irsa_stack.faults import InvalidInput

ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
CNI = {
    "Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/AmazonEKS_CNI_Policy"]]
}


def accounts_of(stack: Stack) -> IrsaServiceAccounts:
    return IrsaServiceAccounts(
        stack,
        "ServiceAccounts",
        cluster=ClusterConnection.from_attributes(
            cluster_name="payments-prod",
            endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
            certificate_authority_data="LS0tLS1CRUdJTi...",
        ),
        oidc_provider=EksOidcProvider.from_issuer_url(stack, "OidcProvider", ISSUER),
        kubernetes_version="1.36",
    )


def resources(*node_roles: str) -> dict[str, Any]:
    stack = Stack()
    AwsNodeRebinding(
        stack,
        "AwsNode",
        service_accounts=accounts_of(stack),
        node_roles=[iam.Role.from_role_name(stack, name, name) for name in node_roles],
    )
    found: dict[str, Any] = assertions.Template.from_stack(stack).to_json()["Resources"]
    return found


@pytest.fixture(scope="module")
def two_roles() -> dict[str, Any]:
    return resources("nodes", "spot")


def of_type(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: r for name, r in found.items() if r["Type"] == kind}


def moving(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The policies that let the function move policies, by logical id."""
    return {
        name: policy["Properties"]["PolicyDocument"]["Statement"]
        for name, policy in of_type(found, "AWS::IAM::Policy").items()
        if "AttachRolePolicy" in str(policy)
    }


def test_the_function_may_move_this_policy_on_this_role_and_nothing_else(
    two_roles: dict[str, Any],
) -> None:
    statements = list(moving(two_roles).values())

    assert len(statements) == 2
    for (listing, changing), name in zip(statements, ("nodes", "spot"), strict=True):
        assert listing["Action"] == "iam:ListAttachedRolePolicies"
        assert changing["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
        assert changing["Condition"] == {"ArnEquals": {"iam:PolicyARN": [CNI]}}
        for statement in (listing, changing):
            assert statement["Resource"]["Fn::Join"][1][-1] == f":role/{name}"


def test_a_node_role_that_leaves_takes_a_resource_with_it_and_changes_no_other(
    two_roles: dict[str, Any],
) -> None:
    # CloudFormation deletes it after the update that gives the policy back.
    one = moving(resources("nodes"))

    assert one.items() < moving(two_roles).items()


def test_the_rebinding_comes_after_its_permissions_and_its_access(
    two_roles: dict[str, Any],
) -> None:
    (rebinding,) = of_type(two_roles, "Custom::AwsNodeRebinding").values()
    (access,) = of_type(two_roles, "AWS::EKS::AccessEntry")

    assert {access, *moving(two_roles)} <= set(rebinding["DependsOn"])


def test_the_function_may_ask_whether_the_cluster_is_gone(two_roles: dict[str, Any]) -> None:
    told = [
        r for r in of_type(two_roles, "AWS::IAM::Role").values() if "eks:DescribeCluster" in str(r)
    ]

    assert len(told) == 1
    assert ":cluster/payments-prod" in str(told[0])


def test_a_new_cluster_needs_no_right_on_any_node_role() -> None:
    assert moving(resources()) == {}


@pytest.mark.parametrize("second", [AwsNodeAddon, AwsNodeRebinding])
def test_refuses_a_second_construct_for_aws_node(second: type) -> None:
    stack = Stack()
    accounts = accounts_of(stack)
    AwsNodeRebinding(stack, "First", service_accounts=accounts)

    with pytest.raises(InvalidInput) as told:
        second(stack, "Second", service_accounts=accounts)

    assert f"got {second.__name__} 'Default/Second' beside AwsNodeRebinding 'Default/First'" in str(
        told.value
    )
