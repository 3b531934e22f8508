"""What a change of access is: nineteen kinds that `cdk diff` was tried with, and what each is."""

import copy
import json

import pytest

from irsa_stack.review.difference import difference
from irsa_stack.review.sources.collection import facts_of
from irsa_stack.review.sources.reading import CLOUDFORMATION, Reading, Source

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
BUCKET = "arn:aws:s3:::receipts/*"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


def subject(account):
    namespace, _, name = account.partition("/")
    return f"system:serviceaccount:{namespace}:{name}"


def web_identity(*accounts, issuer=ISSUER, provider=PROVIDER, **conditions):
    subjects = [subject(account) for account in accounts]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:aud": "sts.amazonaws.com",
                        f"{issuer}:sub": subjects if len(subjects) > 1 else subjects[0],
                    },
                    **conditions,
                },
            }
        ],
    }


def may(*actions, resource=BUCKET, **rest):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource, **rest}],
    }


def role(trust=None, policy=None, **properties):
    inline = [{"PolicyName": "p", "PolicyDocument": policy or may("s3:GetObject")}]
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": trust or web_identity("apps/api"),
            "Policies": inline,
            **properties,
        },
    }


def subbed(*accounts):
    text = json.dumps(web_identity(*accounts, issuer="${Issuer}", provider="${Provider}"))
    variables = {
        "Provider": {"Ref": "Oidc"},
        "Issuer": {"Fn::Select": [1, {"Fn::Split": [":oidc-provider/", {"Ref": "Oidc"}]}]},
    }
    return {"Fn::Sub": [text, variables]}


def provider(*audiences):
    url = {"Fn::GetAtt": ["Cluster", "OpenIdConnectIssuerUrl"]}
    return {
        "Type": "AWS::IAM::OIDCProvider",
        "Properties": {"Url": url, "ClientIdList": list(audiences or ["sts.amazonaws.com"])},
    }


def through_cfn_json(*accounts):
    trust = web_identity(*accounts)
    trust["Statement"][0]["Condition"] = {"StringEquals": {"Fn::GetAtt": ["Json", "Value"]}}
    condition = {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": [*map(subject, accounts)]}
    return {
        "Role": role(trust),
        "Json": {
            "Type": "Custom::AWSCDKCfnJson",
            "Properties": {"Value": json.dumps(condition), "ServiceToken": "t"},
        },
    }


def with_managed(*actions):
    return {
        "Role": role(ManagedPolicyArns=[{"Ref": "Managed"}]),
        "Managed": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"PolicyDocument": may(*actions)},
        },
    }


def with_role_policy(*actions):
    return {
        "Role": role(),
        "Policy": {
            "Type": "AWS::IAM::RolePolicy",
            "Properties": {
                "RoleName": {"Ref": "Role"},
                "PolicyName": "more",
                "PolicyDocument": may(*actions),
            },
        },
    }


PODS = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    },
}


def associated(with_role):
    return {
        "Small": role(PODS),
        "Large": role(PODS, may("s3:*", resource="*")),
        "Association": {
            "Type": "AWS::EKS::PodIdentityAssociation",
            "Properties": {
                "ClusterName": "c",
                "Namespace": "apps",
                "ServiceAccount": "api",
                "RoleArn": {"Fn::GetAtt": [with_role, "Arn"]},
            },
        },
    }


def entered(policy):
    return {
        "Entry": {
            "Type": "AWS::EKS::AccessEntry",
            "Properties": {
                "ClusterName": "c",
                "PrincipalArn": "arn:aws:iam::111122223333:role/dev",
                "AccessPolicies": [
                    {"PolicyArn": VIEW, "AccessScope": {"Type": "cluster"}},
                    *(
                        [{"PolicyArn": policy, "AccessScope": {"Type": "cluster"}}]
                        if policy
                        else []
                    ),
                ],
            },
        }
    }


