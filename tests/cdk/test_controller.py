"""What holds for every controller, in each partition, with names known at synth or at deploy."""

import functools
import json
from dataclasses import replace

import pytest
from aws_cdk import App, Duration, Stack, Validations, aws_iam, aws_s3
from cdk_nag import AwsSolutionsChecks

from irsa_stack import Ownership
from irsa_stack.cloudformation.deploy_time import REGION
from irsa_stack.controllers import (
    AwsLoadBalancerController,
    ClusterAutoscaler,
    ExternalDns,
)
from irsa_stack.controllers.catalogue import modules
from irsa_stack.controllers.spec import Cluster
from irsa_stack.controllers.statements import Location
from irsa_stack.faults import InvalidInput
from irsa_stack.nodes.instance_metadata import refuse_untold_controllers
from tests.support import example_cluster
from tests.support.controllers import spec_at, table
from tests.support.templates import app_with_flags, context, synthesise, template_of
from tests.support.trust_resolver import ACCOUNT, CHINA, COMMERCIAL, PLACES, Deployment

HELD = Cluster(
    name=example_cluster.NAME,
    vpc_id=example_cluster.VPC_ID,
    endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
)
ZONE = "Z0123456789ABCDEFGHIJ"


def location_of(place):
    return Location(partition=place.partition, region=place.region, aws_account=ACCOUNT)


def spec_of(module, place=COMMERCIAL):
    return spec_at(next(iter(table(module).SPECS.values())), location_of(place))


def define_all(stack, *, deploy_time=False, place=COMMERCIAL, **options):
    """Every controller in one cluster."""
    accounts = example_cluster.service_accounts(stack, deploy_time=deploy_time, place=place)
    vpc_id = example_cluster.vpc_id(stack)
    return {
        module: accounts.add_controller(spec_of(module, place).in_vpc(vpc_id), **options)
        for module in modules()
        if options.get("ownership") != "HELM" or spec_of(module).chart_annotates
    }


@functools.cache
def _template(deploy_time, place):
    return synthesise(
        lambda stack: define_all(stack, deploy_time=deploy_time, place=place),
        # A template with parameters knows the region at deploy; ARNs of specs are of one place.
        env=None if deploy_time else {"region": place.region, "account": ACCOUNT},
    )


@pytest.fixture(params=modules(), scope="module")
def module(request):
    return request.param


@pytest.fixture(params=PLACES, ids=lambda place: place.partition, scope="module")
def place(request):
    return request.param


@pytest.fixture(params=["at synth", "at deploy"], scope="module")
def deployment(request, place):
    template = _template(request.param == "at deploy", place)
    return Deployment({"Stack": template}, place, example_cluster.parameters(place))


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack", env={"region": "eu-west-1", "account": ACCOUNT})


@pytest.fixture
def accounts(stack):
    return example_cluster.service_accounts(stack)


def role_of(deployment, module):
    """Logical id and trust of the role of a controller."""
    spec = spec_of(module)
    [found] = [
        (logical_id, role)
        for logical_id, role in deployment.web_identity_roles().items()
        if role.tags["ServiceAccountName"] == spec.service_account
        and role.tags["ServiceAccountNamespace"] == spec.namespace
    ]
    return found


def policies_of(deployment, module):
    """All identity policies of the role of a controller, resolved."""
    resources = deployment.templates["Stack"]["Resources"]
    role = resources[role_of(deployment, module)[0]]["Properties"]
    found = [one["PolicyDocument"] for one in role.get("Policies", [])]
    found += [
        resources[arn["Ref"]]["Properties"]["PolicyDocument"]
        for arn in role.get("ManagedPolicyArns", [])
    ]
    resolved = [deployment.value("Stack", document) for document in found]
    return [json.loads(one) if isinstance(one, str) else one for one in resolved]


def test_only_its_own_account_can_assume_its_role(deployment, module, place):
    provider = f"arn:{place.partition}:iam::{ACCOUNT}:oidc-provider/{place.issuer}"
    spec = spec_of(module)
    assert role_of(deployment, module)[1].document == {
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
                            f"system:serviceaccount:{spec.namespace}:{spec.service_account}"
                        ),
                    }
                },
            }
        ],
    }


def test_its_role_holds_the_documents_of_the_catalogue_and_no_other(
    deployment, module, place, request
):
    location = location_of(place)
    if request.node.callspec.params["deployment"] == "at deploy":
        location = replace(location, region=REGION)
    documents = spec_of(module, place).documents(HELD, location)
    expected = json.loads(json.dumps(list(documents.values())).replace(REGION, place.region))
    assert sorted(policies_of(deployment, module), key=str) == sorted(expected, key=str)


def test_every_controller_together_synthesises_the_same_twice():
    env = {"region": COMMERCIAL.region, "account": ACCOUNT}
    assert synthesise(define_all, env=env) == _template(False, COMMERCIAL)  # noqa: FBT003


