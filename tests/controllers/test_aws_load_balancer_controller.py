import pytest

from irsa_stack.controllers import AwsLoadBalancerController
from irsa_stack.controllers.spec import Cluster
from irsa_stack.controllers.statements import Location
from irsa_stack.faults import InvalidInput
from irsa_stack.iam.quotas import document_characters
from tests.support.controllers import CLUSTER as PRODUCTION
from tests.support.controllers import IRELAND
from tests.support.iam_evaluator import Resource, allowed

CLUSTER = "elbv2.k8s.aws/cluster"
OURS = {f"aws:ResourceTag/{CLUSTER}": "payments-prod"}
THEIRS = {f"aws:ResourceTag/{CLUSTER}": "payments-dev"}
ASK_OURS = {f"aws:RequestTag/{CLUSTER}": "payments-prod"}
ASK_THEIRS = {f"aws:RequestTag/{CLUSTER}": "payments-dev"}
ASK_TEAM = {"aws:RequestTag/Team": "web"}
VPC = "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0123456789abcdef0"
OTHER_VPC = "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0fedcba9876543210"
SHARED_VPC = "arn:aws:ec2:eu-west-1:444455556666:vpc/vpc-0123456789abcdef0"
HERE, THERE = {"ec2:Vpc": VPC}, {"ec2:Vpc": OTHER_VPC}
TARGETS = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/legacy/0a1b"
WEB_ACL = "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/shop/0a1b"
PROTECTION = "arn:aws:shield::111122223333:protection/0a1b"


def elb(action):
    return f"elasticloadbalancing:{action}"


def balancer(*contexts, kind="app", place="eu-west-1:111122223333"):
    return _elb(f"loadbalancer/{kind}/k8s-shop/0a1b", contexts, place)


def targets(*contexts):
    return _elb("targetgroup/k8s-shop/0a1b", contexts)


def listener(*contexts):
    return _elb("listener/app/k8s-shop/0a1b/2c3d", contexts)


def rule(*contexts, place="eu-west-1:111122223333"):
    return _elb("listener-rule/app/k8s-shop/0a1b/2c3d/4e5f", contexts, place)


def group(*contexts):
    return Resource("arn:aws:ec2:eu-west-1:111122223333:security-group/sg-0a1b", _merged(contexts))


def by(action):
    return {"elasticloadbalancing:CreateAction": action}


def _elb(resource, contexts, place="eu-west-1:111122223333"):
    return Resource(f"arn:aws:elasticloadbalancing:{place}:{resource}", _merged(contexts))


def _merged(contexts):
    return {key: value for context in contexts for key, value in context.items()}


def everything(location):
    group = location.arn("elasticloadbalancing", "targetgroup/legacy/0a")
    return AwsLoadBalancerController(target_groups=[group], waf=True, shield=True)


SPECS = {"everything": everything, "default": AwsLoadBalancerController()}


def documents(location=IRELAND, cluster=PRODUCTION, **options):
    return AwsLoadBalancerController(**options).documents(cluster, location).values()


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("CreateLoadBalancer", [balancer(ASK_OURS)], True),
        ("CreateLoadBalancer", [balancer(ASK_OURS, kind="net")], True),
        ("CreateLoadBalancer", [balancer(ASK_THEIRS)], False),
        ("CreateLoadBalancer", [balancer()], False),
        ("CreateLoadBalancer", [balancer(ASK_OURS, kind="gwy")], False),
        ("CreateLoadBalancer", [balancer(ASK_OURS, place="us-east-1:111122223333")], False),
        ("CreateTargetGroup", [targets(ASK_OURS)], True),
        ("CreateTargetGroup", [targets(ASK_THEIRS)], False),
        ("CreateListener", [balancer(OURS, ASK_OURS)], True),
        ("CreateListener", [balancer(OURS, ASK_OURS, kind="net")], True),
        # Upstream allows a listener on any load balancer of the account.
        ("CreateListener", [balancer(THEIRS, ASK_OURS)], False),
        ("CreateListener", [balancer(ASK_OURS)], False),
        ("CreateListener", [balancer(OURS)], False),
        ("CreateRule", [listener(OURS, ASK_OURS)], True),
        ("CreateRule", [listener(THEIRS, ASK_OURS)], False),
        ("SetRulePriorities", [rule(OURS)], True),
        ("SetRulePriorities", [rule(OURS, place="eu-west-1:444455556666")], False),
        ("DescribeLoadBalancers", ["*"], True),
        ("DescribeTargetHealth", ["*"], True),
        ("CreateTrustStore", ["*"], False),
        ("SetLoadBalancerPoliciesOfListener", ["*"], False),
    ],
)
def test_keeps_the_load_balancers_of_its_cluster_and_no_other(action, resources, expected):
    assert allowed(documents(), elb(action), *resources) is expected


