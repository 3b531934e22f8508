import pytest
from aws_cdk import Duration, Stack

from irsa_stack import Ownership
from irsa_stack.controllers import ClusterAutoscaler
from irsa_stack.faults import InvalidInput
from tests.support import example_cluster
from tests.support.templates import app_with_flags


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack", env={"region": "eu-west-1", "account": "111122223333"})


@pytest.fixture
def define(stack):
    accounts = example_cluster.service_accounts(stack)
    return lambda **properties: ClusterAutoscaler(
        stack, "Autoscaler", service_accounts=accounts, **properties
    )


def test_emits_what_the_chart_must_be_told(define):
    assert define().chart_values == {
        "cloudProvider": "aws",
        "awsRegion": "eu-west-1",
        "autoDiscovery": {
            "clusterName": "payments-prod",
            "tags": [
                "k8s.io/cluster-autoscaler/enabled",
                "k8s.io/cluster-autoscaler/payments-prod=owned",
            ],
        },
        "rbac": {"serviceAccount": {"create": False, "name": "cluster-autoscaler"}},
    }


def test_the_chart_discovers_by_the_tags_that_the_policy_asks_for(define):
    tags = {"kubernetes.io/cluster/payments-prod": "owned"}
    values = define(node_group_tags=tags).chart_values
    assert values["autoDiscovery"]["tags"] == ["kubernetes.io/cluster/payments-prod=owned"]


def test_quotes_annotations_for_a_chart_that_does_not(define):
    autoscaler = define(ownership=Ownership.HELM, token_expiration=Duration.hours(1))

    annotations = autoscaler.chart_values["rbac"]["serviceAccount"]["annotations"]
    assert annotations["eks.amazonaws.com/sts-regional-endpoints"] == '"true"'
    assert annotations["eks.amazonaws.com/token-expiration"] == '"3600"'
    assert autoscaler.account.helm_values["rbac"]["serviceAccount"]["annotations"] == annotations


def test_refuses_an_empty_scope(define):
    with pytest.raises(InvalidInput, match="node_group_tags must name at least one tag"):
        define(node_group_tags={})
