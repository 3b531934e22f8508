import pytest

from irsa_stack.controllers import EbsCsiDriver
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

KEY = arn("kms", "key/0a1b2c3d")
SPECS = {
    "everything": lambda location: EbsCsiDriver(
        kms_keys=[location.arn("kms", "key/0a1b2c3d")], modify_tags=True
    ),
    "default": EbsCsiDriver(),
    "no snapshots": EbsCsiDriver(snapshots=False),
}


def volume(*contexts, **where):
    return Resource(arn("ec2", "volume/vol-0a", **where), _merged(contexts))


def node(*contexts):
    return Resource(arn("ec2", "instance/i-0a"), _merged(contexts))


def snapshot(*contexts):
    return Resource("arn:aws:ec2:eu-west-1::snapshot/snap-0a", _merged(contexts))


def key(**context):
    return Resource(KEY, {"kms:ViaService": "ec2.eu-west-1.amazonaws.com", **context})


def _merged(contexts):
    return {name: value for context in contexts for name, value in context.items()}


def by(action):
    return {"ec2:CreateAction": action}


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("CreateVolume", [volume(ASK_OURS)], True),
        ("CreateVolume", [volume(ASK_THEIRS)], False),
        ("CreateVolume", [volume()], False),
        ("CreateVolume", [volume(ASK_OURS, account=OTHER_ACCOUNT)], False),
        ("CreateVolume", [volume(ASK_OURS), snapshot(OURS)], True),
        ("CreateVolume", [volume(ASK_OURS), snapshot(THEIRS)], False),
        ("AttachVolume", [volume(OURS), node(OURS)], True),
        # AWS's policy attaches another cluster's volume, and to its nodes.
        ("AttachVolume", [volume(THEIRS), node(OURS)], False),
        ("AttachVolume", [volume(OURS), node(THEIRS)], False),
        ("AttachVolume", [volume(OURS), node()], False),
        ("DetachVolume", [volume(OURS), node(OURS)], True),
        ("DetachVolume", [volume(THEIRS), node(THEIRS)], False),
        ("DeleteVolume", [volume(OURS)], True),
        ("DeleteVolume", [volume(THEIRS)], False),
        ("DeleteVolume", [volume()], False),
        ("ModifyVolume", [volume(OURS)], True),
        ("ModifyVolume", [volume(OURS, region="us-east-1")], False),
        ("CreateSnapshot", [volume(OURS), snapshot(ASK_OURS)], True),
        ("CreateSnapshot", [volume(THEIRS), snapshot(ASK_OURS)], False),
        ("DeleteSnapshot", [snapshot(OURS)], True),
        ("DeleteSnapshot", [snapshot(THEIRS)], False),
        ("CreateTags", [volume(ASK_OURS, by("CreateVolume"))], True),
        ("CreateTags", [snapshot(ASK_OURS, by("CreateSnapshot"))], True),
        # Nobody else's volume becomes ours by a tag.
        ("CreateTags", [volume(ASK_OURS)], False),
        ("CreateTags", [volume(THEIRS, ASK_OURS)], False),
        ("CreateTags", [node(ASK_OURS, by("RunInstances"))], False),
        ("DeleteTags", [volume(OURS)], False),
        ("DescribeVolumes", ["*"], True),
        ("DescribeAvailabilityZones", ["*"], True),
        ("TerminateInstances", [node(OURS)], False),
        ("ModifySnapshotAttribute", [snapshot(OURS)], False),
    ],
)
def test_keeps_the_volumes_of_its_cluster_and_no_other(action, resources, expected):
    assert allowed(documents(SPECS["default"]), f"ec2:{action}", *resources) is expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["Team"], True),
        (["Team", "kubernetes.io/cluster/payments-prod"], False),
        (["kubernetes.io/cluster/payments-dev"], False),
        (["ebs.csi.aws.com/cluster"], False),
        (["CSIVolumeName"], False),
        (None, False),
    ],
)
def test_changes_any_tag_but_those_that_say_whose_a_volume_is(tags, expected):
    held = documents(EbsCsiDriver(modify_tags=True))
    asked = {} if tags is None else {"aws:TagKeys": tags}
    assert allowed(held, "ec2:CreateTags", volume(OURS, asked)) is expected
    assert allowed(held, "ec2:DeleteTags", volume(OURS, asked)) is expected
    assert not allowed(held, "ec2:CreateTags", volume(THEIRS, asked))


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("kms:Decrypt", key(), True),
        ("kms:GenerateDataKeyWithoutPlaintext", key(), True),
        ("kms:Decrypt", Resource(KEY, {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}), False),
        ("kms:Decrypt", KEY, False),
        ("kms:Decrypt", arn("kms", "key/other"), False),
        ("kms:CreateGrant", key(**{"kms:GrantIsForAWSResource": "true"}), True),
        ("kms:CreateGrant", key(), False),
        ("kms:ScheduleKeyDeletion", key(), False),
    ],
)
def test_uses_its_keys_through_ec2_only(action, resource, expected):
    held = documents(EbsCsiDriver(kms_keys=[KEY]))
    assert allowed(held, action, resource) is expected


def test_without_snapshots_it_makes_and_deletes_none():
    held = documents(EbsCsiDriver(snapshots=False))
    assert not allowed(held, "ec2:CreateSnapshot", volume(OURS), snapshot(ASK_OURS))
    assert not allowed(held, "ec2:DeleteSnapshot", snapshot(OURS))


def test_the_driver_tags_by_the_name_that_the_policy_asks_for():
    assert EbsCsiDriver().chart_values(CLUSTER, IRELAND) == {
        "controller": {"region": "eu-west-1", "k8sTagClusterId": "payments-prod"}
    }


@pytest.mark.parametrize("wrong", ["*", "alias/ebs", arn("kms", "key/*"), arn("kms", "alias/a"), 1])
def test_refuses_a_key_that_is_none(wrong):
    with pytest.raises(InvalidInput, match="kms_keys must be such as"):
        EbsCsiDriver(kms_keys=[wrong])


# The calls of the driver's own source.
UPSTREAM = """
    ec2:AttachVolume ec2:CopyVolumes ec2:CreateSnapshot ec2:CreateTags ec2:CreateVolume
    ec2:DeleteSnapshot ec2:DeleteTags ec2:DeleteVolume ec2:DescribeAvailabilityZones
    ec2:DescribeInstanceTypes ec2:DescribeInstances ec2:DescribeSnapshots ec2:DescribeVolumeStatus
    ec2:DescribeVolumes ec2:DescribeVolumesModifications ec2:DetachVolume
    ec2:EnableFastSnapshotRestores ec2:LockSnapshot ec2:ModifyVolume
"""
LEFT_OUT = {
    "ec2:CopyVolumes": "AWS evaluates no tag of the source",
    "ec2:EnableFastSnapshotRestores": "costs by the hour; add it to the role where it is used",
    "ec2:LockSnapshot": "cannot be undone; add it to the role where it is used",
}
ADDED = {
    f"kms:{action}": "volumes with a key of their own"
    for action in ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext")
}
