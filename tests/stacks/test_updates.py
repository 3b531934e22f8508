"""What an update of an environment may change, by AWS's rules for the resources in it."""

import functools
import json
from collections import defaultdict

import pytest

from irsa_stack.environment.environment_file import environment
from irsa_stack.stacks import define_stacks
from rehearsal.refusals import RULES, Change, Place
from rehearsal.refusals.exports import imported
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


# What an environment file says before and after, and the rule that AWS would refuse the update by:
# docs/operations.md says how each of these is deployed instead.
CERTIFICATE = "a" * 40
KEY = "arn:aws:kms:us-east-1:111122223333:key/0123"
ROLE = "arn:aws:iam::111122223333:role/Admin"
PRIVATE = {"cluster.new.endpoint": {"public": False}}
EXISTING_VPC = {
    "id": "vpc-0123456789abcdef0",
    "zones": ["us-east-1a", "us-east-1b"],
    "private_subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
}
TAGS = {"tags": {"Team": "platform"}}
SIZES = {"nodes.0.max_size": 9}
NO_FILTER = {"metadata_guard": {"packet_filter": "none"}}
NEWER = {"cluster.new.version": "1.36"}
PINNED = {"nodes.0.release_version": "1.35.2-20261101"}
EXACT = {"oidc": {"thumbprints": "exact", "values": [CERTIFICATE]}}
BY_IAM = {"oidc": {"thumbprints": "chosen-by-iam"}}
SECOND_GROUP = {
    "nodes.1": {"name": "arm", "instance_types": ["m7g.large"], "architecture": "arm64"}
}
SECOND_ACCOUNT = {"service_accounts.1": {"namespace": "web", "name": "shop"}}
NOBODY = {"service_accounts": []}
UPDATES = {
    "restrict the endpoint": ({}, RESTRICTED, []),
    "open a restricted endpoint": (RESTRICTED, {}, []),
    "close the public endpoint": ({}, PRIVATE, []),
    "open a private endpoint": (PRIVATE, {}, []),
    "restricted to private": (RESTRICTED, PRIVATE, []),
    "private to restricted": (PRIVATE, RESTRICTED, []),
    "other addresses": (
        RESTRICTED,
        {"cluster.new.endpoint": {"public_cidrs": ["198.51.100.0/24", "203.0.113.7/32"]}},
        [],
    ),
    "only the public endpoint": ({}, {"cluster.new.endpoint": {"private": False}}, []),
    "another zone": ({}, {"cluster.new.vpc.availability_zones": 3}, []),
    "another zone, restricted": (
        RESTRICTED,
        {**RESTRICTED, "cluster.new.vpc.availability_zones": 4},
        [],
    ),
    "a zone less": ({"cluster.new.vpc.availability_zones": 3}, {}, []),
    "a zone appended": (
        {"cluster.new.vpc.zones": ["us-east-1a", "us-east-1b"]},
        {"cluster.new.vpc.zones": ["us-east-1a", "us-east-1b", "us-east-1d"]},
        [],
    ),
    "a NAT gateway more": ({}, {"cluster.new.vpc.nat_gateways": 2}, []),
    "a log key": ({}, {"log_encryption_key": KEY}, []),
    "no log key": ({"log_encryption_key": KEY}, {}, []),
    "log types": ({}, {"cluster.new.log_types": ["audit"]}, []),
    "no log types": ({}, {"cluster.new.log_types": []}, []),
    "log retention": ({}, {"log_retention_days": 365}, []),
    "a tag": ({}, TAGS, []),
    "another value of a tag": (TAGS, {"tags": {"Team": "payments"}}, []),
    "no tag": (TAGS, {}, []),
    "sizes": ({}, SIZES, []),
    "the packet filter": ({}, NO_FILTER, []),
    "the hop limit": ({}, {"metadata_guard": {"hop_limit": 2}}, []),
    "instance types": ({}, {"nodes.0.instance_types": ["m7i.xlarge"]}, []),
    "another family": ({}, {"nodes.0.ami_family": "BOTTLEROCKET"}, []),
    "a second node group": ({}, SECOND_GROUP, []),
    "a node group less": (SECOND_GROUP, {}, []),
    "a newer version": ({}, NEWER, []),
    "a pinned release": ({}, PINNED, []),
    "a newer release": (PINNED, {"nodes.0.release_version": "1.35.2-20261115"}, []),
    "no pinned release": (PINNED, {}, []),
    "a newer cluster, pinned nodes": (PINNED, {**PINNED, **NEWER}, []),
    "exact thumbprints": ({}, EXACT, []),
    "computed thumbprints": (EXACT, {}, []),
    "computed once more": ({}, {"oidc": {"refresh": "2026-12"}}, []),
    "one more thumbprint": ({}, {"oidc": {"values": [CERTIFICATE]}}, []),
    "thumbprints named after IAM's choice": (BY_IAM, EXACT, []),
    "aws-node as an add-on": ({}, {"vpc_cni": "addon"}, []),
    "aws-node rebound again": ({"vpc_cni": "addon"}, {}, []),
    "an account more": ({}, SECOND_ACCOUNT, []),
    "an account less": (SECOND_ACCOUNT, {}, []),
    "no account": ({}, NOBODY, []),
    "no account, restricted": (RESTRICTED, {**RESTRICTED, **NOBODY}, []),
    "the first account": (NOBODY, {}, []),
    "a boundary": ({}, {"permissions_boundary": "arn:aws:iam::111122223333:policy/Edge"}, []),
    "an administrator": ({}, {"cluster.new.administrators": [ROLE]}, []),
    "no administrator": ({"cluster.new.administrators": [ROLE]}, {}, []),
    "an administrator, no account": (
        {},
        {**NOBODY, "cluster.new.administrators": [ROLE]},
        [],
    ),
    "an account's namespace": ({}, {"service_accounts.0.namespace": "web"}, []),
    "endpoint, log types and retention": (
        {},
        {**RESTRICTED, "cluster.new.log_types": ["api"], "log_retention_days": 7},
        [],
    ),
    "a tag, in a VPC that is there": (
        {"cluster.new.vpc": EXISTING_VPC},
        {"cluster.new.vpc": EXISTING_VPC, **TAGS},
        [],
    ),
    # Refused, as docs/operations.md says.
    "tags and sizes": ({}, {**TAGS, **SIZES}, ["node group updates combined"]),
    "sizes and the packet filter": ({}, {**SIZES, **NO_FILTER}, ["node group updates combined"]),
    "sizes and a newer version": ({}, {**SIZES, **NEWER}, ["node group updates combined"]),
    "two versions at once": (
        {"cluster.new.version": "1.34"},
        {"cluster.new.version": "1.36"},
        ["cluster version"],
    ),
    "an older version": (NEWER, {}, ["cluster version"]),
    "thumbprints that IAM chooses": ({}, BY_IAM, ["thumbprints left out"]),
    "a tag beside IAM's thumbprints": (BY_IAM, {**BY_IAM, **TAGS}, ["thumbprints left out"]),
    "another role path": (
        {},
        {"role_path": "/irsa/"},
        ["export in use", "named resource replaced"],
    ),
    "another key of secrets": (
        {},
        {"cluster.new.secrets_encryption_key": KEY},
        ["export in use", "named resource replaced"],
    ),
    "other first zones": (
        {"cluster.new.vpc.zones": ["us-east-1a", "us-east-1b"]},
        {"cluster.new.vpc.zones": ["us-east-1d", "us-east-1b"]},
        ["cluster zones", "subnet conflict"],
    ),
    "zones named later": (
        {},
        {"cluster.new.vpc.zones": ["us-east-1d", "us-east-1a"]},
        ["cluster zones", "subnet conflict"],
    ),
}
PLACE = Place(zones={f"us-east-1{letter}": f"use1-az{letter}" for letter in "abcdef"})


