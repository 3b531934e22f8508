"""What an update of an environment may change, by AWS's rules for the resources in it."""

import pytest

from irsa_stack.environment.environment_file import environment
from irsa_stack.stacks import define_stacks
from tests.support.environment_files import changed
from tests.support.templates import app_with_flags, templates_of

DEV = {
    "service_type": "payments",
    "environment": "test",
    "cluster": {"new": {"version": "1.35", "vpc": {"cidr": "10.0.0.0/16"}}},
    "nodes": [{"name": "general", "instance_types": ["m7i.large"]}],
    "service_accounts": [{"namespace": "apps", "name": "api"}],
}
RESTRICTED = {"cluster.new.endpoint": {"public_cidrs": ["203.0.113.0/24"]}}


def templates(changes):
    app = app_with_flags()
    define_stacks(app, environment(changed(DEV, changes)))
    return templates_of(app)


def cluster_stack(changes):
    return templates(changes)["payments-test-cluster"]


def of_type(template, resource_type):
    return {
        logical_id: body["Properties"]
        for logical_id, body in template["Resources"].items()
        if body["Type"] == resource_type
    }


def test_a_changed_tag_changes_the_launch_template_and_not_the_node_group():
    """reality.md B1: EKS refuses both in one update."""
    before, after = cluster_stack({}), cluster_stack({"tags": {"Team": "platform"}})
    groups, guards = "AWS::EKS::Nodegroup", "AWS::EC2::LaunchTemplate"
    assert of_type(before, groups) == of_type(after, groups)
    assert of_type(before, guards) != of_type(after, guards)


EXPORTS = {
    "a log key is set": {"log_encryption_key": "arn:aws:kms:eu-west-1:111122223333:key/0123"},
    "the endpoint is restricted": RESTRICTED,
    "the endpoint is private": {"cluster.new.endpoint": {"public": False}},
    "another zone": {"cluster.new.vpc.availability_zones": 3},
    "nobody is left": {"service_accounts": []},
}


def exports(template):
    return {
        output["Export"]["Name"]: output["Value"]
        for output in template["Outputs"].values()
        if "Export" in output
    }


@pytest.mark.parametrize("changes", EXPORTS.values(), ids=EXPORTS)
def test_what_other_stacks_import_stays_exported_whatever_the_file_says(changes):
    """reality.md B2: CloudFormation refuses to drop an export that is in use."""
    assert exports(cluster_stack(changes)) == exports(cluster_stack({}))


@pytest.mark.parametrize("endpoint", [{}, {"public": False}, {"public_cidrs": ["203.0.113.0/24"]}])
def test_the_addresses_that_may_reach_the_endpoint_are_always_written(endpoint):
    """reality.md B3: CloudFormation refuses to leave them out once they were there."""
    [cluster] = of_type(
        cluster_stack({"cluster.new.endpoint": endpoint}), "AWS::EKS::Cluster"
    ).values()
    expected = endpoint.get("public_cidrs", ["0.0.0.0/0"])
    assert cluster["ResourcesVpcConfig"]["PublicAccessCidrs"] == expected


def test_node_groups_follow_the_version_of_the_cluster():
    """reality.md B4."""
    [nodes] = of_type(
        cluster_stack({"cluster.new.version": "1.36"}), "AWS::EKS::Nodegroup"
    ).values()
    assert nodes["Version"] == "1.36"


def test_a_release_of_the_nodes_can_be_pinned():
    """reality.md B4."""
    pinned = {"nodes.0.release_version": "1.35.2-20261101"}
    [nodes] = of_type(cluster_stack(pinned), "AWS::EKS::Nodegroup").values()
    assert nodes["ReleaseVersion"] == "1.35.2-20261101"
    assert "Version" not in nodes


@pytest.mark.parametrize("zones", [3, 6])
def test_another_zone_changes_no_subnet_that_is_there(zones):
    before = of_type(cluster_stack({}), "AWS::EC2::Subnet")
    after = of_type(
        cluster_stack({"cluster.new.vpc.availability_zones": zones}), "AWS::EC2::Subnet"
    )
    assert before == {logical_id: after[logical_id] for logical_id in before}
    assert len(after) == 2 * zones


def test_another_zone_leaves_the_subnets_of_the_control_plane():
    """EKS takes no zone that the cluster did not have at first: containers-roadmap #2330."""
    before, after = ({}, {"cluster.new.vpc.availability_zones": 3})
    subnets = [
        cluster["ResourcesVpcConfig"]["SubnetIds"]
        for changes in (before, after)
        for cluster in of_type(cluster_stack(changes), "AWS::EKS::Cluster").values()
    ]
    assert subnets[0] == subnets[1]


def test_zones_can_be_named_beside_the_addresses():
    """reality.md A6: EKS refuses some zones, whose names differ by AWS account."""
    zones = ["us-east-1a", "us-east-1c", "us-east-1d"]
    subnets = of_type(cluster_stack({"cluster.new.vpc.zones": zones}), "AWS::EC2::Subnet")
    assert {subnet["AvailabilityZone"] for subnet in subnets.values()} == set(zones)


def test_functions_in_the_vpc_have_a_security_group_of_their_own():
    """reality.md C2: EKS cannot delete a group that a function's interfaces are in."""
    stacks = templates(RESTRICTED)
    [group] = [
        name
        for name in of_type(stacks["payments-test-cluster"], "AWS::EC2::SecurityGroup")
        if name.startswith("FunctionGroup")
    ]
    [let_in] = of_type(stacks["payments-test-cluster"], "AWS::EC2::SecurityGroupIngress").values()
    assert let_in["SourceSecurityGroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    assert let_in["GroupId"]["Fn::GetAtt"][1] == "ClusterSecurityGroupId"
    for template in stacks.values():
        for function in of_type(template, "AWS::Lambda::Function").values():
            if "VpcConfig" in function:
                assert "ClusterSecurityGroupId" not in str(function["VpcConfig"])


def test_the_log_group_of_the_control_plane_goes_after_the_vpc():
    """reality.md C1: EKS makes it again while it writes its last logs."""
    resources = cluster_stack({})["Resources"]
    [group] = [name for name in resources if name.startswith("ControlPlaneLogs")]
    [vpc] = [body for body in resources.values() if body["Type"] == "AWS::EC2::VPC"]
    assert group in vpc["DependsOn"]
