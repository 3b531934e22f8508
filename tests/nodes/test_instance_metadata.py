import pytest

from irsa_stack.faults import InvalidInput
from irsa_stack.nodes.instance_metadata import deny_instance_metadata, refuse_untold_controllers

LOAD_BALANCER = "aws-load-balancer-controller"


@pytest.mark.parametrize(
    "chart_values",
    [
        {},
        {LOAD_BALANCER: {"region": "eu-west-1", "vpcId": "vpc-1"}},
        {LOAD_BALANCER: {"region": "eu-west-1", "vpcTags": {"Name": "dev"}}},
        {"cluster-autoscaler": {"awsRegion": "${Token[AWS.Region.4]}"}},
        {"aws-ebs-csi-driver": {"controller": {"region": "eu-west-1"}}},
        {"external-dns": {}},
    ],
)
def test_accepts_controllers_that_are_told_or_never_ask(chart_values):
    refuse_untold_controllers(chart_values)


@pytest.mark.parametrize(
    ("chart", "values", "untold"),
    [
        (LOAD_BALANCER, {"region": "eu-west-1"}, "vpcId or vpcTags"),
        (LOAD_BALANCER, {"vpcId": "vpc-1"}, "region"),
        (LOAD_BALANCER, {"vpcId": "", "region": "eu-west-1"}, "vpcId or vpcTags"),
        ("cluster-autoscaler", {}, "awsRegion"),
        ("aws-ebs-csi-driver", {"controller": {}}, "controller.region"),
        ("aws-ebs-csi-driver", {"controller": "none"}, "controller.region"),
        (
            "aws-gateway-controller-chart",
            {"awsRegion": "eu-west-1", "awsAccountId": "111122223333", "clusterName": "dev"},
            "clusterVpcId",
        ),
    ],
)
def test_refuses_a_controller_that_would_ask_metadata(chart, values, untold):
    with pytest.raises(InvalidInput) as error:
        refuse_untold_controllers({chart: values})
    assert [fault.partition(" must")[0] for fault in error.value.faults] == [
        f"{untold} of chart {chart}"
    ]


def test_names_all_that_is_untold_at_once():
    with pytest.raises(InvalidInput) as error:
        refuse_untold_controllers({LOAD_BALANCER: {}, "cluster-autoscaler": {}})
    assert str(error.value) == (
        "region of chart aws-load-balancer-controller must be given, got None; its controller"
        " reads the region from instance metadata, which the guard closes to pods\n"
        "vpcId or vpcTags of chart aws-load-balancer-controller must be given, got None; its"
        " controller reads the VPC id from instance metadata, which the guard closes to pods\n"
        "awsRegion of chart cluster-autoscaler must be given, got None; its controller reads the"
        " region from instance metadata, which the guard closes to pods"
    )


def test_the_network_policy_lets_all_pods_of_a_namespace_reach_all_but_metadata():
    assert deny_instance_metadata("apps") == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-instance-metadata", "namespace": "apps"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}},
                        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128"]}},
                        {"namespaceSelector": {}},
                    ]
                }
            ],
        },
    }


def test_the_network_policy_refuses_what_is_no_namespace():
    with pytest.raises(InvalidInput, match="namespace must"):
        deny_instance_metadata("Apps")