@functools.cache
def deployable(changes):
    """The templates and stack tags of an environment, by stack, in the order of deployment."""
    app = app_with_flags()
    define_stacks(app, environment(changed(DEV, json.loads(changes))))
    return [
        (artifact.stack_name, artifact.template, dict(artifact.tags))
        for artifact in app.synth().stacks
    ]


def refused(before, after):
    """The rules by which AWS refuses the deploy of *after* where *before* is deployed."""
    there = {name: (template, tags) for name, template, tags in deployable(json.dumps(before))}
    broken = set()
    for name, template, tags in deployable(json.dumps(after)):
        imports = defaultdict(list)
        for other, (deployed, _) in there.items():
            for export in imported(deployed):
                imports[export].append(other)
        old, old_tags = there.get(name, (None, {}))
        change = Change(
            stack=name,
            new=template,
            old=old,
            tags=tags,
            old_tags=old_tags,
            imports=imports,
            place=PLACE,
        )
        broken |= {rule for rule, check in RULES.items() if list(check(change))}
        there[name] = template, tags
    return sorted(broken)


@pytest.mark.parametrize(("before", "after", "rules"), UPDATES.values(), ids=UPDATES)
def test_an_update_breaks_no_rule_of_aws_but_those_that_the_docs_name(before, after, rules):
    """reality.md B1-B4, B7, and what else AWS documents of updates."""
    assert refused(before, after) == rules
