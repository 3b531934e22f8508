import email
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks as eks
from aws_cdk import aws_eks_v2 as eks_v2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Annotations, Match, Template

from irsa_stack.cdk.metadata_guard import HopLimit, InstanceMetadataGuard
from irsa_stack.faults import InvalidInput
from irsa_stack.nodes.user_data import AmiFamily, PacketFilter, cluster_settings, shell_script

NODE_CLASS = {
    "role": "nodes",
    "subnet_selector_terms": [{"tags": {"discovery": "dev"}}],
    "security_group_selector_terms": [{"id": "sg-1"}],
}


@pytest.fixture
def stack() -> cdk.Stack:
    return cdk.Stack(cdk.App(), "Nodes")


def launch_template(stack: cdk.Stack) -> Mapping[str, Any]:
    (resource,) = Template.from_stack(stack).find_resources("AWS::EC2::LaunchTemplate").values()
    return resource["Properties"]["LaunchTemplateData"]


def vpc_of(stack: cdk.Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-1"],
    )


def test_requires_tokens_and_limits_their_hops(stack):
    InstanceMetadataGuard(stack, "Guard")
    assert launch_template(stack)["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
        "HttpProtocolIpv6": "disabled",
    }


@pytest.mark.parametrize("hop_limit", [1, HopLimit.PODS, 64])
def test_requires_tokens_whatever_the_hop_limit(stack, hop_limit):
    InstanceMetadataGuard(stack, "Guard", hop_limit=hop_limit, ipv6_endpoint=True)
    assert launch_template(stack)["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": int(hop_limit),
        "HttpProtocolIpv6": "enabled",
    }


@pytest.mark.parametrize("hop_limit", [0, 65, -1, "1", 1.5])
def test_refuses_a_hop_limit_that_ec2_does_not_know(stack, hop_limit):
    with pytest.raises(InvalidInput) as error:
        InstanceMetadataGuard(stack, "Guard", hop_limit=hop_limit)
    assert str(error.value) == (
        f"hop_limit must be 1-64, got {hop_limit!r}; 1 keeps pods out, 2 lets them in"
    )


@pytest.mark.parametrize(
    ("hop_limit", "packet_filter", "closed"),
    [
        (1, PacketFilter.NONE, True),
        (1, PacketFilter.ARTICLE_IPTABLES, True),
        (2, PacketFilter.NONE, False),
        (2, PacketFilter.ARTICLE_IPTABLES, False),
        (2, PacketFilter.NFTABLES, True),
    ],
)
def test_says_and_warns_whether_pods_are_kept_out(stack, hop_limit, packet_filter, closed):
    guard = InstanceMetadataGuard(stack, "Guard", hop_limit=hop_limit, packet_filter=packet_filter)
    warnings = Annotations.from_stack(stack).find_warning("*", Match.any_value())
    assert (guard.closed_to_pods, not warnings) == (closed, closed)


def test_gives_nodes_encrypted_volumes(stack):
    InstanceMetadataGuard(stack, "Guard", volume_size=cdk.Size.gibibytes(50))
    assert launch_template(stack)["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {"Encrypted": True, "VolumeSize": 50, "VolumeType": "gp3"},
        }
    ]


def test_gives_bottlerocket_its_two_volumes(stack):
    InstanceMetadataGuard(stack, "Guard", ami_family=AmiFamily.BOTTLEROCKET)
    volumes = launch_template(stack)["BlockDeviceMappings"]
    assert [(it["DeviceName"], it["Ebs"]["VolumeSize"]) for it in volumes] == [
        ("/dev/xvda", 4),
        ("/dev/xvdb", 20),
    ]


def test_encrypts_volumes_with_the_key_given(stack):
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-west-1:111122223333:key/1")
    InstanceMetadataGuard(stack, "Guard", volume_key=key)
    (volume,) = launch_template(stack)["BlockDeviceMappings"]
    assert volume["Ebs"]["KmsKeyId"] == "arn:aws:kms:eu-west-1:111122223333:key/1"


def test_leaves_user_data_to_eks_when_it_adds_none(stack):
    InstanceMetadataGuard(stack, "Guard", packet_filter=PacketFilter.NONE)
    assert "UserData" not in launch_template(stack)


def test_hands_nodes_its_user_data_as_mime_parts(stack):
    InstanceMetadataGuard(
        stack,
        "Guard",
        packet_filter=PacketFilter.NFTABLES,
        user_data=[shell_script("#!/bin/bash\necho hello\n")],
    )
    message = email.message_from_string(launch_template(stack)["UserData"]["Fn::Base64"])
    assert [part.get_content_type() for part in message.get_payload()] == ["text/x-shellscript"] * 2


@pytest.mark.parametrize("kind", ["instance", "volume"])
def test_tags_of_the_scope_reach_instances_and_volumes(stack, kind):
    InstanceMetadataGuard(stack, "Guard")
    cdk.Tags.of(stack).add("team", "dns")
    tags = {
        it["ResourceType"]: {tag["Key"]: tag["Value"] for tag in it["Tags"]}
        for it in launch_template(stack)["TagSpecifications"]
    }
    assert tags[kind] == {"Name": "Nodes/Guard/Node", "team": "dns"}


def test_reports_all_faults_at_once(stack):
    with pytest.raises(InvalidInput) as error:
        InstanceMetadataGuard(
            stack,
            "Guard",
            ami_family=AmiFamily.BOTTLEROCKET,
            hop_limit=0,
            packet_filter=PacketFilter.NFTABLES,
        )
    assert [fault.split()[0] for fault in error.value.faults] == ["hop_limit", "packet_filter"]


