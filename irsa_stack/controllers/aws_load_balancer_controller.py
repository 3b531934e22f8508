"""What the AWS Load Balancer Controller may do: keep the load balancers of one cluster.

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
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.controllers.statements import (
    Document,
    Place,
    Statement,
    allow,
    document,
    vpc_owner_faults,
)
from irsa_stack.controllers.upstream import Upstream
from irsa_stack.eks.naming import cluster_name_faults, vpc_id_faults
from irsa_stack.faults import refuse

UPSTREAM = Upstream(
    policy="https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/docs/install/iam_policy.json",
    version="v3.5.0",
    released="2026-08-03",
    minimum="v2.4.0",
    because="tags listeners and rules too, by which they are told from another cluster's",
    chart="aws-load-balancer-controller",
    repository="https://aws.github.io/eks-charts",
    chart_version="3.5.0",
)

WILDCARDS = {
    "Describe": "these are described on no resource level; nothing is written",
    "ReadAddressPools": "pools of this region and account, read only",
    "ReadCertificates": "certificates of this region and account, read only",
    "ReadUserPoolClients": "user pools of this region and account, read only",
    "CreateSecurityGroup": "its id is not known before; only with the tag of this cluster",
    "TagNewSecurityGroup": "its id is not known before; only while it is made for this cluster",
    "TagSecurityGroups": "security groups come and go; only those of this cluster",
    "DeleteSecurityGroups": "security groups come and go; only those of this cluster",
    "ChangeIngress": "the nodes' and pods' groups must let load balancers in; those of this VPC",
    "Create": "their ids are not known before; only with the tag of this cluster",
    "CreateListeners": "their ids are not known before; only on load balancers of this cluster",
    "TagNew": "their ids are not known before; only while they are made for this cluster",
    "TagNewListeners": "their ids are not known before; only while they are made for this cluster",
    "Tag": "they come and go with Ingresses and Services; only those of this cluster",
    "TagListeners": "they come and go with Ingresses; only those of this cluster",
    "ChangeLoadBalancers": "they come and go; only those of this cluster",
    "ChangeTargetGroups": "they come and go; only those of this cluster",
    "ChangeListeners": "they come and go; only those of this cluster",
    "ChangeRules": "they come and go; only those of this cluster",
    "OrderRules": "ELB evaluates no tags for it; rules of this region and account",
    "ReadWebAcls": "web ACLs of the account, read only",
    "ReadProtections": "Shield's protections of the account, read only",
    "PermitWebAcl": "ELB offers no resource level for it; WAF asks for it beside its own action",
    "AssociateWebAcl": "web ACLs and load balancers of this region and account; WAF has no tag key",
    "Protect": "Shield offers no resource level for it",
    "Unprotect": "Shield's protections of this account; the controller does not tag them",
}
"""Why a statement names more than single resources."""

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
"""See: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/deploy/tracking/provider.go"""

PARTITIONS_WITHOUT_PROTECTION = ("aws-cn",)
"""Where the controller must be told to leave WAF and Shield alone.

