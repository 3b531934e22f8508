"""Karpenter: nodes of one cluster, made, tagged and terminated by it alone.

Upstream's policy has the same limits by tag, but takes any subnet, security group and image of the
AWS account; here subnets and security groups must be in the VPC of the cluster.

See: https://github.com/aws/karpenter-provider-aws/blob/v1.14.1/website/content/en/preview/getting-started/getting-started-with-karpenter/cloudformation.yaml
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.scopes import QUEUE, ROLE, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import (
    Location,
    Statement,
    allow,
    owned_by,
    requested_for,
)
from irsa_stack.controllers.upstream import Upstream

_LAUNCHED = "fleet instance volume network-interface launch-template spot-instances-request"
_DESCRIBED = (
    "CapacityReservations Images InstanceStatus InstanceTypeOfferings InstanceTypes Instances"
    " LaunchTemplates PlacementGroups SecurityGroups SpotPriceHistory Subnets"
)
_START = ["ec2:CreateFleet", "ec2:RunInstances"]
_POOL = "karpenter.sh/nodepool"
_CLASS = "karpenter.k8s.aws/ec2nodeclass"


@dataclass(frozen=True, kw_only=True)
class Karpenter(ControllerSpec):
    """Makes and terminates nodes of one cluster.

    The node role and the queue of interruptions are yours: name them here.

    Examples:
        >>> from irsa_stack.controllers import Karpenter
        >>> karpenter = Karpenter(
        ...     node_roles=["arn:aws:iam::111122223333:role/payments-prod-nodes"],
        ...     interruption_queue="arn:aws:sqs:eu-west-1:111122223333:payments-prod",
        ... )
    """

    node_roles: Sequence[str] = ()
    """ARNs of the roles that its nodes may get."""
    interruption_queue: str | None = None
    """ARN of the queue that EC2's interruptions come through. Default: none."""
    instance_profiles: bool = True
    """Whether it makes instance profiles; not needed where each EC2NodeClass names one."""
    vpc_id: str | None = None
    """VPC of the cluster. Default: what the cluster says."""

    upstream = Upstream(
        policy="https://github.com/aws/karpenter-provider-aws/blob/v1.14.1/website/content/en/preview/reference/cloudformation.md",
        version="v1.14.1",
        released="2026-08-20",
        minimum="v1.0.0",
        because="tags nodes with eks:eks-cluster-name",
        chart="karpenter",
        repository="oci://public.ecr.aws/karpenter",
        chart_version="1.14.1",
    )
    service_account = "karpenter"
    needs_vpc = True
    wildcards = {
        "UseImages": "images and snapshots of AWS or of this account come and go; read only",
        "UseNetwork": "subnets and security groups of this VPC",
        "UseReservations": "capacity and placement that its nodes ask for; of this account",
        "UseTemplates": "launch templates come and go; only those of this cluster",
        "Launch": "ids are not known before; only with the tags of this cluster",
        "TagNew": "ids are not known before; only while they are made for this cluster",
        "TagNodes": "nodes come and go; only those of this cluster",
        "Delete": "nodes come and go; only those of this cluster",
        "CreateProfiles": "named after node classes; only with the tags of this cluster",
        "ChangeProfiles": "named after node classes; only those of this cluster",
        "TagProfiles": "named after node classes; only those of this cluster",
        "ReadProfiles": "instance profiles of this account, read only",
        "ListProfiles": "IAM lists these on no resource level; nothing is written",
        "Describe": "EC2 describes these on no resource level; nothing is written",
        "ReadImageParameters": "AWS's own parameters, which name its images; read only",
        "ReadPrices": "AWS Price List has no resource level; nothing is written",
    }

    def faults(self) -> Iterator[str]:
        yield from list_faults(self.node_roles, ROLE, of="node_roles", required=True)
        if self.interruption_queue is not None:
            yield from QUEUE.faults(self.interruption_queue, of="interruption_queue")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        return {
            "Nodes": self._nodes(cluster, location),
            "Identity": self._identity(cluster, location),
            "Discovery": self._discovery(cluster, location),
        }

    def _nodes(self, cluster: Cluster, location: Location) -> list[Statement]:
        name = cluster.name
        launched = [location.arn("ec2", f"{kind}/*") for kind in _LAUNCHED.split()]
        instances, templates = launched[1], launched[4]
        in_vpc = {"ArnEquals": {"ec2:Vpc": location.arn("ec2", f"vpc/{self.vpc_of(cluster)}")}}
        owned = {
            "StringEquals": owned_by(name),
            "StringLike": {f"aws:ResourceTag/{_POOL}": "*"},
        }
        asked = {**requested_for(name), "aws:RequestTag/eks:eks-cluster-name": name}
        pooled = {f"aws:RequestTag/{_POOL}": "*"}
        made = ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]
        return [
            allow(
                "UseImages",
                _START,
                [location.public_arn("ec2", "image/*"), location.public_arn("ec2", "snapshot/*")],
            ),
            allow(
                "UseNetwork",
                _START,
                [location.arn("ec2", "security-group/*"), location.arn("ec2", "subnet/*")],
                in_vpc,
            ),
            allow(
                "UseReservations",
                _START,
                [
                    location.arn("ec2", "capacity-reservation/*"),
                    location.arn("ec2", "placement-group/*"),
                ],
            ),
            allow("UseTemplates", _START, [templates], owned),
            allow(
                "Launch",
                [*_START, "ec2:CreateLaunchTemplate"],
                launched,
                {"StringEquals": asked, "StringLike": pooled},
            ),
            allow(
                "TagNew",
                ["ec2:CreateTags"],
                launched,
                {"StringEquals": {**asked, "ec2:CreateAction": made}, "StringLike": pooled},
            ),
            allow(
                "TagNodes",
                ["ec2:CreateTags"],
                [instances],
                {
                    **owned,
                    "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": name},
                    "ForAllValues:StringEquals": {
                        "aws:TagKeys": ["Name", "eks:eks-cluster-name", "karpenter.sh/nodeclaim"]
                    },
                    "Null": {"aws:TagKeys": "false"},
                },
            ),
            allow(
                "Delete",
                ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
                [instances, templates],
                owned,
            ),
        ]

    def _identity(self, cluster: Cluster, location: Location) -> list[Statement]:
        # China has a name of its own for EC2 too.
        ec2 = ["ec2.amazonaws.com", *(["ec2.amazonaws.com.cn"] if location.may_be_china() else [])]
        passed = {"StringEquals": {"iam:PassedToService": ec2}}
        statements = [allow("PassNodeRoles", ["iam:PassRole"], self.node_roles, passed)]
        if self.instance_profiles:
            profiles = [location.iam_arn("instance-profile/*")]
            region = "topology.kubernetes.io/region"
            owned = {**owned_by(cluster.name), f"aws:ResourceTag/{region}": location.region}
            asked = {
                **requested_for(cluster.name),
                "aws:RequestTag/eks:eks-cluster-name": cluster.name,
                f"aws:RequestTag/{region}": location.region,
            }
            create = {"StringEquals": asked, "StringLike": {f"aws:RequestTag/{_CLASS}": "*"}}
            change = {"StringEquals": owned, "StringLike": {f"aws:ResourceTag/{_CLASS}": "*"}}
            changes = ["AddRoleTo", "RemoveRoleFrom", "Delete"]
            statements += [
                allow("CreateProfiles", ["iam:CreateInstanceProfile"], profiles, create),
                allow(
                    "ChangeProfiles",
                    [f"iam:{action}InstanceProfile" for action in changes],
                    profiles,
                    change,
                ),
                allow(
                    "TagProfiles",
                    ["iam:TagInstanceProfile"],
                    profiles,
                    {
                        "StringEquals": {**asked, **owned},
                        "StringLike": {**create["StringLike"], **change["StringLike"]},
                    },
                ),
                allow("ReadProfiles", ["iam:GetInstanceProfile"], profiles),
                allow("ListProfiles", ["iam:ListInstanceProfiles"], ["*"]),
            ]
        return statements

    def _discovery(self, cluster: Cluster, location: Location) -> list[Statement]:
        parameters = location.public_arn("ssm", "parameter/aws/service/*")
        statements = [
            allow("Describe", [f"ec2:Describe{one}" for one in _DESCRIBED.split()], ["*"]),
            allow("ReadImageParameters", ["ssm:GetParameter"], [parameters]),
            allow("ReadPrices", ["pricing:GetProducts"], ["*"]),
            allow(
                "ReadCluster",
                ["eks:DescribeCluster"],
                [location.arn("eks", f"cluster/{cluster.name}")],
            ),
        ]
        if self.interruption_queue is not None:
            actions = ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
            statements.append(allow("ReadQueue", actions, [self.interruption_queue]))
        return statements

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        settings = {"clusterName": cluster.name}
        if cluster.endpoint is not None:
            settings["clusterEndpoint"] = cluster.endpoint
        if self.interruption_queue is not None:
            settings["interruptionQueue"] = self.interruption_queue.rpartition(":")[2]
        return {"settings": settings}
