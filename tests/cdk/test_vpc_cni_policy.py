import json

import pytest
from aws_cdk import Aws, Stack

from irsa_stack import AwsNodeRebinding
from irsa_stack.controllers import vpc_cni_policy
from irsa_stack.controllers.vpc_cni import policy_documents
from irsa_stack.faults import InvalidInput
from tests.support import example_cluster
from tests.support.controllers import IRELAND as HERE
from tests.support.templates import synthesise
from tests.support.trust_resolver import Deployment


def role_of(template):
    [role] = [
        one["Properties"]
        for one in template["Resources"].values()
        if one["Type"] == "AWS::IAM::Role" and "WebIdentity" in str(one)
    ]
    return role


@pytest.mark.parametrize("ip_family", ["ipv4", "ipv6"])
def test_its_policy_serves_the_rebinding_of_aws_node(ip_family):
    policy = vpc_cni_policy(
        ip_family, cluster_name=example_cluster.NAME, vpc_id=example_cluster.VPC_ID
    )
    template = synthesise(
        lambda stack: AwsNodeRebinding(
            stack,
            "AwsNode",
            service_accounts=example_cluster.service_accounts(stack),
            ip_family=ip_family,
            cni_policy=policy,
        )
    )
    [held] = role_of(template)["Policies"]
    document = Deployment({"Stack": template}).value("Stack", held["PolicyDocument"])
    assert document == policy_documents(
        location=HERE,
        ip_family=ip_family,
        cluster_scoped=True,
        cluster_name=example_cluster.NAME,
        vpc_id=example_cluster.VPC_ID,
    )["VpcCni"]  # fmt: skip


def test_its_policy_takes_names_that_are_known_at_deploy_only():
    policy = vpc_cni_policy("ipv4", cluster_name=Aws.STACK_NAME, vpc_id=example_cluster.VPC_ID)
    deployment = Deployment({"payments-prod": {}})
    document = json.loads(deployment.value("payments-prod", Stack().resolve(policy)))
    assert document == policy_documents(
        location=HERE,
        cluster_scoped=True,
        cluster_name="payments-prod",
        vpc_id=example_cluster.VPC_ID,
    )["VpcCni"]  # fmt: skip


def test_has_no_policy_where_aws_keeps_one():
    with pytest.raises(InvalidInput, match="cluster_name must be given with ip_family='ipv4'"):
        vpc_cni_policy("ipv4")