# Upstream asks only that the tag is there, and of listeners and rules not even that.
CHANGES = [
    ("DeleteLoadBalancer", balancer),
    ("ModifyCapacityReservation", balancer),
    ("ModifyIpPools", balancer),
    ("ModifyLoadBalancerAttributes", balancer),
    ("SetIpAddressType", balancer),
    ("SetSecurityGroups", balancer),
    ("SetSubnets", balancer),
    ("DeleteTargetGroup", targets),
    ("DeregisterTargets", targets),
    ("ModifyTargetGroup", targets),
    ("ModifyTargetGroupAttributes", targets),
    ("RegisterTargets", targets),
    ("AddListenerCertificates", listener),
    ("DeleteListener", listener),
    ("ModifyListener", listener),
    ("ModifyListenerAttributes", listener),
    ("RemoveListenerCertificates", listener),
    ("DeleteRule", rule),
    ("ModifyRule", rule),
]


@pytest.mark.parametrize(("action", "resource"), CHANGES)
@pytest.mark.parametrize(
    ("tags", "expected"),
    [({}, False), (THEIRS, False), (OURS, True)],
    ids=["nobody's", "another cluster's", "its own"],
)
def test_changes_what_bears_the_tag_of_its_cluster(action, resource, tags, expected):
    assert allowed(documents(), elb(action), resource(tags)) is expected


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("AddTags", balancer(ASK_OURS, by("CreateLoadBalancer")), True),
        ("AddTags", targets(ASK_OURS, by("CreateTargetGroup")), True),
        ("AddTags", listener(ASK_OURS, by("CreateListener")), True),
        ("AddTags", rule(ASK_OURS, by("CreateRule")), True),
        ("AddTags", balancer(ASK_THEIRS, by("CreateLoadBalancer")), False),
        ("AddTags", balancer(OURS, ASK_TEAM), True),
        ("AddTags", listener(OURS, ASK_TEAM), True),
        ("RemoveTags", balancer(OURS), True),
        ("RemoveTags", rule(OURS), True),
        # Nobody else's becomes ours by a tag, and ours is not handed over.
        ("AddTags", balancer(ASK_OURS), False),
        ("AddTags", balancer(THEIRS, ASK_OURS), False),
        ("AddTags", balancer(OURS, ASK_THEIRS), False),
        ("AddTags", listener(THEIRS, ASK_TEAM), False),
        ("AddTags", listener(ASK_THEIRS, by("CreateListener")), False),
        ("AddTags", listener(ASK_OURS), False),
        ("AddTags", listener(OURS, ASK_THEIRS), False),
        ("AddTags", rule(ASK_TEAM), False),
        ("RemoveTags", balancer(THEIRS), False),
        ("RemoveTags", listener(), False),
    ],
)
def test_tags_what_is_new_or_its_own(action, resource, expected):
    assert allowed(documents(), elb(action), resource) is expected


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("ec2:CreateSecurityGroup", [group(ASK_OURS), VPC], True),
        ("ec2:CreateSecurityGroup", [group(ASK_OURS), SHARED_VPC], False),
        ("ec2:CreateSecurityGroup", [group(ASK_OURS), OTHER_VPC], False),
        ("ec2:CreateSecurityGroup", [group(ASK_THEIRS), VPC], False),
        ("ec2:CreateSecurityGroup", [group(), VPC], False),
        ("ec2:CreateTags", [group(ASK_OURS, {"ec2:CreateAction": "CreateSecurityGroup"})], True),
        ("ec2:CreateTags", [group(ASK_THEIRS, {"ec2:CreateAction": "CreateSecurityGroup"})], False),
        ("ec2:CreateTags", [group(OURS, ASK_TEAM)], True),
        ("ec2:DeleteTags", [group(OURS, ASK_TEAM)], True),
        ("ec2:CreateTags", [group(ASK_OURS)], False),
        ("ec2:CreateTags", [group(THEIRS, ASK_TEAM)], False),
        ("ec2:CreateTags", [group(OURS, ASK_THEIRS)], False),
        ("ec2:DeleteTags", [group(OURS, ASK_OURS)], False),
        # The groups of the nodes bear no tag of the controller's.
        ("ec2:AuthorizeSecurityGroupIngress", [group(HERE)], True),
        ("ec2:RevokeSecurityGroupIngress", [group(HERE)], True),
        ("ec2:AuthorizeSecurityGroupIngress", [group(THERE)], False),
        ("ec2:RevokeSecurityGroupIngress", [group(OURS, THERE)], False),
        ("ec2:AuthorizeSecurityGroupEgress", [group(HERE)], False),
        ("ec2:DeleteSecurityGroup", [group(OURS, HERE)], True),
        ("ec2:DeleteSecurityGroup", [group(HERE)], False),
        ("ec2:DeleteSecurityGroup", [group(THEIRS, HERE)], False),
        ("ec2:DeleteSecurityGroup", [group(OURS, THERE)], False),
        ("ec2:DescribeSecurityGroups", ["*"], True),
        ("ec2:GetSecurityGroupsForVpc", [VPC], True),
        ("ec2:GetSecurityGroupsForVpc", [OTHER_VPC], False),
        ("ec2:CreateNetworkInterface", ["*"], False),
        ("ec2:RunInstances", ["*"], False),
    ],
)
def test_changes_security_groups_of_its_vpc_and_no_other(action, resources, expected):
    assert allowed(documents(), action, *resources) is expected


