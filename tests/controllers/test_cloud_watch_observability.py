import pytest

from irsa_stack.controllers import CloudWatchObservability
from tests.support.controllers import CLUSTER, IRELAND, OTHER_ACCOUNT, arn, documents
from tests.support.iam_evaluator import Resource, allowed

SPECS = {
    "default": CloudWatchObservability(),
    "least": CloudWatchObservability(
        create_log_groups=False, application_signals=False, traces=False
    ),
}


def metric(namespace):
    return Resource("*", {"cloudwatch:namespace": namespace})


def group(cluster, **where):
    return arn("logs", f"log-group:/aws/containerinsights/{cluster}/application", **where)


def stream(cluster, **where):
    return f"{group(cluster, **where)}:log-stream:node-1"


PUT, WRITE = "cloudwatch:PutMetricData", "logs:PutLogEvents"


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        (PUT, metric("ContainerInsights"), True),
        (PUT, metric("CWAgent"), True),
        (PUT, metric("ApplicationSignals"), True),
        (PUT, metric("Payments"), False),  # another team's
        (PUT, metric("AWS/EC2"), False),
        (PUT, "*", False),
        (WRITE, stream("payments-prod"), True),
        (WRITE, stream("payments-dev"), False),
        (WRITE, stream("payments-prod-2"), False),
        (WRITE, stream("payments-prod", account=OTHER_ACCOUNT), False),
        (WRITE, arn("logs", "log-group:/aws/lambda/a:log-stream:b"), False),
        ("logs:CreateLogGroup", group("payments-prod"), True),
        ("logs:CreateLogGroup", group("payments-dev"), False),
        ("logs:PutRetentionPolicy", group("payments-dev"), False),
        ("logs:DeleteLogGroup", group("payments-prod"), False),
        ("logs:GetLogEvents", stream("payments-prod"), False),
        ("logs:DescribeLogGroups", "*", True),
        ("xray:PutTraceSegments", "*", True),
        ("ssm:GetParameter", arn("ssm", "parameter/AmazonCloudWatch-a"), False),
    ],
)
def test_publishes_what_is_of_its_cluster_and_no_other(action, resource, expected):
    assert allowed(documents(SPECS["default"]), action, resource) is expected


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        (PUT, metric("ApplicationSignals")),
        (WRITE, arn("logs", "log-group:/aws/application-signals/data:log-stream:a")),
        ("logs:CreateLogGroup", group("payments-prod")),
        ("xray:PutTraceSegments", "*"),
    ],
)
def test_what_is_off_is_not_allowed(action, resource):
    assert allowed(documents(SPECS["default"]), action, resource)
    assert not allowed(documents(SPECS["least"]), action, resource)


def test_is_told_cluster_and_region():
    assert SPECS["default"].chart_values(CLUSTER, IRELAND) == {
        "clusterName": "payments-prod",
        "region": "eu-west-1",
    }


# CloudWatchAgentServerPolicy, version 3.
UPSTREAM = """
    cloudwatch:PutMetricData ec2:DescribeTags ec2:DescribeVolumes logs:CreateLogGroup
    logs:CreateLogStream logs:DescribeLogGroups logs:DescribeLogStreams logs:PutLogEvents
    logs:PutRetentionPolicy ssm:GetParameter xray:GetSamplingRules
    xray:GetSamplingStatisticSummaries xray:GetSamplingTargets xray:PutTelemetryRecords
    xray:PutTraceSegments
"""
LEFT_OUT = {"ssm:GetParameter": "the chart holds the agent's configuration"}
EXCUSED = {
    "logs:CreateLogGroup": "one for each kind of log, under the cluster's name",
    "logs:CreateLogStream": "streams are named after nodes, in the cluster's log groups",
    "logs:PutLogEvents": "streams are named after nodes, in the cluster's log groups",
    "logs:PutRetentionPolicy": "one for each kind of log, under the cluster's name",
    "xray:PutTelemetryRecords": "X-Ray has no resource level for it",
    "xray:PutTraceSegments": "X-Ray has no resource level for it",
}
