import pytest

from irsa_stack.controllers import CniMetricsHelper
from tests.support.controllers import CLUSTER, IRELAND, OTHER, arn, documents
from tests.support.iam_evaluator import Resource, allowed

SPECS = {"default": CniMetricsHelper()}
PUT = "cloudwatch:PutMetricData"


def metric(namespace):
    return Resource("*", {"cloudwatch:namespace": namespace})


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        (PUT, metric("Kubernetes"), True),
        (PUT, metric("kubernetes"), False),
        (PUT, metric("ContainerInsights"), False),  # the CloudWatch agent's
        (PUT, metric("AWS/EC2"), False),
        (PUT, metric("Payments"), False),  # another team's
        (PUT, metric("Kubernetes/Payments"), False),
        (PUT, metric(""), False),
        (PUT, "*", False),
        ("cloudwatch:GetMetricData", "*", False),
        ("cloudwatch:DeleteAlarms", arn("cloudwatch", "alarm:payments"), False),
        ("cloudwatch:PutDashboard", "*", False),
        ("ec2:DescribeTags", "*", False),  # upstream's way to the cluster's name
        ("ec2:DescribeInstances", "*", False),
        ("logs:PutLogEvents", arn("logs", "log-group:a:log-stream:b"), False),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/metrics", False),
    ],
)
def test_publishes_in_one_namespace_and_no_other(action, resource, expected):
    assert allowed(documents(SPECS["default"]), action, resource) is expected


@pytest.mark.parametrize("cluster", [CLUSTER, OTHER])
def test_is_told_its_cluster_so_that_it_asks_no_metadata(cluster):
    values = SPECS["default"].chart_values(cluster, IRELAND)
    assert values["env"]["AWS_CLUSTER_ID"] == cluster.name


UPSTREAM = "cloudwatch:PutMetricData ec2:DescribeTags"
LEFT_OUT = {"ec2:DescribeTags": "the cluster's name is told"}