def test_works_in_a_vpc_that_another_account_shares():
    shared = documents(vpc_owner="444455556666")
    assert allowed(shared, "ec2:CreateSecurityGroup", group(ASK_OURS), SHARED_VPC)
    assert allowed(shared, "ec2:RevokeSecurityGroupIngress", group({"ec2:Vpc": SHARED_VPC}))
    assert not allowed(shared, "ec2:CreateSecurityGroup", group(ASK_OURS), VPC)


@pytest.mark.parametrize(
    ("action", "resources", "expected"),
    [
        ("wafv2:AssociateWebACL", [WEB_ACL, balancer(OURS)], True),
        ("wafv2:DisassociateWebACL", [balancer(OURS)], True),
        ("wafv2:AssociateWebACL", [WEB_ACL.replace("1111", "4444"), balancer(OURS)], False),
        ("wafv2:AssociateWebACL", [WEB_ACL.replace("regional", "global"), balancer()], False),
        ("wafv2:ListWebACLs", ["*"], True),
        ("wafv2:DeleteWebACL", [WEB_ACL], False),
        ("wafv2:UpdateWebACL", [WEB_ACL], False),
        ("elasticloadbalancing:SetWebAcl", ["*"], True),
        ("waf-regional:AssociateWebACL", ["*"], False),
        ("shield:GetSubscriptionState", ["*"], True),
        ("shield:CreateProtection", ["*"], True),
        ("shield:DeleteProtection", [PROTECTION], True),
        ("shield:CreateSubscription", ["*"], False),
        ("shield:DeleteProtection", [PROTECTION.replace("1111", "4444")], False),
        ("acm:DescribeCertificate", ["arn:aws:acm:eu-west-1:111122223333:certificate/0a"], True),
        ("acm:DescribeCertificate", ["arn:aws:acm:eu-west-1:444455556666:certificate/0a"], False),
        ("acm:ExportCertificate", ["arn:aws:acm:eu-west-1:111122223333:certificate/0a"], False),
        (
            "cognito-idp:DescribeUserPoolClient",
            ["arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_a"],
            True,
        ),
    ],
)
def test_protects_load_balancers_with_what_the_account_has(action, resources, expected):
    assert allowed(documents(), action, *resources) is expected


ELB_ROLE = "elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing"


