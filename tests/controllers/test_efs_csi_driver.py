import pytest

from irsa_stack.controllers import EfsCsiDriver
from irsa_stack.faults import InvalidInput
from tests.support.controllers import (
    ASK_OURS,
    ASK_THEIRS,
    CLUSTER,
    IRELAND,
    OTHER_ACCOUNT,
    OURS,
    THEIRS,
    arn,
    documents,
)
from tests.support.iam_evaluator import Resource, allowed

FILES = arn("elasticfilesystem", "file-system/fs-0a1b")
OTHER_FILES = arn("elasticfilesystem", "file-system/fs-9f9f")
ROLE = "arn:aws:iam::444455556666:role/efs"
SPECS = {
    "everything": lambda location: EfsCsiDriver(
        file_systems=[location.arn("elasticfilesystem", "file-system/fs-0a1b")],
        assume_roles=[f"arn:{location.partition}:iam::444455556666:role/efs"],
    ),
}
NEW = {"elasticfilesystem:CreateAction": "CreateAccessPoint"}


def point(*contexts, **where):
    context = {key: value for one in contexts for key, value in one.items()}
    return Resource(arn("elasticfilesystem", "access-point/fsap-0a", **where), context)


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("CreateAccessPoint", Resource(FILES, ASK_OURS), True),
        ("CreateAccessPoint", Resource(FILES, ASK_THEIRS), False),
        ("CreateAccessPoint", FILES, False),
        ("CreateAccessPoint", Resource(OTHER_FILES, ASK_OURS), False),
        ("TagResource", point(ASK_OURS, NEW), True),
        ("TagResource", point(ASK_OURS), False),
        ("TagResource", point(ASK_THEIRS, NEW), False),
        ("TagResource", Resource(FILES, {**ASK_OURS, **NEW}), False),
        ("DeleteAccessPoint", point(OURS), True),
        ("DeleteAccessPoint", point(THEIRS), False),
        ("DeleteAccessPoint", point(), False),
        # The tag that every cluster's driver sets, and that AWS's policy asks for.
        ("DeleteAccessPoint", point({"aws:ResourceTag/efs.csi.aws.com/cluster": "true"}), False),
        ("DeleteAccessPoint", point(OURS, account=OTHER_ACCOUNT), False),
        ("DescribeFileSystems", FILES, True),
        ("DescribeFileSystems", OTHER_FILES, False),
        ("DescribeMountTargets", FILES, True),
        ("DescribeAccessPoints", point(), True),
        ("DeleteFileSystem", FILES, False),
        ("ClientMount", FILES, False),
        ("PutFileSystemPolicy", FILES, False),
    ],
)
def test_keeps_the_access_points_of_its_cluster_and_no_other(action, resource, expected):
    held = documents(EfsCsiDriver(file_systems=[FILES]))
    assert allowed(held, f"elasticfilesystem:{action}", resource) is expected


def test_reaches_file_systems_of_other_accounts_through_their_roles_only():
    held = documents(EfsCsiDriver(assume_roles=[ROLE]))
    assert allowed(held, "sts:AssumeRole", ROLE)
    assert not allowed(held, "sts:AssumeRole", ROLE + "-admin")
    assert not allowed(held, "elasticfilesystem:CreateAccessPoint", Resource(FILES, ASK_OURS))


def test_the_driver_sets_the_tag_that_the_policy_asks_for():
    values = EfsCsiDriver(file_systems=[FILES]).chart_values(CLUSTER, IRELAND)
    assert values["controller"]["tags"] == {"kubernetes.io/cluster/payments-prod": "owned"}


@pytest.mark.parametrize("wrong", [[], ["*"], ["fs-0a1b"], [FILES[:-4] + "*"], FILES])
def test_refuses_a_scope_that_is_none(wrong):
    with pytest.raises(InvalidInput, match="file_systems must"):
        EfsCsiDriver(file_systems=wrong)


UPSTREAM = """
    ec2:DescribeAvailabilityZones elasticfilesystem:CreateAccessPoint
    elasticfilesystem:DeleteAccessPoint elasticfilesystem:DescribeAccessPoints
    elasticfilesystem:DescribeFileSystems elasticfilesystem:DescribeMountTargets
    elasticfilesystem:TagResource
"""
ADDED = {"sts:AssumeRole": "awsRoleArn of a provisioner's secret, for other accounts"}
# AWS's own AmazonEFSCSIDriverPolicy tests a tag here, though the reference lists none.
UNKNOWN_KEYS = {
    (
        "elasticfilesystem:DeleteAccessPoint",
        "aws:ResourceTag/kubernetes.io/cluster/payments-prod",
    )
}
