import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from aws_cdk import CfnJson, CfnParameter, Fn, NestedStack, Stack, aws_iam

from irsa_stack import EksOidcProvider, IrsaRole, TrustReview
from irsa_stack.review.template import template_findings
from tests.support.templates import REPOSITORY, app_with_flags, template_of

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
# A user's own app, whose role misses the audience. NAME is what the role trusts.
APP = """\
from aws_cdk import App, Stack, Validations, aws_iam
from irsa_stack import TrustReview

{prelude}
app = App()
stack = Stack(app, "Stack")
aws_iam.CfnRole(
    stack,
    "Role",
    assume_role_policy_document={document!r},
)
Validations.of(app).add_plugins(TrustReview())
app.synth()
"""


def trusting(**tests):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{ISSUER}:{claim}": value for claim, value in tests.items()}
                },
            }
        ],
    }


GOOD = trusting(aud="sts.amazonaws.com", sub="system:serviceaccount:apps:api")
NO_AUDIENCE = trusting(sub="system:serviceaccount:apps:api")


def findings(define, *, region=None):
    app = app_with_flags()
    stack = Stack(app, "Stack")
    define(stack)
    return [
        (finding.id, finding.fault)
        for finding in template_findings(template_of(stack), region=region)
        if not finding.is_remark
    ]


def written(document):
    return lambda stack: aws_iam.CfnRole(stack, "Role", assume_role_policy_document=document)


def report_on(tmp_path, template, region=None, account=None):
    path = tmp_path / "Stack.template.json"
    path.write_text(template if isinstance(template, str) else json.dumps(template))
    stack = SimpleNamespace(
        template_path=str(path), region=region, account_id=account, stack_construct_path="Stack"
    )
    return TrustReview().validate(SimpleNamespace(stack_templates=[stack]))


def role(document):
    properties = {"AssumeRolePolicyDocument": document}
    return {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}}


def test_roles_of_this_library_pass_with_a_literal_and_with_a_token_issuer():
    def define(stack):
        for position, url in enumerate(
            [f"https://{ISSUER}", CfnParameter(stack, "Url").value_as_string]
        ):
            provider = EksOidcProvider(stack, f"Provider{position}", issuer_url=url)
            IrsaRole(
                stack,
                f"Role{position}",
                oidc_provider=provider,
                service_accounts=["apps/api"],
                subject_patterns=["ci/build-*"],
            )

    assert findings(define) == []


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        (NO_AUDIENCE, "IRSA102"),
        (json.dumps(NO_AUDIENCE), "IRSA102"),
        ({"Fn::Sub": json.dumps(NO_AUDIENCE)}, "IRSA102"),
        (
            {"Fn::Sub": [json.dumps(NO_AUDIENCE).replace(ISSUER, "${I}"), {"I": ISSUER}]},
            "IRSA102",
        ),
        (
            {"Fn::Join": [ISSUER, json.dumps(NO_AUDIENCE).split(ISSUER)]},
            "IRSA102",
        ),
        ({"Fn::Sub": "{'Version': '2012-10-17'}"}, "IRSA100"),
        ({"Fn::Sub": '{"Version": "2012-10-17",}'}, "IRSA100"),
        ("${AWS::AccountId} is no JSON", "IRSA100"),
    ],
)
def test_reads_objects_and_strings(document, rule):
    [finding] = template_findings(role(document))
    assert finding.id == rule


def test_a_trust_policy_that_only_the_deploy_will_tell_is_a_finding():
    [finding] = template_findings(role({"Fn::ImportValue": "policy"}))
    assert finding.id == "IRSA901"


@pytest.mark.parametrize(
    ("region", "rules"), [(None, []), ("eu-west-1", []), ("cn-north-1", ["IRSA117"])]
)
def test_arns_must_be_of_the_stacks_partition(region, rules):
    found = template_findings(role(GOOD), region=region)
    assert [finding.id for finding in found] == rules


def test_an_arn_that_follows_the_partition_passes_everywhere():
    document = json.dumps(GOOD).replace("arn:aws:", "arn:${AWS::Partition}:")
    assert not list(template_findings(role({"Fn::Sub": document}), region="cn-north-1"))


def test_an_account_known_only_at_deploy_hides_no_mistake():
    text = json.dumps(GOOD).replace("111122223333", "${AWS::AccountId}").replace("er/", "er:")
    found = template_findings(role({"Fn::Sub": text}))
    assert [finding.id for finding in found] == ["IRSA117"]


def test_role_annotations_in_manifests_are_read():
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role:api"}
    manifest = [{"metadata": {"annotations": annotations}}]
    template = {
        "Resources": {
            "Manifest": {
                "Type": "Custom::AWSCDK-EKS-KubernetesResource",
                "Properties": {"Manifest": {"Fn::Join": ["", [json.dumps(manifest)]]}},
            }
        }
    }
    [finding] = template_findings(template)
    assert (finding.resource, finding.id) == ("Manifest", "IRSA501")


