import pytest

from irsa_stack.controllers import NodeTerminationHandler
from irsa_stack.faults import InvalidInput
from tests.support.controllers import (
    CLUSTER,
    IRELAND,
    OTHER_ACCOUNT,
    OURS,
    THEIRS,
    arn,
    documents,
)
from tests.support.iam_evaluator import Resource, allowed

QUEUE = arn("sqs", "payments-prod")
SPECS = {
    "everything": lambda location: NodeTerminationHandler(
        queue=location.arn("sqs", "payments-prod"),
        kms_keys=[location.arn("kms", "key/0a1b")],
        heartbeats=True,
    ),
}
COMPLETE = "autoscaling:CompleteLifecycleAction"
BEAT = "autoscaling:RecordLifecycleActionHeartbeat"


def group(context=None, **where):
    return Resource(
        arn("autoscaling", "autoScalingGroup:5f0c:autoScalingGroupName/general", **where),
        context or {},
    )


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("sqs:ReceiveMessage", QUEUE, True),
        ("sqs:DeleteMessage", QUEUE, True),
        ("sqs:ReceiveMessage", arn("sqs", "payments-dev"), False),
        ("sqs:DeleteMessage", arn("sqs", "payments-prod-2"), False),
        ("sqs:ReceiveMessage", arn("sqs", "payments-prod", account=OTHER_ACCOUNT), False),
        ("sqs:SendMessage", QUEUE, False),
        ("sqs:PurgeQueue", QUEUE, False),
        (COMPLETE, group(OURS), True),
        (COMPLETE, group(THEIRS), False),
        (COMPLETE, group(), False),
        (COMPLETE, group(OURS, region="us-east-1"), False),
        (BEAT, group(OURS), False),
        ("autoscaling:DescribeTags", "*", False),  # dead since v1.17.3
        ("autoscaling:DescribeAutoScalingInstances", "*", False),
        ("autoscaling:TerminateInstanceInAutoScalingGroup", group(OURS), False),
        ("ec2:DescribeInstances", "*", True),
        ("ec2:TerminateInstances", arn("ec2", "instance/i-0a"), False),
    ],
)
def test_hears_of_the_nodes_of_its_cluster_and_no_other(action, resource, expected):
    assert allowed(documents(NodeTerminationHandler(queue=QUEUE)), action, resource) is expected


@pytest.mark.parametrize(("tags", "expected"), [(OURS, True), (THEIRS, False), ({}, False)])
def test_holds_hooks_of_its_cluster_open_when_told(tags, expected):
    held = documents(NodeTerminationHandler(queue=QUEUE, heartbeats=True))
    assert allowed(held, BEAT, group(tags)) is expected


def test_is_told_its_queue_and_region():
    assert NodeTerminationHandler(queue=QUEUE).chart_values(CLUSTER, IRELAND) == {
        "enableSqsTerminationDraining": True,
        "queueURL": "https://sqs.eu-west-1.amazonaws.com/111122223333/payments-prod",
        "awsRegion": "eu-west-1",
    }


@pytest.mark.parametrize(
    "wrong", ["", "*", "payments-prod", arn("sqs", "*"), None, "${Token[Queue.1]}"]
)
def test_refuses_a_scope_that_is_none(wrong):
    with pytest.raises(InvalidInput, match="queue must be such as"):
        NodeTerminationHandler(queue=wrong)


# The README's, and what its source calls with heartbeats.
UPSTREAM = """
    autoscaling:CompleteLifecycleAction autoscaling:DescribeAutoScalingInstances
    autoscaling:DescribeLifecycleHooks autoscaling:DescribeTags
    autoscaling:RecordLifecycleActionHeartbeat ec2:DescribeInstances sqs:DeleteMessage
    sqs:ReceiveMessage
"""
LEFT_OUT = {
    "autoscaling:DescribeAutoScalingInstances": "not called since v1.17.3",
    "autoscaling:DescribeTags": "not called since v1.17.3",
}
ADDED = {"kms:Decrypt": "a queue with a key of its own"}