See: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1256
"""


def protected_by_default(partition: str) -> bool:
    """Whether the controller works with WAF and Shield in *partition* unless told otherwise."""
    return partition not in PARTITIONS_WITHOUT_PROTECTION


def policy_documents(
    *,
    place: Place,
    cluster_name: str,
    vpc_id: str,
    target_groups: Sequence[str] = (),
    waf: bool | None = None,
    shield: bool | None = None,
) -> dict[str, Document]:
    """Return the policies of the controller by name, each small enough for a managed policy.

    Args:
        place: partition, region and account of the cluster.
        cluster_name: name of the cluster, as the controller's `--cluster-name` has it.
        vpc_id: VPC of the cluster.
        target_groups: ARNs of target groups made elsewhere, for `TargetGroupBinding`s. Default:
            only those that the controller makes.
        waf: whether it associates web ACLs of WAF. Default: yes, but not in China.
        shield: whether it protects load balancers with Shield Advanced. Default: as *waf*.

    Raises:
        InvalidInput: a scope is empty or no scope; all faults are listed.
    """
    refuse(
        [
            *cluster_name_faults(cluster_name),
            *vpc_id_faults(vpc_id),
            *vpc_owner_faults(place.vpc_owner),
            *_target_groups_faults(target_groups),
        ]
    )
    default = protected_by_default(place.partition)
    protection = [
        *(_waf(place) if (default if waf is None else waf) else []),
        *(_shield(place) if (default if shield is None else shield) else []),
    ]
    return {
        "Discovery": document(*_discovery(place, vpc_id)),
        "SecurityGroups": document(*_security_groups(place, cluster_name, vpc_id)),
        "LoadBalancers": document(
            *_load_balancers(place, cluster_name, target_groups), *protection
        ),
        "Listeners": document(*_listeners(place, cluster_name)),
    }


def _discovery(place: Place, vpc_id: str) -> list[Statement]:
    iam = f"arn:{place.partition}:iam::{place.account}"
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
        allow("ReadVpc", ["ec2:GetSecurityGroupsForVpc"], [place.vpc_arn(vpc_id)]),
        allow("ReadAddressPools", ["ec2:GetCoipPoolUsage"], [place.arn("ec2", "coip-pool/*")]),
        allow(
            "ReadCertificates",
            ["acm:DescribeCertificate", "iam:GetServerCertificate"],
            [place.arn("acm", "certificate/*"), f"{iam}:server-certificate/*"],
        ),
        allow(
            "ReadUserPoolClients",
            ["cognito-idp:DescribeUserPoolClient"],
            [place.arn("cognito-idp", "userpool/*")],
        ),
        allow(
            "CreateLinkedRole",
            ["iam:CreateServiceLinkedRole"],
            [f"{iam}:role/{linked_role}/AWSServiceRoleForElasticLoadBalancing"],
            {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
    ]


def _security_groups(place: Place, cluster_name: str, vpc_id: str) -> list[Statement]:
    groups = [place.arn("ec2", "security-group/*")]
    in_vpc = {"ec2:Vpc": place.vpc_arn(vpc_id)}
    return [
        allow(
            "CreateSecurityGroup",
            ["ec2:CreateSecurityGroup"],
            groups,
            {"StringEquals": _requested(cluster_name)},
        ),
        allow("CreateInVpc", ["ec2:CreateSecurityGroup"], [place.vpc_arn(vpc_id)]),
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
    place: Place, cluster_name: str, target_groups: Sequence[str]
) -> list[Statement]:
    load_balancers = _elb(place, "loadbalancer/app/*/*", "loadbalancer/net/*/*")
    own_groups = _elb(place, "targetgroup/*/*")
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


def _listeners(place: Place, cluster_name: str) -> list[Statement]:
    load_balancers = _elb(place, "loadbalancer/app/*/*", "loadbalancer/net/*/*")
    listeners = _elb(place, "listener/app/*/*/*", "listener/net/*/*/*")
    rules = _elb(place, "listener-rule/app/*/*/*/*", "listener-rule/net/*/*/*/*")
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


def _waf(place: Place) -> list[Statement]:
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
                place.arn("elasticloadbalancing", "loadbalancer/app/*/*"),
                place.arn("wafv2", "regional/webacl/*/*"),
            ],
        ),
    ]


def _shield(place: Place) -> list[Statement]:
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
            [f"arn:{place.partition}:shield::{place.account}:protection/*"],
        ),
    ]


def _elb(place: Place, *resources: str) -> list[str]:
    return [place.arn("elasticloadbalancing", resource) for resource in resources]


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


def _target_groups_faults(target_groups: Sequence[str]) -> Iterator[str]:
    if isinstance(target_groups, str):
        yield f"target_groups must be a list, got {target_groups!r}; put it in brackets"
        return
    for arn in target_groups:
        if is_deploy_time(arn):
            continue
        if ":targetgroup/" not in arn or not arn.startswith("arn:") or "*" in arn:
            yield (
                "target_groups must hold ARNs of single target groups, got"
                f" {arn!r}; copy them from `aws elbv2 describe-target-groups`"
            )