@pytest.fixture(scope="module")
def helm():
    stack = Stack(app_with_flags(), "Stack", env={"region": "eu-west-1", "account": ACCOUNT})
    return stack, define_all(stack, ownership=Ownership.HELM)


def test_tells_its_chart_what_it_would_ask_instance_metadata(helm):
    refuse_untold_controllers(
        {one.spec.upstream.chart: one.chart_values for one in helm[1].values()}
    )


def test_a_chart_that_makes_the_account_gets_the_role_annotation(module, helm):
    if not spec_of(module).chart_annotates:
        return
    controller = helm[1][module]
    account = controller.chart_values
    for key in controller.spec.chart_path.split("."):
        account = account[key]
    assert account["create"] is True
    assert account["name"] == controller.spec.service_account
    assert controller.role.role_arn in account["annotations"]["eks.amazonaws.com/role-arn"]


def test_with_a_chart_nothing_is_applied_to_the_cluster(helm):
    types = {one["Type"] for one in template_of(helm[0])["Resources"].values()}
    assert "Custom::ServiceAccounts" not in types


def test_refuses_helm_where_the_chart_cannot_annotate(module, accounts):
    spec = spec_of(module)
    if spec.chart_annotates:
        return
    with pytest.raises(InvalidInput, match=r"ownership must not be HELM .* ADOPT it"):
        accounts.add_controller(spec, ownership=Ownership.HELM)
    assert accounts.add_controller(spec).service_account.ownership is Ownership.ADOPT


def test_names_its_account_as_the_user_wants(accounts):
    controller = accounts.add_controller(
        ClusterAutoscaler(), namespace="platform", name="mine", ownership=Ownership.NONE
    )
    assert controller.identity.subject == "system:serviceaccount:platform:mine"


def test_a_grant_reaches_its_role(stack, accounts):
    controller = accounts.add_controller(ClusterAutoscaler())
    aws_s3.Bucket(stack, "Bucket").grant_read(controller)
    template = template_of(stack)
    [policy] = [
        one["Properties"]
        for key, one in template["Resources"].items()
        if one["Type"] == "AWS::IAM::Policy" and "s3:GetObject*" in json.dumps(one)
    ]
    [role] = policy["Roles"]
    assert "WebIdentity" in json.dumps(template["Resources"][role["Ref"]])


def test_what_depends_on_it_is_made_after_its_pods_can_get_the_role(stack, accounts):
    controller = accounts.add_controller(ClusterAutoscaler())
    aws_s3.Bucket(stack, "Workload").node.add_dependency(controller)
    resources = template_of(stack)["Resources"]
    [workload] = [one for one in resources.values() if one["Type"] == "AWS::S3::Bucket"]
    assert "Custom::ServiceAccounts" in {resources[key]["Type"] for key in workload["DependsOn"]}


def test_is_used_as_the_cdks_own_service_accounts_are(accounts):
    controller = accounts.add_controller(ClusterAutoscaler())
    added = controller.add_to_principal_policy(
        aws_iam.PolicyStatement(actions=["s3:ListAllMyBuckets"], resources=["*"])
    )
    assert added.statement_added
    assert controller.service_account_namespace == "kube-system"
    assert controller.service_account_name == "cluster-autoscaler"


def test_takes_policies_and_tags_besides_its_own(stack, accounts):
    accounts.add_controller(
        ClusterAutoscaler(),
        managed_policies=[aws_iam.ManagedPolicy.from_aws_managed_policy_name("ReadOnlyAccess")],
        inline_policies={"Mine": {"Version": "2012-10-17", "Statement": []}},
        tags={"Team": "platform"},
        audience="vault",
    )
    template = template_of(stack)
    [(logical_id, role)] = Deployment({"Stack": template}).web_identity_roles().items()
    assert role.tags["Team"] == "platform"
    assert role.tested("aud") == {"StringEquals": "vault"}
    properties = template["Resources"][logical_id]["Properties"]
    assert "ReadOnlyAccess" in str(properties["ManagedPolicyArns"])
    assert "Mine" in {policy["PolicyName"] for policy in properties["Policies"]}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            {"inline_policies": {"ClusterAutoscaler": {"Statement": []}}},
            "inline_policies must not hold 'ClusterAutoscaler'",
        ),
        ({"role_arn": f"arn:aws:iam::{ACCOUNT}:role/x"}, "role_arn must be left out, got 'arn"),
        ({"role_name": "r" * 65}, r"role_name of [-\w/]+ must be at most 64"),
        ({"ownership": "MINE"}, "ownership must be of CREATE"),
    ],
)
def test_a_refused_controller_can_be_corrected(accounts, options, fault):
    with pytest.raises(InvalidInput, match=fault):
        accounts.add_controller(ClusterAutoscaler(), **options)
    assert accounts.add_controller(ClusterAutoscaler())


