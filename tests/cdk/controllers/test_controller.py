"""What holds for every controller, in each partition, with names known at synth or at deploy."""

import functools
import json

import pytest
from aws_cdk import App, Stack, Validations, aws_iam, aws_s3
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from irsa_stack import Ownership
from irsa_stack.controllers import (
    AwsLoadBalancerController,
    ClusterAutoscaler,
    ExternalDns,
    VpcCni,
    aws_load_balancer_controller,
    cluster_autoscaler,
    external_dns,
    vpc_cni,
)
from irsa_stack.controllers.statements import Place
from irsa_stack.faults import InvalidInput
from irsa_stack.nodes.instance_metadata import refuse_untold_controllers
from tests.support import example_cluster
from tests.support.templates import app_with_flags, context, synthesise, template_of
from tests.support.trust_resolver import ACCOUNT, CHINA, COMMERCIAL, PLACES, Deployment

ZONE = "Z0123456789ABCDEFGHIJ"
CLUSTER = {"cluster_name": example_cluster.NAME}
VPC = {**CLUSTER, "vpc_id": example_cluster.VPC_ID}


def dns(stack, accounts, **options):
    return ExternalDns(stack, "Dns", service_accounts=accounts, hosted_zones=[ZONE], **options)


def autoscaler(stack, accounts, **options):
    return ClusterAutoscaler(stack, "Autoscaler", service_accounts=accounts, **options)


def balancers(stack, accounts, **options):
    vpc_id = example_cluster.vpc_id(stack)
    return AwsLoadBalancerController(
        stack, "Balancers", service_accounts=accounts, vpc_id=vpc_id, waf=True, shield=True,
        **options,
    )  # fmt: skip


def cni(stack, accounts, **options):
    vpc_id = example_cluster.vpc_id(stack)
    return VpcCni(
        stack, "Cni", service_accounts=accounts, cluster_scoped=True, vpc_id=vpc_id, **options
    )


# How each is defined, its account, and the documents that it must hold.
CONTROLLERS = {
    "external-dns": (
        dns,
        "external-dns",
        lambda place: external_dns.policy_documents(partition=place.partition, hosted_zones=[ZONE]),
    ),
    "cluster-autoscaler": (
        autoscaler,
        "cluster-autoscaler",
        lambda place: cluster_autoscaler.policy_documents(place=place, **CLUSTER),
    ),
    "aws-load-balancer-controller": (
        balancers,
        "aws-load-balancer-controller",
        lambda place: aws_load_balancer_controller.policy_documents(
            place=place, waf=True, shield=True, **VPC
        ),
    ),
    "aws-vpc-cni": (
        cni,
        "aws-node",
        lambda place: vpc_cni.policy_documents(place=place, cluster_scoped=True, **VPC),
    ),
}


@functools.cache
def _template(name, deploy_time, place):
    make = CONTROLLERS[name][0]

    def define(stack):
        make(stack, example_cluster.service_accounts(stack, deploy_time=deploy_time, place=place))

    return synthesise(define)


@pytest.fixture(params=CONTROLLERS, scope="module")
def name(request):
    return request.param


@pytest.fixture(params=["at synth", "at deploy"], scope="module")
def deployment(request, name, place):
    deploy_time = request.param == "at deploy"
    # A template with parameters is the same wherever it is deployed.
    template = _template(name, deploy_time, COMMERCIAL if deploy_time else place)
    return Deployment({"Stack": template}, place, example_cluster.parameters(place))


@pytest.fixture(params=PLACES, ids=lambda place: place.partition, scope="module")
def place(request):
    return request.param


def policies(deployment):
    """All identity policies of the one role, resolved."""
    found = []
    for _, _, role in deployment.resources("AWS::IAM::Role"):
        if "WebIdentity" in json.dumps(role):
            found += [one["PolicyDocument"] for one in role["Properties"].get("Policies", [])]
    for _, _, policy in deployment.resources("AWS::IAM::ManagedPolicy"):
        found.append(policy["Properties"]["PolicyDocument"])
    resolved = [deployment.value("Stack", document) for document in found]
    return [json.loads(one) if isinstance(one, str) else one for one in resolved]