def test_a_role_of_the_cdk_is_read_through_the_custom_resource_of_its_conditions():
    def define(stack):
        url = CfnParameter(stack, "Url").value_as_string
        key = Fn.select(1, Fn.split("//", url))
        aws_iam.Role(
            stack,
            "Role",
            assumed_by=aws_iam.WebIdentityPrincipal(
                f"arn:aws:iam::111122223333:oidc-provider/{key}",
                {
                    "StringEquals": CfnJson(
                        stack, "Conditions", value={f"{key}:aud": "sts.amazonaws.com"}
                    )
                },
            ),
        )

    [(rule, fault)] = findings(define)
    assert rule == "IRSA101"
    assert "every service account" in fault


# The plugin


def test_a_good_template_is_a_success(tmp_path):
    assert report_on(tmp_path, role(GOOD)).success


def test_a_violation_names_rule_resource_property_and_fix(tmp_path):
    report = report_on(tmp_path, role(NO_AUDIENCE))
    assert not report.success
    [violation] = report.violations
    assert violation.rule_name == "IRSA102"
    assert violation.description.startswith("Condition must test the audience")
    assert violation.fix.startswith("add StringEquals")
    [resource] = violation.violating_resources
    assert resource.resource_logical_id == "Role"
    assert resource.locations == ["Properties/AssumeRolePolicyDocument"]


def test_a_stack_that_says_where_it_goes_is_held_to_it(tmp_path):
    for region, account, success in (
        ("eu-west-1", "111122223333", True),
        ("eu-west-1", "444455556666", False),
        ("cn-north-1", "111122223333", False),
        ("unknown-region", "unknown-account", True),
    ):
        assert report_on(tmp_path, role(GOOD), region, account).success is success


def report_on_nested(document, depth):
    """What is found in a role of a stack that many levels below the one that is deployed."""
    app = app_with_flags()
    stack = Stack(app, "Stack")
    for _ in range(depth):
        stack = NestedStack(stack, "Nested")
    aws_iam.CfnRole(stack, "Role", assume_role_policy_document=document)
    [artifact] = app.synth().stacks
    given = SimpleNamespace(
        template_path=artifact.template_full_path,
        region=None,
        account_id=None,
        stack_construct_path="Stack",
    )
    return TrustReview().validate(SimpleNamespace(stack_templates=[given]))


@pytest.mark.parametrize("depth", [1, 2])
def test_nested_stacks_are_reviewed(depth):
    [violation] = report_on_nested(NO_AUDIENCE, depth).violations
    assert violation.rule_name == "IRSA102"
    [resource] = violation.violating_resources
    assert resource.template_path.endswith(".nested.template.json")
    assert resource.resource_logical_id == "Role"


def test_a_good_nested_stack_is_a_success():
    assert report_on_nested(GOOD, 1).success


@pytest.mark.parametrize("template", ["{", "[]", '{"Resources": []}', '{"Resources": {"A": 1}}'])
def test_its_own_failure_is_a_violation(tmp_path, template):
    report = report_on(tmp_path, template)
    assert not report.success
    [violation] = report.violations
    assert violation.rule_name == "IRSA000"


def test_a_missing_template_is_a_violation(tmp_path):
    stack = SimpleNamespace(
        template_path=str(tmp_path / "none.json"), region=None, stack_construct_path=""
    )
    report = TrustReview().validate(SimpleNamespace(stack_templates=[stack]))
    assert [violation.rule_name for violation in report.violations] == ["IRSA000"]


def test_lists_the_rules_that_it_judges_by():
    assert {"IRSA000", "IRSA101", "IRSA102"} <= set(TrustReview().rule_ids)


def cdk_synth(tmp_path, document, prelude=""):
    (tmp_path / "app.py").write_text(APP.format(document=document, prelude=prelude))
    return subprocess.run(
        [str(REPOSITORY / "node_modules/.bin/cdk"), "synth", "--quiet", "--no-notices",
         "--app", f"{sys.executable} app.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_cdk_synth_fails_on_a_mistake_and_says_what_to_do(tmp_path):
    done = cdk_synth(tmp_path, NO_AUDIENCE)
    assert done.returncode == 1
    assert "Condition must test the audience" in done.stdout + done.stderr
    assert "Acknowledge with 'irsa-stack::IRSA102'" in done.stdout + done.stderr


def test_cdk_synth_fails_when_the_review_itself_fails(tmp_path):
    broken = "import irsa_stack.cdk.trust_review_plugin as p; p.template_findings = None"
    done = cdk_synth(tmp_path, GOOD, prelude=broken)
    assert done.returncode == 1
    assert "IRSA000" in done.stdout + done.stderr
