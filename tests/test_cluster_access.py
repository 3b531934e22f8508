import pytest
from aws_cdk import Duration, Stack

from irsa_stack.cluster_access import (
    access_policies,
    describe_cluster,
    rollout_faults,
    seconds_of,
)


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


def test_a_duration_has_seconds():
    assert seconds_of(Duration.minutes(1), of="wait") == (60, [])
    assert seconds_of(None, of="wait") == (None, [])


@pytest.mark.parametrize("wrong", [60, "1m", 1.5])
def test_what_is_no_duration_is_told_how_to_be_one(wrong):
    assert seconds_of(wrong, of="wait") == (
        None,
        [f"wait must be a Duration, got {wrong!r}; write Duration.seconds({wrong!r})"],
    )


@pytest.mark.parametrize("seconds", [None, 1, 780])
def test_a_function_can_wait_so_long(seconds):
    assert list(rollout_faults(seconds)) == []


@pytest.mark.parametrize("seconds", [0, 781])
def test_a_function_that_waited_so_long_could_not_undo(seconds):
    [fault] = rollout_faults(seconds)
    assert fault.startswith(f"rollout_timeout must be 1-780 seconds, got {seconds};")
