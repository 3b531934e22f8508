"""`AwsNodeRebinding` and `AwsNodeAddon` in templates."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import CfnParameter, Duration, RemovalPolicy, Stack, Tags, aws_iam
from constructs import Construct

from irsa_stack import (
    AwsNodeAddon,
    AwsNodeRebinding,
    InvalidInput,
    Ownership,
    ServiceAccounts,
)
from irsa_stack.controllers.statements import Location
from irsa_stack.controllers.vpc_cni import policy_documents
from tests.support.clusters import connection, imported_provider, service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import ACCOUNT, COMMERCIAL, Deployment

if TYPE_CHECKING:
    from irsa_stack import ServiceAccount

CNI = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
DOCUMENT = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture
def stack() -> Stack:
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def accounts(stack: Stack) -> ServiceAccounts:
    return service_accounts(stack)


def rebind(
    stack: Stack, accounts: ServiceAccounts, *node_roles: str, **kwargs: Any
) -> AwsNodeRebinding:
    roles = [aws_iam.Role.from_role_name(stack, name, name) for name in node_roles]
    return AwsNodeRebinding(stack, "AwsNode", service_accounts=accounts, node_roles=roles, **kwargs)


def of_type(stack: Stack, resource_type: str, containing: str = "") -> dict[str, dict[str, Any]]:
    """Resources as CloudFormation resolves them, by logical id."""
    found = Deployment({"Stack": template_of(stack)}, COMMERCIAL)
    return {
        name: {**body, "Properties": found.value("Stack", body["Properties"])}
        for _, name, body in found.resources(resource_type)
        if containing in json.dumps(body)
    }


def properties(stack: Stack, resource_type: str, containing: str = "") -> dict[str, Any]:
    [resource] = of_type(stack, resource_type, containing).values()
    found: dict[str, Any] = resource["Properties"]
    return found


def rebinding_of(*node_roles: str) -> Stack:
    made = Stack(app_with_flags(), "Stack")
    rebind(made, service_accounts(made), *node_roles)
    return made


@pytest.fixture(scope="module")
def two_roles() -> Stack:
    return rebinding_of("nodes", "spot")


def moving(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """The policies that let the function move policies, by logical id."""
    return {
        name: policy["Properties"]["PolicyDocument"]["Statement"]
        for name, policy in of_type(stack, "AWS::IAM::Policy", "AttachRolePolicy").items()
    }


def test_the_role_of_aws_node_has_the_cni_policy(stack: Stack, accounts: ServiceAccounts) -> None:
    rebind(stack, accounts)

    assert properties(stack, "AWS::IAM::Role", "WebIdentity")["ManagedPolicyArns"] == [CNI]


def test_a_document_of_ones_own_takes_the_policys_place(
    stack: Stack, accounts: ServiceAccounts
) -> None:
    rebind(stack, accounts, ip_family="ipv6", cni_policy=DOCUMENT)

    role = properties(stack, "AWS::IAM::Role", "WebIdentity")
    assert "ManagedPolicyArns" not in role
    assert [policy["PolicyName"] for policy in role["Policies"]] == ["Cni"]


@pytest.mark.parametrize("construct", [AwsNodeRebinding, AwsNodeAddon])
def test_for_ipv6_the_role_has_the_policy_of_our_own(
    stack: Stack, accounts: ServiceAccounts, construct: type
) -> None:
    construct(stack, "AwsNode", service_accounts=accounts, ip_family="ipv6")

    role = properties(stack, "AWS::IAM::Role", "WebIdentity")
    assert "ManagedPolicyArns" not in role
    [policy] = role["Policies"]
    here = Location(partition="aws", region="eu-west-1", aws_account=ACCOUNT)
    assert policy["PolicyDocument"] == policy_documents(location=here, ip_family="ipv6")["VpcCni"]


def test_the_transaction_is_one_custom_resource(stack: Stack, accounts: ServiceAccounts) -> None:
    rebind(stack, accounts, "payments-nodes")

    found = properties(stack, "Custom::AwsNodeRebinding")
    assert found["Cluster"]["Name"] == "payments-prod"
    assert found["NodeRoleNames"] == ["payments-nodes"]
    assert found["PolicyArns"] == [CNI]
    assert found["RolloutTimeoutSeconds"] == "780"


def test_a_rollout_may_be_given_less_time(stack: Stack, accounts: ServiceAccounts) -> None:
    rebind(stack, accounts, rollout_timeout=Duration.minutes(2))

    assert properties(stack, "Custom::AwsNodeRebinding")["RolloutTimeoutSeconds"] == "120"


def test_the_function_enters_kube_system_only(stack: Stack, accounts: ServiceAccounts) -> None:
    rebind(stack, accounts)

    [policy] = properties(stack, "AWS::EKS::AccessEntry")["AccessPolicies"]
    assert policy["AccessScope"] == {"Type": "namespace", "Namespaces": ["kube-system"]}


def test_the_function_may_move_this_policy_on_this_role_and_nothing_else(two_roles: Stack) -> None:
    statements = list(moving(two_roles).values())

    assert len(statements) == 2
    for (listing, changing), name in zip(statements, ("nodes", "spot"), strict=True):
        assert listing["Action"] == "iam:ListAttachedRolePolicies"
        assert changing["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
        assert changing["Condition"] == {"ArnEquals": {"iam:PolicyARN": [CNI]}}
        for statement in (listing, changing):
            assert statement["Resource"].endswith(f":role/{name}")


def test_a_node_role_that_leaves_takes_a_resource_with_it_and_changes_no_other(
    two_roles: Stack,
) -> None:
    # CloudFormation deletes it after the update that gives the policy back.
    one = moving(rebinding_of("nodes"))

    assert one.items() < moving(two_roles).items()


def test_a_new_cluster_needs_no_right_on_any_node_role(
    stack: Stack, accounts: ServiceAccounts
) -> None:
    rebind(stack, accounts)

    assert moving(stack) == {}


def test_a_role_handed_in_moves_the_policy_and_needs_no_access_entry(stack: Stack) -> None:
    role = aws_iam.Role(
        stack, "Handler", assumed_by=aws_iam.ServicePrincipal("lambda.amazonaws.com")
    )
    rebind(stack, service_accounts(stack, handler_role=role), "nodes")

    assert of_type(stack, "AWS::EKS::AccessEntry") == {}
    assert (
        properties(stack, "AWS::Lambda::Function")["Role"].rpartition("/")[2].startswith("Handler")
    )
    [policy] = of_type(stack, "AWS::IAM::Policy", "AttachRolePolicy").values()
    assert policy["Properties"]["Roles"][0].startswith("Handler")


def test_the_rebinding_comes_after_its_permissions_and_its_access(two_roles: Stack) -> None:
    [rebinding] = of_type(two_roles, "Custom::AwsNodeRebinding").values()
    [access] = of_type(two_roles, "AWS::EKS::AccessEntry")

    assert {access, *moving(two_roles)} <= set(rebinding["DependsOn"])


def test_the_function_may_ask_whether_the_cluster_is_gone(two_roles: Stack) -> None:
    role = properties(two_roles, "AWS::IAM::Role", "eks:DescribeCluster")

    assert ":cluster/payments-prod" in str(role)


def test_the_addon_carries_the_role(stack: Stack, accounts: ServiceAccounts) -> None:
    AwsNodeAddon(stack, "AwsNode", service_accounts=accounts, addon_version="v1.22.1-eksbuild.1")

    found = properties(stack, "AWS::EKS::Addon")
    assert found["AddonName"] == "vpc-cni"
    assert found["AddonVersion"] == "v1.22.1-eksbuild.1"
    assert ":role/" in found["ServiceAccountRoleArn"]
    assert found["PreserveOnDelete"] is True


@pytest.mark.parametrize(
    ("kwargs", "fate"),
    [({}, "Retain"), ({"removal_policy": RemovalPolicy.DESTROY}, "Delete")],
    ids=["by default", "destroyed"],
)
def test_the_addon_and_its_role_stay_or_go_together(
    stack: Stack, accounts: ServiceAccounts, kwargs: dict[str, Any], fate: str
) -> None:
    AwsNodeAddon(stack, "AwsNode", service_accounts=accounts, **kwargs)

    assert {one["DeletionPolicy"] for one in template_of(stack)["Resources"].values()} == {fate}


def test_refuses_to_snapshot_an_addon(stack: Stack, accounts: ServiceAccounts) -> None:
    with pytest.raises(InvalidInput, match="removal_policy must be RETAIN or DESTROY"):
        AwsNodeAddon(
            stack, "AwsNode", service_accounts=accounts, removal_policy=RemovalPolicy.SNAPSHOT
        )


def test_the_addon_needs_no_function(stack: Stack, accounts: ServiceAccounts) -> None:
    AwsNodeAddon(stack, "AwsNode", service_accounts=accounts)

    assert {resource["Type"] for resource in template_of(stack)["Resources"].values()} == {
        "AWS::EKS::Addon",
        "AWS::IAM::Role",
    }


def test_tags_of_a_scope_reach_addon_and_access_entry(
    stack: Stack, accounts: ServiceAccounts
) -> None:
    AwsNodeAddon(stack, "Addon", service_accounts=accounts)
    accounts.add("apps/api")
    Tags.of(stack).add("Team", "platform")

    for resource_type in ("AWS::EKS::Addon", "AWS::EKS::AccessEntry"):
        assert properties(stack, resource_type)["Tags"] == [{"Key": "Team", "Value": "platform"}]


@pytest.mark.parametrize("construct", [AwsNodeRebinding, AwsNodeAddon])
@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"ip_family": "ipv5"}, "ip_family must be 'ipv4' or 'ipv6', got 'ipv5'"),
    ],
)
def test_refuses_an_unknown_address_family(
    stack: Stack, accounts: ServiceAccounts, construct: type, kwargs: dict[str, str], rule: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        construct(stack, "AwsNode", service_accounts=accounts, **kwargs)

    assert caught.value.faults[0].startswith(rule)


def test_refuses_more_node_roles_than_the_functions_role_has_room_for(
    stack: Stack, accounts: ServiceAccounts
) -> None:
    names = [f"{'n' * 61}{number:03}" for number in range(25)]

    with pytest.raises(
        InvalidInput, match=r"at most 10240 characters together, got 25 with 1\d{4}"
    ):
        rebind(stack, accounts, *names)


def test_so_many_node_roles_as_are_let_through_fit(stack: Stack, accounts: ServiceAccounts) -> None:
    rebind(stack, accounts, *[f"{'n' * 61}{number:03}" for number in range(18)])

    documents = [
        one["Properties"]["PolicyDocument"] for one in of_type(stack, "AWS::IAM::Policy").values()
    ]
    own = properties(stack, "AWS::IAM::Role", "lambda.amazonaws.com")["Policies"]
    documents += [policy["PolicyDocument"] for policy in own]
    size = sum(len(json.dumps(document, separators=(",", ":"))) for document in documents)
    assert 8_000 < size < 10_240


def test_refuses_a_node_role_twice(stack: Stack, accounts: ServiceAccounts) -> None:
    role = aws_iam.Role.from_role_name(stack, "Nodes", "nodes")
    same = aws_iam.Role.from_role_name(stack, "Same", "nodes")

    for twice in ([role, role], [role, same]):
        with pytest.raises(InvalidInput, match="must name each role once, got 'nodes' twice"):
            AwsNodeRebinding(stack, "AwsNode", service_accounts=accounts, node_roles=twice)


@pytest.mark.parametrize(
    ("given", "cure"), [(["nodes"], "pass iam.Role.from_role_name"), ("nodes", "in brackets")]
)
def test_refuses_the_name_of_a_node_role(
    stack: Stack, accounts: ServiceAccounts, given: Any, cure: str
) -> None:
    with pytest.raises(InvalidInput, match=cure):
        AwsNodeRebinding(stack, "AwsNode", service_accounts=accounts, node_roles=given)


@pytest.mark.parametrize("seconds", [0, 781])
def test_refuses_a_rollout_that_leaves_no_time_to_undo(
    stack: Stack, accounts: ServiceAccounts, seconds: int
) -> None:
    with pytest.raises(InvalidInput, match="rollout_timeout must be 1-780 seconds"):
        rebind(stack, accounts, rollout_timeout=Duration.seconds(seconds))


def test_refuses_a_number_of_seconds_without_a_unit(
    stack: Stack, accounts: ServiceAccounts
) -> None:
    with pytest.raises(InvalidInput, match=r"must be a Duration, got 60; write Duration\.seconds"):
        rebind(stack, accounts, rollout_timeout=60)


def test_refuses_to_resolve_conflicts_in_an_unknown_way(
    stack: Stack, accounts: ServiceAccounts
) -> None:
    with pytest.raises(InvalidInput, match="resolve_conflicts must be NONE"):
        AwsNodeAddon(stack, "AwsNode", service_accounts=accounts, resolve_conflicts="MERGE")


def as_account(_: Stack, name: str, *, service_accounts: ServiceAccounts) -> ServiceAccount:
    return service_accounts.add("kube-system/aws-node", id=name, ownership=Ownership.ADOPT)


WAYS = [AwsNodeRebinding, AwsNodeAddon, as_account]


@pytest.mark.parametrize("binders", [1, 2])
@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_refuses_a_second_role_for_aws_node_in_either_order(
    stack: Stack, first: type, second: type, binders: int
) -> None:
    accounts = service_accounts(stack)
    first(stack, "First", service_accounts=accounts)
    if binders == 2:
        other = Stack(stack.node.root, "Other")
        accounts = service_accounts(other)
        stack = other

    with pytest.raises(InvalidInput, match=r"bound once in a cluster, got 'kube-system/aws-node'"):
        second(stack, "Second", service_accounts=accounts)


def test_a_refusal_names_both_who_want_the_account(stack: Stack, accounts: ServiceAccounts) -> None:
    AwsNodeRebinding(stack, "First", service_accounts=accounts)

    with pytest.raises(InvalidInput) as told:
        AwsNodeAddon(stack, "Second", service_accounts=accounts)

    assert told.value.faults == (
        "service account must be bound once in a cluster, got 'kube-system/aws-node' by"
        " AwsNodeAddon 'Stack/Second' beside AwsNodeRebinding 'Stack/First'; remove one",
    )


@pytest.mark.parametrize(
    "wrong",
    [{"rollout_timeout": Duration.hours(1)}, {"role_name": "r" * 65}],
    ids=["rollout_timeout", "role_name"],
)
def test_a_refused_construct_can_be_corrected(
    stack: Stack, accounts: ServiceAccounts, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        rebind(stack, accounts, **wrong)

    rebind(stack, accounts)
    assert properties(stack, "Custom::AwsNodeRebinding")


def logical_id(stack: Stack) -> str:
    [found] = of_type(stack, "Custom::AwsNodeRebinding")
    return found


@pytest.mark.parametrize("id", ["Renamed", "Scope/AwsNode"])
def test_a_renamed_construct_is_the_same_resource(
    stack: Stack, accounts: ServiceAccounts, id: str
) -> None:
    *scopes, name = id.split("/")
    scope = Construct(stack, scopes[0]) if scopes else stack
    AwsNodeRebinding(scope, name, service_accounts=accounts)

    assert logical_id(stack) == logical_id(rebinding_of())


def test_clusters_of_one_stack_have_one_resource_each(stack: Stack) -> None:
    for name in ("one", CfnParameter(stack, "Two", default="two").value_as_string):
        scope = Construct(stack, f"Cluster{name[:3]}")
        cluster = dataclasses.replace(connection(), name=name)
        provider = imported_provider(scope)
        accounts = ServiceAccounts(scope, "Accounts", cluster=cluster, oidc_provider=provider)
        AwsNodeRebinding(scope, "AwsNode", service_accounts=accounts)

    assert len(of_type(stack, "Custom::AwsNodeRebinding")) == 2
