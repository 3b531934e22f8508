import pytest
from aws_cdk import Stack

from irsa_stack.cdk.cluster_access import access_policies, describe_cluster, rollout_faults


def test_a_function_enters_namespaces_in_alphabetical_order():
    assert access_policies("aws-cn", {"b", "a"}, whole_cluster=False) == [
        {
            "PolicyArn": "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
            "AccessScope": {"Type": "namespace", "Namespaces": ["a", "b"]},
        }
    ]


def test_a_function_that_makes_namespaces_enters_the_whole_cluster():
    [policy] = access_policies("aws", {"a"}, whole_cluster=True)
    assert policy["AccessScope"] == {"Type": "cluster"}
    assert policy["PolicyArn"].endswith("/AmazonEKSClusterAdminPolicy")


def test_a_function_sees_its_own_cluster_only():
    statement = describe_cluster(Stack(), "payments")
    assert statement["Action"] == "eks:DescribeCluster"
    assert statement["Resource"].endswith(":cluster/payments")


@pytest.mark.parametrize("seconds", [None, 1, 780])
def test_a_function_can_wait_so_long(seconds):
    assert list(rollout_faults(seconds)) == []


@pytest.mark.parametrize("seconds", [0, 781])
def test_a_function_that_waited_so_long_could_not_undo(seconds):
    [fault] = rollout_faults(seconds)
    assert fault.startswith(f"rollout_timeout must be 1-780 seconds, got {seconds};")