def test_only_its_own_account_can_assume_its_role(deployment, name, place):
    provider = f"arn:{place.partition}:iam::{ACCOUNT}:oidc-provider/{place.issuer}"
    assert deployment.only_role() == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": provider},
                "Condition": {
                    "StringEquals": {
                        f"{place.issuer}:aud": "sts.amazonaws.com",
                        f"{place.issuer}:sub": (
                            f"system:serviceaccount:kube-system:{CONTROLLERS[name][1]}"
                        ),
                    }
                },
            }
        ],
    }


def test_its_role_holds_the_documents_of_the_catalogue_and_no_other(deployment, name, place):
    here = Place(partition=place.partition, region=place.region, account=ACCOUNT)
    expected = CONTROLLERS[name][2](here)
    assert sorted(policies(deployment), key=str) == sorted(expected.values(), key=str)


def test_every_document_is_attached_to_its_role(name):
    template = _template(name, deploy_time=False, place=COMMERCIAL)
    resources = template["Resources"]
    made = {key for key, one in resources.items() if one["Type"] == "AWS::IAM::ManagedPolicy"}
    [role] = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::IAM::Role" and "WebIdentity" in json.dumps(one)
    ]
    assert {arn["Ref"] for arn in role.get("ManagedPolicyArns", [])} == made


def test_synthesises_the_same_twice(name):
    make = CONTROLLERS[name][0]
    again = synthesise(lambda stack: make(stack, example_cluster.service_accounts(stack)))
    assert again == _template(name, deploy_time=False, place=COMMERCIAL)


class Defined:
    """All controllers in one stack, defined once."""

    def __init__(self, **options):
        self.stack = Stack(app_with_flags(), "Stack")
        accounts = example_cluster.service_accounts(self.stack)
        self.accounts = accounts
        self.by_name = {
            name: make(self.stack, accounts, **options)
            for name, (make, _, _) in CONTROLLERS.items()
        }


@pytest.fixture(scope="module")
def helm():
    return Defined(ownership=Ownership.HELM)


def test_a_grant_reaches_its_role(name):
    def define(stack):
        controller = CONTROLLERS[name][0](stack, example_cluster.service_accounts(stack))
        aws_s3.Bucket(stack, "Bucket").grant_read(controller)

    template = synthesise(define)
    [policy] = [
        one["Properties"]
        for key, one in template["Resources"].items()
        if one["Type"] == "AWS::IAM::Policy" and "WebIdentity" not in key and "Binder" not in key
    ]
    [role] = policy["Roles"]
    assert "WebIdentity" in json.dumps(template["Resources"][role["Ref"]])
    assert "s3:GetObject*" in policy["PolicyDocument"]["Statement"][0]["Action"]


def test_tells_its_chart_what_it_would_ask_instance_metadata(helm):
    refuse_untold_controllers(
        {one.upstream.chart: one.chart_values for one in helm.by_name.values()}
    )


def test_a_chart_that_makes_the_account_gets_the_role_annotation(name, helm):
    controller = helm.by_name[name]
    values = controller.chart_values
    for key in ("rbac",) if name == "cluster-autoscaler" else ():
        values = values[key]
    account = values["serviceAccount"]
    assert account["create"] is True
    assert account["name"] == CONTROLLERS[name][1]
    assert controller.role.role_arn in account["annotations"]["eks.amazonaws.com/role-arn"]


def test_with_a_chart_nothing_is_applied_to_the_cluster(helm):
    types = {one["Type"] for one in template_of(helm.stack)["Resources"].values()}
    assert "Custom::ServiceAccounts" not in types


def test_names_its_account_as_the_user_wants(name):
    stack = Stack(app_with_flags(), "Stack")
    controller = CONTROLLERS[name][0](
        stack,
        example_cluster.service_accounts(stack),
        namespace="platform",
        service_account="mine",
        role_name="mine",
        ownership=Ownership.NONE,
    )
    assert controller.identity.subject == "system:serviceaccount:platform:mine"