def annotated(with_role):
    manifest = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": "api",
                "namespace": "apps",
                "annotations": {"eks.amazonaws.com/role-arn": "ROLE"},
            },
        }
    ]
    before, after = json.dumps(manifest).split("ROLE")
    return {
        "Small": role(),
        "Large": role(policy=may("s3:*", resource="*")),
        "Manifest": {
            "Type": "Custom::AWSCDK-EKS-KubernetesResource",
            "Properties": {
                "ClusterName": "c",
                "Manifest": {"Fn::Join": ["", [before, {"Fn::GetAtt": [with_role, "Arn"]}, after]]},
            },
        },
    }


def added(with_role):
    return {
        "Small": role(web_identity("kube-system/aws-node")),
        "Large": role(web_identity("kube-system/aws-node"), may("ec2:*", resource="*")),
        "Addon": {
            "Type": "AWS::EKS::Addon",
            "Properties": {
                "AddonName": "vpc-cni",
                "ClusterName": "c",
                "ServiceAccountRoleArn": {"Fn::GetAtt": [with_role, "Arn"]},
            },
        },
    }


def with_sid(trust, sid):
    trust["Statement"][0]["Sid"] = sid
    return trust


BOUNDARY = "arn:aws:iam::111122223333:policy/workload-boundary"
FROM_OFFICE = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
CLUSTER = {
    "Cluster": {"Type": "AWS::EKS::Cluster", "Properties": {"Name": "c"}},
    "Oidc": provider(),
}
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"

KINDS = {
    # `cdk diff` says nothing.
    "a trust inside Fn::Sub changed": (
        {**CLUSTER, "Role": role(subbed("apps/api"))},
        {**CLUSTER, "Role": role(subbed("apps/api", "apps/web"))},
        "widened", {("gained", "apps/web")},
    ),
    "a role with its trust inside Fn::Sub is new": (
        CLUSTER, {**CLUSTER, "Role": role(subbed("apps/api"))},
        "widened", {("gained", "apps/api")},
    ),
    "a trust as JSON text changed": (
        {"Role": role(json.dumps(web_identity("apps/api")))},
        {"Role": role(json.dumps(web_identity("apps/api", "apps/web")))},
        "widened", {("gained", "apps/web")},
    ),
    "a condition behind CfnJson changed": (
        through_cfn_json("apps/api"), through_cfn_json("apps/api", "apps/web"),
        "widened", {("gained", "apps/web")},
    ),
    "the permissions boundary is removed": (
        {"Role": role(PermissionsBoundary=BOUNDARY)}, {"Role": role()},
        "widened", {("widened", "apps/api")},
    ),
    "a managed policy that the role attaches is widened": (
        with_managed("s3:PutObject"), with_managed("s3:PutObject", "s3:DeleteObject"),
        "widened", {("widened", "apps/api")},
    ),
    "an AWS::IAM::RolePolicy is widened": (
        with_role_policy("s3:PutObject"), with_role_policy("s3:*"),
        "widened", {("widened", "apps/api")},
    ),
    "the role of an association is another": (
        associated("Small"), associated("Large"),
        "incomparable", {("gained", "apps/api"), ("lost", "apps/api")},
    ),
    "an access entry gains cluster admin": (
        entered(None), entered(ADMIN),
        "widened", {("gained", "arn:aws:iam::111122223333:role/dev")},
    ),
    "a provider lists another audience": (
        {**CLUSTER}, {**CLUSTER, "Oidc": provider("sts.amazonaws.com", "vault")},
        "widened", {("widened", "tokens of ${Cluster}")},
    ),
    "a service account is annotated with another role": (
        annotated("Small"), annotated("Large"),
        "incomparable", {("gained", "apps/api"), ("lost", "apps/api")},
    ),
    "the role of an add-on is another": (
        added("Small"), added("Large"),
        "incomparable", {("gained", "kube-system/aws-node"), ("lost", "kube-system/aws-node")},
    ),
    # `cdk diff` says broadened.
    "a condition is added": (
        {"Role": role()}, {"Role": role(web_identity("apps/api", **FROM_OFFICE))},
        "narrowed", {("narrowed", "apps/api")},
    ),
    "subjects stand in another order": (
        {"Role": role(web_identity("apps/api", "apps/web"))},
        {"Role": role(web_identity("apps/web", "apps/api"))},
        "same", set(),
    ),
    "only a Sid is another": (
        {"Role": role(with_sid(web_identity("apps/api"), "A"))},
        {"Role": role(with_sid(web_identity("apps/api"), "B"))},
        "same", set(),
    ),
    "an action is removed": (
        {"Role": role(policy=may("s3:GetObject", "s3:PutObject"))}, {"Role": role()},
        "narrowed", {("narrowed", "apps/api")},
    ),
    # `cdk diff` is right.
    "a subject is added to an object": (
        {"Role": role()}, {"Role": role(web_identity("apps/api", "apps/web"))},
        "widened", {("gained", "apps/web")},
    ),
    "an action is added to an inline policy": (
        {"Role": role()}, {"Role": role(policy=may("s3:GetObject", "s3:PutObject"))},
        "widened", {("widened", "apps/api")},
    ),
    "a managed policy is attached": (
        {"Role": role()}, {"Role": role(ManagedPolicyArns=[READ_ONLY])},
        "widened", {("widened", "apps/api")},
    ),
}  # fmt: skip


