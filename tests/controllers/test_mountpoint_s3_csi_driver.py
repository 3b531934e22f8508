import pytest

from irsa_stack.controllers import MountpointS3CsiDriver
from irsa_stack.faults import InvalidInput
from tests.support.controllers import documents
from tests.support.iam_evaluator import Resource, allowed

BUCKETS = {"payments-prod-models": "v1/"}
SPECS = {
    "everything": lambda location: MountpointS3CsiDriver(
        buckets={**BUCKETS, "payments-prod-data": ""},
        write=True,
        delete=True,
        kms_keys=[location.arn("kms", "key/0a1b")],
    ),
    "reads": MountpointS3CsiDriver(buckets=BUCKETS),
}
OURS, THEIRS = "arn:aws:s3:::payments-prod-models", "arn:aws:s3:::payments-dev-models"


def listed(prefix, bucket=OURS):
    return Resource(bucket, {"s3:prefix": prefix})


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("ListBucket", listed("v1/"), True),
        ("ListBucket", listed("v1/a/"), True),
        ("ListBucket", listed("v2/"), False),  # another team's
        ("ListBucket", listed(""), False),
        ("ListBucket", OURS, False),
        # terraform-aws-modules lists every bucket where none is named.
        ("ListBucket", listed("v1/", THEIRS), False),
        ("GetObject", f"{OURS}/v1/a", True),
        ("GetObject", f"{OURS}/v2/a", False),
        ("GetObject", f"{OURS}/v10/a", False),
        ("GetObject", f"{THEIRS}/v1/a", False),
        ("PutObject", f"{OURS}/v1/a", False),
        ("DeleteObject", f"{OURS}/v1/a", False),
        ("PutBucketPolicy", OURS, False),
        ("DeleteBucket", OURS, False),
        ("ListAllMyBuckets", "*", False),
        ("GetBucketPolicy", OURS, False),
    ],
)
def test_reads_its_prefix_and_no_other(action, resource, expected):
    assert allowed(documents(SPECS["reads"]), f"s3:{action}", resource) is expected


@pytest.mark.parametrize(
    ("options", "puts", "deletes"),
    [({"write": True}, True, False), ({"delete": True}, False, True), ({}, False, False)],
)
def test_writes_and_deletes_only_when_told(options, puts, deletes):
    held = documents(MountpointS3CsiDriver(buckets=BUCKETS, **options))
    assert allowed(held, "s3:PutObject", f"{OURS}/v1/a") is puts
    assert allowed(held, "s3:DeleteObject", f"{OURS}/v1/a") is deletes
    assert not allowed(held, "s3:PutObject", f"{OURS}/v2/a")


@pytest.mark.parametrize("buckets", [{}, {"*": ""}, {"a-bucket": "no-slash"}, "a-bucket"])
def test_refuses_a_scope_that_is_none(buckets):
    with pytest.raises(InvalidInput, match="buckets must"):
        MountpointS3CsiDriver(buckets=buckets)


UPSTREAM = """
    kms:Decrypt kms:GenerateDataKey s3:AbortMultipartUpload s3:DeleteObject s3:GetObject
    s3:ListBucket s3:PutObject
"""