@pytest.mark.parametrize("family", ["WINDOWS_CORE_2022_x86_64", "AUTO_MODE"])
def test_refuses_nodes_that_it_cannot_guard(stack, family):
    with pytest.raises(InvalidInput, match="ami_family must be AL2023 or BOTTLEROCKET"):
        InstanceMetadataGuard(stack, "Guard", ami_family=family)


@pytest.mark.parametrize("library", [eks, eks_v2])
def test_serves_managed_node_groups(stack, library):
    guard = InstanceMetadataGuard(stack, "Guard")
    vpc = vpc_of(stack)
    cluster = library.Cluster.from_cluster_attributes(stack, "Cluster", cluster_name="dev", vpc=vpc)
    library.Nodegroup(
        stack,
        "Nodegroup",
        cluster=cluster,
        launch_template_spec=guard.launch_template_spec,
        node_role=iam.Role.from_role_name(stack, "Role", "nodes"),
    )
    template = Template.from_stack(stack)
    (logical_id,) = template.find_resources("AWS::EC2::LaunchTemplate")
    template.has_resource_properties(
        "AWS::EKS::Nodegroup",
        {
            "LaunchTemplate": {
                "Id": {"Ref": logical_id},
                "Version": {"Fn::GetAtt": [logical_id, "LatestVersionNumber"]},
            }
        },
    )


def self_managed(stack: cdk.Stack, **properties: Any) -> InstanceMetadataGuard:
    return InstanceMetadataGuard(
        stack,
        "Guard",
        machine_image=ec2.MachineImage.generic_linux({"eu-west-1": "ami-1"}),
        instance_type=ec2.InstanceType("m7g.large"),
        role=iam.Role.from_role_name(stack, "Role", "nodes"),
        security_group=ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1"),
        **properties,
    )


def test_serves_self_managed_groups():
    stack = cdk.Stack(
        cdk.App(), "Nodes", env=cdk.Environment(account="111122223333", region="eu-west-1")
    )
    guard = self_managed(
        stack,
        user_data=[
            cluster_settings(
                AmiFamily.AL2023,
                cluster_name="dev",
                endpoint=cdk.Fn.import_value("Endpoint"),
                certificate_authority_data=cdk.Fn.import_value("Certificate"),
                service_cidr="172.20.0.0/16",
            )
        ],
    )
    autoscaling.AutoScalingGroup(
        stack, "Nodes", vpc=vpc_of(stack), launch_template=guard.launch_template
    )
    data = launch_template(stack)
    assert (data["ImageId"], data["InstanceType"], data["MetadataOptions"]["HttpTokens"]) == (
        "ami-1",
        "m7g.large",
        "required",
    )
    text = "".join(
        piece if isinstance(piece, str) else piece["Fn::ImportValue"]
        for piece in data["UserData"]["Fn::Base64"]["Fn::Join"][1]
    )
    assert 'apiServerEndpoint: "Endpoint"\n    certificateAuthority: "Certificate"\n' in text


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (AmiFamily.AL2023, "application/node.eks.aws"),
        (AmiFamily.BOTTLEROCKET, "application/toml"),
    ],
)
def test_refuses_an_image_whose_nodes_would_not_know_their_cluster(stack, family, kind):
    with pytest.raises(InvalidInput) as error:
        self_managed(stack, ami_family=family)
    assert str(error.value) == (
        f"user_data must tell nodes their cluster when machine_image is given, got no {kind} part;"
        " EKS adds none to such a template: add cluster_settings(...)"
    )


def test_guards_karpenters_nodes_alike(stack):
    guard = InstanceMetadataGuard(
        stack, "Guard", packet_filter=PacketFilter.NFTABLES, ipv6_endpoint=True
    )
    manifest = guard.karpenter_node_class("dev", tags={"team": "dns"}, **NODE_CLASS)
    user_data = manifest["spec"].pop("userData")
    assert manifest == {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": "dev"},
        "spec": {
            "amiSelectorTerms": [{"alias": "al2023@latest"}],
            "role": "nodes",
            "subnetSelectorTerms": [{"tags": {"discovery": "dev"}}],
            "securityGroupSelectorTerms": [{"id": "sg-1"}],
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "enabled",
                "httpPutResponseHopLimit": 1,
                "httpTokens": "required",
            },
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {
                        "volumeSize": "20Gi",
                        "volumeType": "gp3",
                        "encrypted": True,
                        "deleteOnTermination": True,
                    },
                }
            ],
            "tags": {"team": "dns"},
        },
    }
    assert user_data == launch_template(stack)["UserData"]["Fn::Base64"]


def test_gives_karpenters_bottlerocket_nodes_their_key_and_images(stack):
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-west-1:111122223333:key/1")
    guard = InstanceMetadataGuard(stack, "Guard", ami_family=AmiFamily.BOTTLEROCKET, volume_key=key)
    spec = guard.karpenter_node_class("dev", ami_alias="bottlerocket@v1.40.0", **NODE_CLASS)["spec"]
    assert spec["amiSelectorTerms"] == [{"alias": "bottlerocket@v1.40.0"}]
    assert [(it["deviceName"], it["ebs"]["kmsKeyID"]) for it in spec["blockDeviceMappings"]] == [
        ("/dev/xvda", "arn:aws:kms:eu-west-1:111122223333:key/1"),
        ("/dev/xvdb", "arn:aws:kms:eu-west-1:111122223333:key/1"),
    ]
    assert "userData" not in spec


@pytest.mark.parametrize(
    ("family", "expected"),
    [(AmiFamily.AL2023, PacketFilter.NFTABLES), (AmiFamily.BOTTLEROCKET, PacketFilter.NONE)],
)
def test_a_second_layer_is_there_unless_the_family_takes_none(stack, family, expected):
    assert InstanceMetadataGuard(stack, "Guard", ami_family=family).packet_filter is expected