@pytest.mark.parametrize(
    ("service", "role", "expected"),
    [
        ("elasticloadbalancing.amazonaws.com", ELB_ROLE, True),
        ("autoscaling.amazonaws.com", ELB_ROLE, False),
        (
            "elasticloadbalancing.amazonaws.com",
            "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
            False,
        ),
    ],
)
def test_makes_only_the_service_linked_role_of_elb(service, role, expected):
    arn = f"arn:aws:iam::111122223333:role/aws-service-role/{role}"
    made = Resource(arn, {"iam:AWSServiceName": service})
    assert allowed(documents(), "iam:CreateServiceLinkedRole", made) is expected


def test_uses_target_groups_made_elsewhere_only_when_named():
    assert not allowed(documents(), elb("RegisterTargets"), TARGETS)
    named = documents(target_groups=[TARGETS])
    assert allowed(named, elb("RegisterTargets"), TARGETS)
    assert allowed(named, elb("DeregisterTargets"), TARGETS)
    assert not allowed(named, elb("DeleteTargetGroup"), TARGETS)
    assert not allowed(named, elb("RegisterTargets"), TARGETS.replace("legacy", "other"))


@pytest.mark.parametrize(
    ("properties", "waf", "shield"),
    [
        ({}, True, True),
        (
            {"location": Location(partition="aws-us-gov", region="us-gov-west-1", aws_account="1")},
            True,
            True,
        ),
        (
            {"location": Location(partition="aws-cn", region="cn-north-1", aws_account="1")},
            False,
            False,
        ),
        ({"waf": False}, False, True),
        ({"shield": False}, True, False),
        (
            {
                "location": Location(partition="aws-cn", region="cn-north-1", aws_account="1"),
                "waf": True,
            },
            True,
            False,
        ),
    ],
)
def test_reaches_waf_and_shield_where_they_are(properties, waf, shield):
    held = documents(**properties)
    assert allowed(held, "wafv2:ListWebACLs") is waf
    assert allowed(held, "shield:CreateProtection") is shield


def test_each_document_fits_a_managed_policy_at_its_longest():
    location = Location(partition="aws-us-gov", region="ap-southeast-1", aws_account="111122223333")
    spec = AwsLoadBalancerController(vpc_id="vpc-0123456789abcdef0")
    sizes = {
        name: document_characters(document)
        for name, document in spec.documents(Cluster(name="c" * 100), location).items()
    }
    assert sizes == {
        "Discovery": 2170,
        "SecurityGroups": 2054,
        "LoadBalancers": 3930,
        "Listeners": 3650,
    }


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        (
            {"cluster": Cluster(name="", vpc_id=PRODUCTION.vpc_id)},
            "cluster_name must be 1-100 letters, .* got ''",
        ),
        ({"cluster": Cluster(name="*")}, "cluster_name must be"),
        (
            {"cluster": Cluster(name="p", vpc_id="")},
            "vpc_id must be the id of the cluster's VPC .* got ''",
        ),
        ({"vpc_id": "*"}, "vpc_id must be"),
        ({"vpc_id": "vpc-*"}, "vpc_id must be"),
        ({"vpc_id": VPC}, "vpc_id must be"),
        ({"vpc_owner": "*"}, "vpc_owner must be a 12-digit"),
        ({"cluster": Cluster(name="p")}, "vpc_id must be .* got None"),
        ({"target_groups": ["*"]}, "target_groups must be such as"),
        ({"target_groups": [TARGETS[:-4] + "*"]}, "target_groups must be such as"),
        ({"target_groups": TARGETS}, "target_groups must be a list"),
    ],
)
def test_refuses_a_scope_that_is_none(properties, fault):
    with pytest.raises(InvalidInput, match=fault):
        documents(**properties)


def test_reports_all_faults_at_once():
    with pytest.raises(InvalidInput) as refused:
        documents(cluster=Cluster(name="", vpc_id=""))
    assert len(refused.value.faults) == 2
    with pytest.raises(InvalidInput) as refused:
        documents(vpc_owner="me", target_groups=["*", ""])
    assert len(refused.value.faults) == 3