def facts(resources):
    content = {"Resources": copy.deepcopy(resources)}
    source = Source(
        path="t.json", kind=CLOUDFORMATION, content=content, text=json.dumps(content), name="t"
    )
    return facts_of(Reading(sources=[source]))


def compared(old, new):
    found = difference(facts(old), facts(new))
    return found.verdict, {(change.kind, change.subject) for change in found.changes}


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_what_it_changes(kind):
    old, new, verdict, changes = KINDS[kind]
    assert compared(old, new) == (verdict, changes)


@pytest.mark.parametrize("kind", KINDS)
def test_no_change_is_none(kind):
    old, new, _, _ = KINDS[kind]
    assert compared(old, old) == compared(new, new) == ("same", set())


OPPOSITE = {"gained": "lost", "lost": "gained", "widened": "narrowed", "narrowed": "widened"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_back_is_the_opposite(kind):
    old, new, verdict, changes = KINDS[kind]
    back = {(OPPOSITE[what], who) for what, who in changes}
    assert compared(new, old) == (OPPOSITE.get(verdict, verdict), back)


def split(document):
    [statement] = document["Statement"]
    return {
        **document,
        "Statement": [{**statement, "Action": action} for action in statement["Action"]],
    }


BOTH = may("s3:PutObject", "s3:GetObject")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"Role": role()}, {"Renamed": role()}),
        ({"Role": role(policy=BOTH)}, {"Role": role(policy=split(BOTH))}),
        ({"Role": role(policy=may("s3:Get*"))}, {"Role": role(policy=may("s3:Get*", "s3:GetA"))}),
        ({"Role": role(web_identity("a/b"))}, {"Role": role(json.dumps(web_identity("a/b")))}),
        ({"Role": role()}, {"Role": role(Tags=[{"Key": "a", "Value": "b"}], Description="x")}),
    ],
)  # fmt: skip
def test_what_is_written_otherwise_is_the_same(old, new):
    assert compared(old, new) == ("same", set())


def test_a_change_says_what_is_new_and_leaves_out_what_was():
    old = {"Role": role(policy=may("s3:GetObject"))}
    new = {"Role": role(policy=may("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::x/*"))}
    [change] = difference(facts(old), facts(new)).changes
    assert (change.kind, change.role) == ("incomparable", "Role")
    assert "s3:GetObject s3:PutObject on arn:aws:s3:::x/*" in change.what
    old = {"Role": role(policy=may("s3:GetObject"))}
    new = {"Role": role(policy=may("s3:GetObject", "s3:PutObject"))}
    [change] = difference(facts(old), facts(new)).changes
    assert change.what == f"may now s3:PutObject on {BUCKET}"
