"""`aws-node` in a cluster of ours: its own role, and nodes without the CNI's permissions."""

import pytest

from tests.e2e.harness.product import CLUSTER_STACK


@pytest.fixture(scope="module")
def outputs(deployed):
    return deployed.cdk.outputs()[CLUSTER_STACK]


def test_every_aws_node_pod_has_the_role(deployed, outputs):
    path = "{.items[*].spec.containers[0].env[?(@.name=='AWS_ROLE_ARN')].value}"
    roles = deployed.kubernetes.kubectl(
        "get",
        "pods",
        "--namespace=kube-system",
        "--selector=k8s-app=aws-node",
        f"--output=jsonpath={path}",
    )
    assert roles.split() == [outputs["AwsNodeRoleArn"]] * 2


def test_aws_node_may_assume_its_role(deployed, outputs):
    token = deployed.token("aws-node", namespace="kube-system")
    answer = deployed.account.assume_role(outputs["AwsNodeRoleArn"], token)
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:kube-system:aws-node"


def test_its_role_alone_holds_the_cni_policy(deployed, outputs):
    iam = deployed.account.client("iam")

    def policies(role_arn):
        attached = iam.list_attached_role_policies(RoleName=role_arn.rsplit("/", 1)[1])
        return {policy["PolicyName"] for policy in attached["AttachedPolicies"]}

    assert policies(outputs["AwsNodeRoleArn"]) == {"AmazonEKS_CNI_Policy"}
    assert "AmazonEKS_CNI_Policy" not in policies(outputs["NodeRoleArn"])