# What upstream's policy names, and what of it is left out or added here, each with its reason.
UPSTREAM = """
    iam:CreateServiceLinkedRole ec2:DescribeAccountAttributes ec2:DescribeAddresses
    ec2:DescribeAvailabilityZones ec2:DescribeInternetGateways ec2:DescribeVpcs
    ec2:DescribeVpcPeeringConnections ec2:DescribeSubnets ec2:DescribeSecurityGroups
    ec2:DescribeInstances ec2:DescribeNetworkInterfaces ec2:DescribeTags ec2:GetCoipPoolUsage
    ec2:DescribeCoipPools ec2:GetSecurityGroupsForVpc ec2:DescribeIpamPools ec2:DescribeRouteTables
    elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeLoadBalancerAttributes
    elasticloadbalancing:DescribeListeners elasticloadbalancing:DescribeListenerCertificates
    elasticloadbalancing:DescribeSSLPolicies elasticloadbalancing:DescribeRules
    elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetGroupAttributes
    elasticloadbalancing:DescribeTags elasticloadbalancing:DescribeTargetHealth
    elasticloadbalancing:DescribeTrustStores elasticloadbalancing:DescribeListenerAttributes
    elasticloadbalancing:DescribeCapacityReservation cognito-idp:DescribeUserPoolClient
    acm:ListCertificates acm:DescribeCertificate iam:ListServerCertificates
    iam:GetServerCertificate waf-regional:GetWebACL waf-regional:GetWebACLForResource
    waf-regional:AssociateWebACL waf-regional:DisassociateWebACL wafv2:GetWebACL
    wafv2:GetWebACLForResource wafv2:AssociateWebACL wafv2:DisassociateWebACL
    shield:GetSubscriptionState shield:DescribeProtection shield:CreateProtection
    shield:DeleteProtection ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupIngress
    ec2:CreateSecurityGroup ec2:CreateTags ec2:DeleteTags ec2:DeleteSecurityGroup
    elasticloadbalancing:CreateLoadBalancer elasticloadbalancing:CreateTargetGroup
    elasticloadbalancing:CreateListener elasticloadbalancing:DeleteListener
    elasticloadbalancing:CreateRule elasticloadbalancing:DeleteRule elasticloadbalancing:AddTags
    elasticloadbalancing:RemoveTags elasticloadbalancing:ModifyLoadBalancerAttributes
    elasticloadbalancing:SetIpAddressType elasticloadbalancing:SetSecurityGroups
    elasticloadbalancing:SetSubnets elasticloadbalancing:DeleteLoadBalancer
    elasticloadbalancing:ModifyTargetGroup elasticloadbalancing:ModifyTargetGroupAttributes
    elasticloadbalancing:DeleteTargetGroup elasticloadbalancing:ModifyListenerAttributes
    elasticloadbalancing:ModifyIpPools elasticloadbalancing:ModifyCapacityReservation
    elasticloadbalancing:RegisterTargets elasticloadbalancing:DeregisterTargets
    elasticloadbalancing:SetWebAcl elasticloadbalancing:ModifyListener
    elasticloadbalancing:AddListenerCertificates elasticloadbalancing:RemoveListenerCertificates
    elasticloadbalancing:ModifyRule elasticloadbalancing:SetRulePriorities
"""
LEFT_OUT = {
    "waf-regional:GetWebACL": "WAF Classic has ended",
    "waf-regional:GetWebACLForResource": "WAF Classic has ended",
    "waf-regional:AssociateWebACL": "WAF Classic has ended",
    "waf-regional:DisassociateWebACL": "WAF Classic has ended",
}
ADDED = {"wafv2:ListWebACLs": "finds a web ACL by its name, since v2.15"}

# Writes that AWS evaluates neither a resource nor a tag for.
EXCUSED = {
    "elasticloadbalancing:SetWebAcl": "ELB has no resource type for it",
    "elasticloadbalancing:SetRulePriorities": "ELB evaluates no tags for it",
    "wafv2:AssociateWebACL": "WAF evaluates no tags for it",
    "wafv2:DisassociateWebACL": "WAF evaluates no tags for it",
    "shield:CreateProtection": "Shield has no resource type for it",
    "shield:DeleteProtection": "the controller does not tag its protections",
}

# Reads that AWS's own AmazonEKSLoadBalancingPolicy allows on all resources, or that are asked by
# load balancer, for a protection that may not exist.
FOUND = {
    ("RESOURCE_STAR", "['shield:DescribeProtection']"),
    ("RESOURCE_STAR", "['wafv2:GetWebACL', 'wafv2:GetWebACLForResource']"),
}
