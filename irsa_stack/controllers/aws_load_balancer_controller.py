"""AWS Load Balancer Controller, once called alb-ingress-controller: balancers of one cluster.

Upstream's policy asks only that a load balancer *has* the tag `elbv2.k8s.aws/cluster`, whatever
its value, and lets listeners, rules and security groups be changed wherever they are: two clusters
of an account can delete each other's. Here the tag must name the cluster, listeners and rules
included, and security groups must be in its VPC. AWS holds EKS Auto Mode's own controller by tag
likewise.

See:
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/docs/install/iam_policy.json
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSLoadBalancingPolicy.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irsa_stack.controllers.scopes import Kind, list_faults, vpc_owner_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
"""See: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/deploy/tracking/provider.go"""

_TARGET_GROUP = Kind(
    r"arn:[^*]+:targetgroup/[^*]+",
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/legacy/0a1b2c3d4e5f6071",
    "copy them from `aws elbv2 describe-target-groups`",
)


@dataclass(frozen=True, kw_only=True)
class AwsLoadBalancerController(ControllerSpec):
    """Keeps the load balancers of one cluster, in its VPC.

    Four managed policies leave the role's inline room to grants. The chart values hold region and
    VPC, so that it needs no instance metadata.

    Examples:
        >>> from irsa_stack.controllers import AwsLoadBalancerController
        >>> from irsa_stack.controllers.spec import Cluster
        >>> from irsa_stack.controllers.statements import Location
        >>> ireland = Location(partition="aws", region="eu-west-1", aws_account="111122223333")
        >>> cluster = Cluster(name="payments-prod", vpc_id="vpc-0123456789abcdef0")
        >>> AwsLoadBalancerController(shield=False).chart_values(cluster, ireland)["enableShield"]
        False
    """

    vpc_id: str | None = None
    """VPC of the cluster. Default: what the cluster says."""
    vpc_owner: str | None = None
    """AWS account of the VPC, if it is shared with the cluster's. Default: the cluster's."""
    region: str | None = None
    """Region of the cluster. Default: that of the stack."""
    target_groups: Sequence[str] = ()
    """ARNs of target groups made elsewhere, for `TargetGroupBinding`s. Default: only those that the
    controller makes."""
    waf: bool | None = None
    """Whether it associates web ACLs of WAF. Default: yes, but not in China."""
    shield: bool | None = None
    """Whether it protects load balancers with Shield Advanced. Default: yes, but not in China."""

    upstream = Upstream(
        policy="https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/docs/install/iam_policy.json",
        version="v3.5.0",
        released="2026-08-03",
        minimum="v2.4.0",
        because="tags listeners and rules too, by which they are told from another cluster's",
        chart="aws-load-balancer-controller",
        repository="https://aws.github.io/eks-charts",
        chart_version="3.5.0",
    )
    service_account = "aws-load-balancer-controller"
    needs_vpc = True
    wildcards = {
        "Describe": "these are described on no resource level; nothing is written",
        "ReadAddressPools": "pools of this region and account, read only",
        "ReadCertificates": "certificates of this region and account, read only",
        "ReadUserPoolClients": "user pools of this region and account, read only",
        "CreateSecurityGroup": "its id is not known before; only with the tag of this cluster",
        "TagNewSecurityGroup": "its id is not known before; only while it is made for this cluster",
        "TagSecurityGroups": "security groups come and go; only those of this cluster",
        "DeleteSecurityGroups": "security groups come and go; only those of this cluster",
        "ChangeIngress": "nodes and pods must let load balancers in; groups of this VPC",
        "Create": "their ids are not known before; only with the tag of this cluster",
        "CreateListeners": "ids are not known before; only on load balancers of this cluster",
        "TagNew": "their ids are not known before; only while they are made for this cluster",
        "TagNewListeners": "ids are not known before; only while they are made for this cluster",
        "Tag": "they come and go with Ingresses and Services; only those of this cluster",
        "TagListeners": "they come and go with Ingresses; only those of this cluster",
        "ChangeLoadBalancers": "they come and go; only those of this cluster",
        "ChangeTargetGroups": "they come and go; only those of this cluster",
        "ChangeListeners": "they come and go; only those of this cluster",
        "ChangeRules": "they come and go; only those of this cluster",
        "OrderRules": "ELB evaluates no tags for it; rules of this region and account",
        "ReadWebAcls": "web ACLs of the account, read only",
        "ReadProtections": "Shield's protections of the account, read only",
        "PermitWebAcl": "ELB offers no resource level for it; WAF asks for it too",
        "AssociateWebAcl": "web ACLs and load balancers of this region; WAF has no tag key",
        "Protect": "Shield offers no resource level for it",
        "Unprotect": "Shield's protections of this account; the controller does not tag them",
    }

    def faults(self) -> Iterator[str]:
        yield from vpc_owner_faults(self.vpc_owner)
        yield from list_faults(self.target_groups, _TARGET_GROUP, of="target_groups")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        location = self._placed(location)
        vpc_arn = f"{self._vpc_arn_prefix(location)}:vpc/{self.vpc_of(cluster)}"
        waf, shield = self._protects(location)
        return {
            "Discovery": _discovery(location, vpc_arn),
            "SecurityGroups": _security_groups(location, cluster.name, vpc_arn),
            "LoadBalancers": [
                *_load_balancers(location, cluster.name, self.target_groups),
                *(_waf(location) if waf else []),
                *(_shield(location) if shield else []),
            ],
            "Listeners": _listeners(location, cluster.name),
        }

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        location = self._placed(location)
        waf, shield = self._protects(location)
        return {
            "clusterName": cluster.name,
            "region": location.region,
            "vpcId": self.vpc_of(cluster),
            "enableShield": shield,
            # WAF Classic, which has ended; the policy has none of its actions.
            # https://docs.aws.amazon.com/waf/latest/developerguide/classic-waf-chapter.html
            "enableWaf": False,
            "enableWafv2": waf,
        }

    def _placed(self, location: Location) -> Location:
        return replace(location, region=self.region or location.region)

    def _vpc_arn_prefix(self, location: Location) -> str:
        owner = self.vpc_owner or location.aws_account
        return f"arn:{location.partition}:ec2:{location.region}:{owner}"

    def _protects(self, location: Location) -> tuple[bool, bool]:
        """Say whether WAF and Shield are used.

        See: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1256
        """
        default = not location.is_china
        return (
            default if self.waf is None else self.waf,
            default if self.shield is None else self.shield,
        )


def _discovery(location: Location, vpc_arn: str) -> list[Statement]:
    iam = location.iam_arn("").rstrip(":")
    linked_role = "aws-service-role/elasticloadbalancing.amazonaws.com"
    return [
        allow(
            "Describe",
            [
                "acm:ListCertificates",
                "ec2:DescribeAccountAttributes",
                "ec2:DescribeAddresses",
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeCoipPools",
                "ec2:DescribeInstances",
                "ec2:DescribeInternetGateways",
                "ec2:DescribeIpamPools",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeTags",
                "ec2:DescribeVpcPeeringConnections",
                "ec2:DescribeVpcs",
                "elasticloadbalancing:DescribeCapacityReservation",
                "elasticloadbalancing:DescribeListenerAttributes",
                "elasticloadbalancing:DescribeListenerCertificates",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeLoadBalancerAttributes",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeSSLPolicies",
                "elasticloadbalancing:DescribeTags",
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
                "elasticloadbalancing:DescribeTrustStores",
                "iam:ListServerCertificates",
            ],
            ["*"],
        ),
        allow("ReadVpc", ["ec2:GetSecurityGroupsForVpc"], [vpc_arn]),
        allow("ReadAddressPools", ["ec2:GetCoipPoolUsage"], [location.arn("ec2", "coip-pool/*")]),
        allow(
            "ReadCertificates",
            ["acm:DescribeCertificate", "iam:GetServerCertificate"],
            [location.arn("acm", "certificate/*"), f"{iam}:server-certificate/*"],
        ),
        allow(
            "ReadUserPoolClients",
            ["cognito-idp:DescribeUserPoolClient"],
            [location.arn("cognito-idp", "userpool/*")],
        ),
        allow(
            "CreateLinkedRole",
            ["iam:CreateServiceLinkedRole"],
            [f"{iam}:role/{linked_role}/AWSServiceRoleForElasticLoadBalancing"],
            {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
    ]


def _security_groups(location: Location, cluster_name: str, vpc_arn: str) -> list[Statement]:
    groups = [location.arn("ec2", "security-group/*")]
    in_vpc = {"ec2:Vpc": vpc_arn}
    return [
        allow(
            "CreateSecurityGroup",
            ["ec2:CreateSecurityGroup"],
            groups,
            {"StringEquals": _requested(cluster_name)},
        ),
        allow("CreateInVpc", ["ec2:CreateSecurityGroup"], [vpc_arn]),
        allow(
            "TagNewSecurityGroup",
            ["ec2:CreateTags"],
            groups,
            {
                "StringEquals": {
                    "ec2:CreateAction": "CreateSecurityGroup",
                    **_requested(cluster_name),
                }
            },
        ),
        allow(
            "TagSecurityGroups",
            ["ec2:CreateTags", "ec2:DeleteTags"],
            groups,
            _retag(cluster_name),
        ),
        allow(
            "DeleteSecurityGroups",
            ["ec2:DeleteSecurityGroup"],
            groups,
            {"ArnEquals": in_vpc, "StringEquals": _owned(cluster_name)},
        ),
        # By VPC and not by tag: the groups of the nodes are not the controller's.
        allow(
            "ChangeIngress",
            ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"],
            groups,
            {"ArnEquals": in_vpc},
        ),
    ]


def _load_balancers(
    location: Location, cluster_name: str, target_groups: Sequence[str]
) -> list[Statement]:
    load_balancers = _elb(location, "loadbalancer/app/*/*", "loadbalancer/net/*/*")
    own_groups = _elb(location, "targetgroup/*/*")
    owned = {"StringEquals": _owned(cluster_name)}
    statements = [
        allow(
            "Create",
            [
                "elasticloadbalancing:CreateLoadBalancer",
                "elasticloadbalancing:CreateTargetGroup",
            ],
            [*load_balancers, *own_groups],
            {"StringEquals": _requested(cluster_name)},
        ),
        allow(
            "TagNew",
            ["elasticloadbalancing:AddTags"],
            [*load_balancers, *own_groups],
            _created(cluster_name, "CreateLoadBalancer", "CreateTargetGroup"),
        ),
        allow(
            "Tag",
            ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"],
            [*load_balancers, *own_groups],
            _retag(cluster_name),
        ),
        allow(
            "ChangeLoadBalancers",
            [
                "elasticloadbalancing:DeleteLoadBalancer",
                "elasticloadbalancing:ModifyCapacityReservation",
                "elasticloadbalancing:ModifyIpPools",
                "elasticloadbalancing:ModifyLoadBalancerAttributes",
                "elasticloadbalancing:SetIpAddressType",
                "elasticloadbalancing:SetSecurityGroups",
                "elasticloadbalancing:SetSubnets",
            ],
            load_balancers,
            owned,
        ),
        allow(
            "ChangeTargetGroups",
            [
                "elasticloadbalancing:DeleteTargetGroup",
                "elasticloadbalancing:DeregisterTargets",
                "elasticloadbalancing:ModifyTargetGroup",
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "elasticloadbalancing:RegisterTargets",
            ],
            own_groups,
            owned,
        ),
    ]
    if target_groups:
        statements.append(
            allow(
                "UseTargetGroups",
                [
                    "elasticloadbalancing:DeregisterTargets",
                    "elasticloadbalancing:RegisterTargets",
                ],
                target_groups,
            )
        )
    return statements


def _listeners(location: Location, cluster_name: str) -> list[Statement]:
    load_balancers = _elb(location, "loadbalancer/app/*/*", "loadbalancer/net/*/*")
    listeners = _elb(location, "listener/app/*/*/*", "listener/net/*/*/*")
    rules = _elb(location, "listener-rule/app/*/*/*/*", "listener-rule/net/*/*/*/*")
    owned = {"StringEquals": _owned(cluster_name)}
    return [
        # The tag of the new one, and that of the load balancer or listener that it is made on.
        allow(
            "CreateListeners",
            ["elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule"],
            [*load_balancers, *listeners],
            {"StringEquals": {**_requested(cluster_name), **_owned(cluster_name)}},
        ),
        allow(
            "TagNewListeners",
            ["elasticloadbalancing:AddTags"],
            [*listeners, *rules],
            _created(cluster_name, "CreateListener", "CreateRule"),
        ),
        allow(
            "TagListeners",
            ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"],
            [*listeners, *rules],
            _retag(cluster_name),
        ),
        allow(
            "ChangeListeners",
            [
                "elasticloadbalancing:AddListenerCertificates",
                "elasticloadbalancing:DeleteListener",
                "elasticloadbalancing:ModifyListener",
                "elasticloadbalancing:ModifyListenerAttributes",
                "elasticloadbalancing:RemoveListenerCertificates",
            ],
            listeners,
            owned,
        ),
        allow(
            "ChangeRules",
            ["elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyRule"],
            rules,
            owned,
        ),
        allow("OrderRules", ["elasticloadbalancing:SetRulePriorities"], rules),
    ]


def _waf(location: Location) -> list[Statement]:
    """WAF v2 only: WAF Classic has ended, and the chart values switch it off."""
    return [
        allow(
            "ReadWebAcls",
            ["wafv2:GetWebACL", "wafv2:GetWebACLForResource", "wafv2:ListWebACLs"],
            ["*"],
        ),
        allow("PermitWebAcl", ["elasticloadbalancing:SetWebAcl"], ["*"]),
        allow(
            "AssociateWebAcl",
            ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL"],
            [
                location.arn("elasticloadbalancing", "loadbalancer/app/*/*"),
                location.arn("wafv2", "regional/webacl/*/*"),
            ],
        ),
    ]


def _shield(location: Location) -> list[Statement]:
    return [
        allow(
            "ReadProtections",
            ["shield:DescribeProtection", "shield:GetSubscriptionState"],
            ["*"],
        ),
        allow("Protect", ["shield:CreateProtection"], ["*"]),
        allow(
            "Unprotect",
            ["shield:DeleteProtection"],
            [f"arn:{location.partition}:shield::{location.aws_account}:protection/*"],
        ),
    ]


def _elb(location: Location, *resources: str) -> list[str]:
    return [location.arn("elasticloadbalancing", resource) for resource in resources]


def _created(cluster_name: str, *actions: str) -> dict[str, dict[str, Any]]:
    """Tags that come with the resource, among them the one that says whose it is."""
    return {
        "StringEquals": {
            "elasticloadbalancing:CreateAction": list(actions),
            **_requested(cluster_name),
        }
    }


def _requested(cluster_name: str) -> dict[str, Any]:
    return {f"aws:RequestTag/{CLUSTER_TAG}": cluster_name}


def _owned(cluster_name: str) -> dict[str, Any]:
    return {f"aws:ResourceTag/{CLUSTER_TAG}": cluster_name}


def _retag(cluster_name: str) -> dict[str, dict[str, Any]]:
    """Any tag of the cluster's resources but the one that says whose they are."""
    return {
        "StringEquals": _owned(cluster_name),
        "Null": {f"aws:RequestTag/{CLUSTER_TAG}": "true"},
    }
