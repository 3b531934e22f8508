import pytest

from irsa_stack.controllers.vpc_cni import policy_documents
from irsa_stack.faults import InvalidInput
from tests.support.controllers import IRELAND
from tests.support.iam_evaluator import Resource, allowed

NAME = "cluster.k8s.amazonaws.com/name"
OURS = {f"aws:ResourceTag/{NAME}": "payments-prod"}
THEIRS = {f"aws:ResourceTag/{NAME}": "payments-dev"}
ASK_OURS = {f"aws:RequestTag/{NAME}": "payments-prod"}
ASK_THEIRS = {f"aws:RequestTag/{NAME}": "payments-dev"}
ASK_NODE = {"aws:RequestTag/node.k8s.amazonaws.com/instance_id": "i-0a1b"}
NEW = {"ec2:CreateAction": "CreateNetworkInterface"}
HERE = {"ec2:Vpc": "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0123456789abcdef0"}
SHARED = {"ec2:Vpc": "arn:aws:ec2:eu-west-1:444455556666:vpc/vpc-0123456789abcdef0"}
THERE = {"ec2:Vpc": "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0fedcba9876543210"}
OUR_NODE = {"aws:ResourceTag/kubernetes.io/cluster/payments-prod": "owned"}
THEIR_NODE = {"aws:ResourceTag/kubernetes.io/cluster/payments-dev": "owned"}


def interface(*contexts, region="eu-west-1"):
    return _ec2("network-interface/eni-0a1b", contexts, region=region)


def group(*contexts):
    return _ec2("security-group/sg-0a1b", contexts)


def subnet(*contexts, account="111122223333"):
    return _ec2("subnet/subnet-0a1b", contexts, account=account)


def node(*contexts):
    return _ec2("instance/i-0a1b", contexts)


def _ec2(resource, contexts, *, region="eu-west-1", account="111122223333"):
    context = {key: value for one in contexts for key, value in one.items()}
    return Resource(f"arn:aws:ec2:{region}:{account}:{resource}", context)


def documents(**properties):
    return policy_documents(**{"location": IRELAND, **properties}).values()


def scoped(ip_family="ipv4", vpc_owner=None):
    return documents(
        vpc_owner=vpc_owner,
        ip_family=ip_family,
        cluster_scoped=True,
        cluster_name="payments-prod",
        vpc_id="vpc-0123456789abcdef0",
    )


def test_leaves_ipv4_to_the_policy_that_aws_keeps():
    assert policy_documents(location=IRELAND) == {}


DESCRIBE = [
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",  # since v1.22
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
]


@pytest.mark.parametrize("action", DESCRIBE)
@pytest.mark.parametrize("held", [documents(ip_family="ipv6"), scoped(), scoped("ipv6")])
def test_describes_what_a_node_has_to_know(held, action):
    assert allowed(held, action)


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("ec2:AssignIpv6Addresses", interface(), True),
        ("ec2:CreateTags", interface(), True),
        ("ec2:AssignIpv6Addresses", interface(region="us-east-1"), False),
        ("ec2:CreateTags", node(), False),
        ("ec2:CreateTags", group(), False),
        ("ec2:AssignPrivateIpAddresses", interface(), False),
        ("ec2:CreateNetworkInterface", interface(), False),
        ("ec2:DeleteNetworkInterface", interface(), False),
        # Security groups of the primary interface are carried over, whatever the family.
        ("ec2:ModifyNetworkInterfaceAttribute", interface(), True),
        ("ec2:ModifyNetworkInterfaceAttribute", group(), True),
        ("ec2:ModifyNetworkInterfaceAttribute", interface(region="us-east-1"), False),
        ("ec2:ModifyNetworkInterfaceAttribute", node(), False),
        ("ec2:AttachNetworkInterface", interface(), False),
        ("ec2:DeleteTags", interface(), False),
        ("ec2:RunInstances", "*", False),
    ],
)
def test_gives_ipv6_prefixes_to_interfaces_of_the_account(action, resource, expected):
    assert allowed(documents(ip_family="ipv6"), action, resource) is expected


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("CreateNetworkInterface", [interface(ASK_OURS), subnet(HERE), group(HERE)], True),
        ("CreateNetworkInterface", [interface(ASK_OURS), subnet(HERE, account="4")], False),
        ("CreateNetworkInterface", [interface(ASK_THEIRS), subnet(HERE)], False),
        ("CreateNetworkInterface", [interface(), subnet(HERE)], False),
        ("CreateNetworkInterface", [interface(ASK_OURS), subnet(THERE)], False),
        ("CreateNetworkInterface", [interface(ASK_OURS), subnet(HERE), group(THERE)], False),
        ("AttachNetworkInterface", [interface(OURS), node(OUR_NODE)], True),
        ("AttachNetworkInterface", [interface(THEIRS), node(OUR_NODE)], False),
        ("AttachNetworkInterface", [interface(OURS), node(THEIR_NODE)], False),
        ("AttachNetworkInterface", [interface(OURS), node()], False),
        ("DetachNetworkInterface", [interface(OURS), node(OUR_NODE)], True),
        ("DetachNetworkInterface", [interface(OURS), node(THEIR_NODE)], False),
        ("DeleteNetworkInterface", [interface(OURS)], True),
        ("DeleteNetworkInterface", [interface(THEIRS)], False),
        ("DeleteNetworkInterface", [interface()], False),
        ("AssignPrivateIpAddresses", [interface(OURS)], True),
        ("AssignPrivateIpAddresses", [interface(THEIRS)], False),
        ("UnassignPrivateIpAddresses", [interface(OURS)], True),
        ("UnassignPrivateIpAddresses", [interface(THEIRS)], False),
        ("ModifyNetworkInterfaceAttribute", [interface(OURS), node(OUR_NODE)], True),
        ("ModifyNetworkInterfaceAttribute", [interface(OURS), group(HERE)], True),
        ("ModifyNetworkInterfaceAttribute", [interface(THEIRS), group(HERE)], False),
        ("ModifyNetworkInterfaceAttribute", [interface(OURS), group(THERE)], False),
        ("AssignIpv6Addresses", [interface(OURS)], False),
        ("DeleteTags", [interface(OURS)], False),
        ("TerminateInstances", [node(OUR_NODE)], False),
        ("ModifyInstanceAttribute", [node(OUR_NODE)], False),
    ],
)
def test_changes_the_interfaces_of_its_cluster_and_no_other(action, resources, expected):
    assert allowed(scoped(), f"ec2:{action}", *resources) is expected


