import pytest

from irsa_stack.controllers import Velero
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

BUCKETS = {"payments-prod-backups": "velero/"}
SPECS = {
    "everything": lambda location: Velero(
        buckets=BUCKETS, kms_keys=[location.arn("kms", "key/0a1b")], volume_snapshots=True
    ),
    "objects": Velero(buckets=BUCKETS),
}
BACKUPS = "arn:aws:s3:::payments-prod-backups"


def volume(context=None, **where):
    return Resource(arn("ec2", "volume/vol-0a", **where), context or {})


def snapshot(context=None):
    return Resource("arn:aws:ec2:eu-west-1::snapshot/snap-0a", context or {})


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("s3:PutObject", [f"{BACKUPS}/velero/backups/a"], True),
        ("s3:PutObject", [f"{BACKUPS}/other/backups/a"], False),  # another cluster's
        ("s3:DeleteObject", ["arn:aws:s3:::payments-dev-backups/velero/a"], False),
        ("s3:ListBucket", [Resource(BACKUPS, {"s3:prefix": "velero/backups/"})], True),
        ("s3:ListBucket", [Resource(BACKUPS, {"s3:prefix": "other/"})], False),
        ("ec2:CreateSnapshot", [volume(OURS), snapshot(ASK_OURS)], True),
        ("ec2:CreateSnapshot", [volume(THEIRS), snapshot(ASK_OURS)], False),
        ("ec2:CreateSnapshot", [volume(), snapshot(ASK_OURS)], False),
        ("ec2:CreateSnapshot", [volume(OURS), snapshot(ASK_THEIRS)], False),
        ("ec2:DeleteSnapshot", [snapshot(OURS)], True),
        ("ec2:DeleteSnapshot", [snapshot(THEIRS)], False),
        ("ec2:CreateVolume", [snapshot(OURS), volume(ASK_OURS)], True),
        ("ec2:CreateVolume", [snapshot(THEIRS), volume(ASK_OURS)], False),
        ("ec2:CreateVolume", [volume(ASK_OURS, account=OTHER_ACCOUNT)], False),
        # A tag alone makes nobody else's volume ours.
        ("ec2:CreateTags", [volume(ASK_OURS)], False),
        ("ec2:CreateTags", [volume({**ASK_OURS, "ec2:CreateAction": "CreateVolume"})], True),
        ("ec2:CreateTags", [volume({**ASK_THEIRS, "ec2:CreateAction": "CreateVolume"})], False),
        ("ec2:DeleteVolume", [volume(OURS)], False),
        ("ec2:AttachVolume", [volume(OURS)], False),
        ("ec2:DescribeSnapshots", ["*"], True),
    ],
)
def test_backs_up_its_cluster_and_no_other(action, resources, expected):
    held = documents(Velero(buckets=BUCKETS, volume_snapshots=True))
    assert allowed(held, action, *resources) is expected


@pytest.mark.parametrize("action", ["ec2:CreateSnapshot", "ec2:DeleteSnapshot", "ec2:CreateVolume"])
def test_touches_no_volume_unless_asked(action):
    held = documents(SPECS["objects"])
    assert not allowed(held, action, volume({**OURS, **ASK_OURS}))
    assert not allowed(held, action, snapshot({**OURS, **ASK_OURS}))


def test_is_told_its_cluster_and_bucket():
    values = SPECS["objects"].chart_values(CLUSTER, IRELAND)["configuration"]
    assert values["extraEnvVars"] == [{"name": "AWS_CLUSTER_NAME", "value": "payments-prod"}]
    [store] = values["backupStorageLocation"]
    assert (store["bucket"], store["prefix"]) == ("payments-prod-backups", "velero/")


@pytest.mark.parametrize("buckets", [{}, {"*": ""}, {"a-bucket": "no-slash"}, "a-bucket"])
def test_refuses_a_scope_that_is_none(buckets):
    with pytest.raises(InvalidInput, match="buckets must"):
        Velero(buckets=buckets)


UPSTREAM = """
    ec2:CreateSnapshot ec2:CreateTags ec2:CreateVolume ec2:DeleteSnapshot ec2:DescribeSnapshots
    ec2:DescribeVolumes s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:ListBucket
    s3:ListMultipartUploadParts s3:PutObject
"""
ADDED = {
    "kms:Decrypt": "buckets with a key of their own",
    "kms:GenerateDataKey": "buckets with a key of their own",
}
