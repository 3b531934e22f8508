import pytest

from irsa_stack.controllers import ObjectStore
from irsa_stack.faults import InvalidInput
from tests.support.controllers import arn, documents
from tests.support.iam_evaluator import Resource, allowed

KEY = arn("kms", "key/0a1b")
SPECS = {
    "everything": lambda location: ObjectStore(
        buckets={"payments-prod-logs": "loki/", "payments-prod-rules": ""},
        tagging=True,
        kms_keys=[location.arn("kms", "key/0a1b")],
    ),
    "one prefix": ObjectStore(buckets={"payments-prod-logs": "loki/"}),
}
OURS = "arn:aws:s3:::payments-prod-logs"
THEIRS = "arn:aws:s3:::payments-dev-logs"


def listed(prefix, bucket=OURS):
    return Resource(bucket, {"s3:prefix": prefix})


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("s3:ListBucket", listed("loki/"), True),
        ("s3:ListBucket", listed("loki/chunks/"), True),
        ("s3:ListBucket", listed("tempo/"), False),  # another team's
        ("s3:ListBucket", listed(""), False),
        ("s3:ListBucket", OURS, False),
        ("s3:ListBucket", listed("loki/", THEIRS), False),
        ("s3:GetObject", f"{OURS}/loki/chunks/1", True),
        ("s3:PutObject", f"{OURS}/loki/chunks/1", True),
        ("s3:DeleteObject", f"{OURS}/loki/chunks/1", True),
        ("s3:AbortMultipartUpload", f"{OURS}/loki/chunks/1", True),
        ("s3:GetObject", f"{OURS}/loki-2/chunks/1", False),
        ("s3:GetObject", f"{OURS}/tempo/1", False),
        ("s3:PutObject", f"{THEIRS}/loki/chunks/1", False),
        ("s3:DeleteObject", f"{THEIRS}/loki/chunks/1", False),
        ("s3:PutObjectTagging", f"{OURS}/loki/chunks/1", False),
        ("s3:PutBucketPolicy", OURS, False),
        ("s3:DeleteBucket", OURS, False),
        ("s3:ListAllMyBuckets", "*", False),
    ],
)
def test_keeps_objects_of_its_prefix_and_no_other(action, resource, expected):
    assert allowed(documents(SPECS["one prefix"]), action, resource) is expected


@pytest.mark.parametrize(
    ("action", "expected"), [("s3:GetObject", True), ("s3:PutObject", False),
                             ("s3:DeleteObject", False)]
)  # fmt: skip
def test_a_querier_only_reads(action, expected):
    held = documents(ObjectStore(buckets={"payments-prod-logs": "loki/"}, read_only=True))
    assert allowed(held, action, f"{OURS}/loki/1") is expected


@pytest.mark.parametrize(
    ("action", "service", "expected"),
    [
        ("kms:Decrypt", "s3", True),
        ("kms:GenerateDataKey", "s3", True),
        ("kms:Decrypt", "ec2", False),
        ("kms:Encrypt", "s3", False),
    ],
)
def test_uses_its_keys_through_s3_only(action, service, expected):
    held = documents(ObjectStore(buckets={"a-bucket": ""}, kms_keys=[KEY]))
    via = Resource(KEY, {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"})
    assert allowed(held, action, via) is expected


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "buckets must name at least one"),
        ({"buckets": {"*": ""}}, "buckets must be such as"),
        ({"buckets": {"a-bucket": "loki"}}, "prefix of buckets must be such as 'team-a/'"),
        ({"buckets": {"a-bucket": "*/"}}, "prefix of buckets must be"),
        ({"buckets": ["a-bucket"]}, "buckets must map names to prefixes"),
        ({"buckets": {"a-bucket": ""}, "kms_keys": ["*"]}, "kms_keys must be such as"),
        ({"buckets": {"a-bucket": ""}, "read_only": True, "tagging": True}, "leave one out"),
    ],
)
def test_refuses_a_scope_that_is_none(options, fault):
    with pytest.raises(InvalidInput, match=fault):
        ObjectStore(**options)


UPSTREAM = """
    s3:DeleteObject s3:GetObject s3:GetObjectTagging s3:ListBucket s3:PutObject s3:PutObjectTagging
"""
ADDED = {
    "s3:AbortMultipartUpload": "frees the parts of an upload that failed",
    "s3:ListMultipartUploadParts": "goes on with an upload",
    "kms:Decrypt": "buckets with a key of their own",
    "kms:GenerateDataKey": "buckets with a key of their own",
}