def test_works_in_a_vpc_that_another_account_shares():
    made = [interface(ASK_OURS), subnet(SHARED, account="444455556666"), group(SHARED)]
    assert allowed(scoped(vpc_owner="444455556666"), "ec2:CreateNetworkInterface", *made)
    assert not allowed(scoped(), "ec2:CreateNetworkInterface", *made)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        # While it is made; when the node's first interface is found; when a tag is missing.
        (interface(NEW, ASK_OURS), True),
        (interface(ASK_OURS, ASK_NODE, HERE), True),
        (interface(OURS, ASK_NODE, HERE), True),
        (interface(OURS, ASK_OURS, HERE), True),
        # Upstream's sample lets any interface be called ours, and then be changed.
        (interface(THEIRS, ASK_OURS, HERE), False),
        (interface(NEW, ASK_THEIRS), False),
        (interface(ASK_OURS, THERE), False),
        (interface(ASK_NODE, HERE), False),
        (interface(OURS, ASK_THEIRS, HERE), False),
        (group(ASK_OURS, HERE), False),
    ],
)
def test_tags_interfaces_that_nobody_else_owns(resource, expected):
    assert allowed(scoped(), "ec2:CreateTags", resource) is expected


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("CreateTags", [interface(ASK_OURS, ASK_NODE, HERE)], True),
        ("CreateTags", [interface(THEIRS, ASK_OURS, HERE)], False),
        ("AssignIpv6Addresses", [interface(OURS)], True),
        ("AssignIpv6Addresses", [interface(THEIRS)], False),
        ("UnassignIpv6Addresses", [interface(OURS)], True),
        ("ModifyNetworkInterfaceAttribute", [interface(OURS), group(HERE)], True),
        ("ModifyNetworkInterfaceAttribute", [interface(THEIRS), group(HERE)], False),
        ("AssignPrivateIpAddresses", [interface(OURS)], False),
        ("CreateNetworkInterface", [interface(ASK_OURS), subnet(HERE)], False),
        ("AttachNetworkInterface", [interface(OURS), node(OUR_NODE)], False),
    ],
)
def test_keeps_to_the_primary_interface_for_ipv6(action, resources, expected):
    assert allowed(scoped("ipv6"), f"ec2:{action}", *resources) is expected


SCOPE = {
    "cluster_scoped": True,
    "cluster_name": "payments-prod",
    "vpc_id": "vpc-0123456789abcdef0",
}


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"ip_family": "ipv5"}, "ip_family must be 'ipv4' or 'ipv6', got 'ipv5'"),
        ({**SCOPE, "cluster_name": None}, "cluster_name must be .* got None"),
        ({**SCOPE, "cluster_name": "*"}, "cluster_name must be"),
        ({**SCOPE, "vpc_id": None}, "vpc_id must be .* got None"),
        ({**SCOPE, "vpc_id": "*"}, "vpc_id must be"),
        (
            {**SCOPE, "vpc_owner": "*"},
            "vpc_owner must be a 12-digit account, got '[*]'",
        ),
        ({"vpc_id": "vpc-0123456789abcdef0"}, "vpc_id must go with cluster_scoped=True"),
    ],
)
def test_refuses_a_scope_that_is_none(properties, fault):
    with pytest.raises(InvalidInput, match=fault):
        documents(**properties)


# What upstream's policy names, and what of it is left out or added here, each with its reason.
UPSTREAM = """
    ec2:AssignPrivateIpAddresses ec2:AttachNetworkInterface ec2:CreateNetworkInterface
    ec2:DeleteNetworkInterface ec2:DescribeInstances ec2:DescribeTags ec2:DescribeNetworkInterfaces
    ec2:DescribeInstanceTypes ec2:DescribeSecurityGroups ec2:DescribeSubnets
    ec2:DetachNetworkInterface ec2:ModifyNetworkInterfaceAttribute ec2:UnassignPrivateIpAddresses
    ec2:CreateTags ec2:AssignIpv6Addresses
"""
LEFT_OUT = {}
ADDED = {"ec2:UnassignIpv6Addresses": "frees a prefix; only of the cluster's own interfaces"}

# Without a cluster, as upstream has it; held to one with cluster_scoped.
EXCUSED = {
    "ec2:AssignIpv6Addresses": "interfaces bear no tag unless CLUSTER_NAME is set",
    "ec2:CreateTags": "interfaces bear no tag unless CLUSTER_NAME is set",
    "ec2:ModifyNetworkInterfaceAttribute": "interfaces bear no tag unless CLUSTER_NAME is set",
}