def test_takes_policies_and_tags_besides_its_own(name):
    def define(stack):
        CONTROLLERS[name][0](
            stack,
            example_cluster.service_accounts(stack),
            managed_policies=[aws_iam.ManagedPolicy.from_aws_managed_policy_name("ReadOnlyAccess")],
            inline_policies={"Mine": {"Version": "2012-10-17", "Statement": []}},
            tags={"Team": "platform"},
            audience="vault",
        )

    template = synthesise(define)
    [(logical_id, role)] = Deployment({"Stack": template}).web_identity_roles().items()
    assert role.tags["Team"] == "platform"
    assert role.tested("aud") == {"StringEquals": "vault"}
    properties = template["Resources"][logical_id]["Properties"]
    assert "ReadOnlyAccess" in str(properties["ManagedPolicyArns"])
    assert "Mine" in {policy["PolicyName"] for policy in properties["Policies"]}


def test_refuses_a_policy_under_the_name_of_its_own():
    stack = Stack(app_with_flags(), "Stack")
    own = {"ClusterAutoscaler": {"Version": "2012-10-17", "Statement": []}}
    with pytest.raises(InvalidInput, match="inline_policies must not hold 'ClusterAutoscaler'"):
        autoscaler(stack, example_cluster.service_accounts(stack), inline_policies=own)


def test_refuses_a_role_made_elsewhere(name):
    stack = Stack(app_with_flags(), "Stack")
    with pytest.raises(InvalidInput, match="role_arn must be left out, got 'arn:aws:iam::111122"):
        CONTROLLERS[name][0](
            stack,
            example_cluster.service_accounts(stack),
            role_arn="arn:aws:iam::111122223333:role/x",
        )


def test_a_refused_controller_can_be_corrected(name):
    stack = Stack(app_with_flags(), "Stack")
    accounts = example_cluster.service_accounts(stack)
    with pytest.raises(InvalidInput, match=r"role_name of \w+ must be at most 64"):
        CONTROLLERS[name][0](stack, accounts, role_name="r" * 65)
    assert CONTROLLERS[name][0](stack, accounts, role_name="r")


def test_refuses_the_id_of_another_controller_of_the_cluster():
    stack = Stack(app_with_flags(), "Stack")
    accounts = example_cluster.service_accounts(stack)
    first, second = (Construct(stack, side) for side in ("Public", "Private"))
    dns(first, accounts)
    with pytest.raises(InvalidInput, match=r"id must be one that nothing in .* has, got 'Dns'"):
        dns(second, accounts, service_account="private-dns")


@pytest.mark.parametrize("wrong", ["payments-dev", "payments-prod2"])
def test_refuses_the_name_of_another_cluster(wrong):
    stack = Stack(app_with_flags(), "Stack")
    accounts = example_cluster.service_accounts(stack)
    with pytest.raises(InvalidInput, match="cluster_name must be that of service_accounts"):
        ClusterAutoscaler(stack, "Autoscaler", service_accounts=accounts, cluster_name=wrong)


def test_reviewers_find_a_reason_for_every_wildcard(tmp_path):
    flags = {**context(), "@aws-cdk/core:failSynthOnValidationErrors": False}
    app = App(context=flags, outdir=str(tmp_path), analytics_reporting=False)
    stack = Stack(app, "Stack")
    accounts = example_cluster.service_accounts(stack)
    for make, _, _ in CONTROLLERS.values():
        make(stack, accounts)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()

    [report] = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    ours = ("Dns", "Autoscaler", "Balancers", "Cni")
    unexplained = [
        violation["ruleName"]
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
        if set(construct["constructPath"].split("/")) & set(ours)
    ]
    assert unexplained == []
    assert any("security-group/*" in one["ruleName"] for one in report["suppressedViolations"])


def test_in_china_waf_and_shield_are_left_alone():
    stack = Stack(app_with_flags(), "Stack", env={"region": CHINA.region, "account": ACCOUNT})
    accounts = example_cluster.service_accounts(stack, place=CHINA)
    controller = AwsLoadBalancerController(
        stack, "Balancers", service_accounts=accounts, vpc_id=example_cluster.VPC_ID
    )
    values = controller.chart_values
    assert (values["enableShield"], values["enableWaf"], values["enableWafv2"]) == (False,) * 3
    assert "shield:" not in json.dumps(template_of(stack))