def test_a_second_one_of_a_kind_needs_an_id_and_an_account_of_its_own(accounts):
    accounts.add_controller(ExternalDns(hosted_zones=[ZONE]))
    with pytest.raises(InvalidInput, match=r"id must be one that nothing in .* got 'ExternalDns'"):
        accounts.add_controller(ExternalDns(hosted_zones=[ZONE]), name="private-dns")
    assert accounts.add_controller(
        ExternalDns(hosted_zones=[ZONE]), id="PrivateDns", name="private-dns"
    )


@pytest.mark.parametrize("wrong", ["payments-dev", "payments-prod2"])
def test_refuses_the_name_of_another_cluster(accounts, wrong):
    with pytest.raises(InvalidInput, match="cluster_name must be that of service_accounts"):
        accounts.add_controller(ClusterAutoscaler(), cluster_name=wrong)


def test_refuses_an_arn_of_another_partition():
    stack = Stack(app_with_flags(), "China", env={"region": "cn-north-1", "account": ACCOUNT})
    spec = ExternalDns(hosted_zones=[f"arn:aws:route53:::hostedzone/{ZONE}"])
    assert example_cluster.service_accounts(stack).add_controller(spec)
    with pytest.raises(InvalidInput, match="hosted_zones must be in partition aws-cn, got"):
        spec.documents(HELD, location_of(CHINA))


def test_its_managed_policies_have_the_path_of_its_role(stack, accounts):
    accounts.add_controller(AwsLoadBalancerController().in_vpc(HELD.vpc_id), path="/team/")
    paths = {
        one["Properties"].get("Path")
        for one in template_of(stack)["Resources"].values()
        if one["Type"] == "AWS::IAM::ManagedPolicy" or "WebIdentity" in json.dumps(one)
    }
    assert paths == {"/team/"}


def test_refuses_more_than_a_managed_policy_holds(accounts):
    groups = [
        f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:targetgroup/legacy-{one}/0a1b"
        for one in range(60)
    ]
    spec = AwsLoadBalancerController(vpc_id=HELD.vpc_id, target_groups=groups)
    with pytest.raises(InvalidInput, match=r"Controller/LoadBalancers must be at most 6144"):
        accounts.add_controller(spec)


def test_quotes_annotations_for_a_chart_that_does_not(accounts):
    autoscaler = accounts.add_controller(
        ClusterAutoscaler(), ownership=Ownership.HELM, token_expiration=Duration.hours(1)
    )
    annotations = autoscaler.chart_values["rbac"]["serviceAccount"]["annotations"]
    assert annotations["eks.amazonaws.com/sts-regional-endpoints"] == '"true"'
    assert annotations["eks.amazonaws.com/token-expiration"] == '"3600"'
    account = autoscaler.service_account
    assert account.helm_values["rbac"]["serviceAccount"]["annotations"] == annotations


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        (
            AwsLoadBalancerController(vpc_id=HELD.vpc_id),
            {
                "clusterName": "payments-prod",
                "region": "eu-west-1",
                "vpcId": "vpc-0123456789abcdef0",
                "enableShield": True,
                "enableWaf": False,
                "enableWafv2": True,
                "serviceAccount": {"create": False, "name": "aws-load-balancer-controller"},
            },
        ),
        (
            ExternalDns(hosted_zones=[ZONE]),
            {
                "provider": {"name": "aws"},
                "policy": "upsert-only",
                "registry": "txt",
                "txtOwnerId": "payments-prod",
                "extraArgs": {"zone-id-filter": [ZONE]},
                "env": [{"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"}],
                "serviceAccount": {"create": False, "name": "external-dns"},
            },
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_emits_what_the_chart_must_be_told(accounts, spec, values):
    assert accounts.add_controller(spec).chart_values == values


def test_in_china_waf_and_shield_are_left_alone():
    stack = Stack(app_with_flags(), "Stack", env={"region": CHINA.region, "account": ACCOUNT})
    accounts = example_cluster.service_accounts(stack, place=CHINA)
    controller = accounts.add_controller(AwsLoadBalancerController(vpc_id=HELD.vpc_id))
    values = controller.chart_values
    assert (values["enableShield"], values["enableWaf"], values["enableWafv2"]) == (False,) * 3
    assert "shield:" not in json.dumps(template_of(stack))


def test_reviewers_find_a_reason_for_every_wildcard(tmp_path):
    flags = {**context(), "@aws-cdk/core:failSynthOnValidationErrors": False}
    app = App(context=flags, outdir=str(tmp_path), analytics_reporting=False)
    define_all(Stack(app, "Stack"))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()

    [report] = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    unexplained = [
        violation["ruleName"]
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
        if "IAM5" in violation["ruleName"]
    ]
    assert unexplained == []
    assert any("security-group/*" in one["ruleName"] for one in report["suppressedViolations"])
