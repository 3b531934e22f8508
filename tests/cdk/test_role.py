import graphlib
import json

import jsii
import pytest
from aws_cdk import (
    Aspects,
    Aws,
    CfnOutput,
    CfnParameter,
    Duration,
    Environment,
    IAspect,
    PhysicalName,
    RemovalPolicy,
    Stack,
    Tags,
    aws_dynamodb,
    aws_iam,
    aws_kms,
    aws_s3,
    aws_secretsmanager,
    aws_sns,
    aws_sqs,
)
from constructs import DependencyGroup

from irsa_stack import EksOidcProvider, InvalidInput, IrsaRole, Trust
from tests.support.iam_evaluator import may_assume
from tests.support.templates import app_with_flags, synthesise, template_of, templates_of
from tests.support.trust_resolver import COMMERCIAL, Deployment

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
OTHER_ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/FEDCBA98765432100123456789ABCDEF"
READ = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::payments/*"}
    ],
}
URLS = {
    "literal issuer": lambda _: f"https://{ISSUER}",
    "token issuer": lambda stack: CfnParameter(stack, "Url").value_as_string,
}


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture(params=URLS)
def provider(request, stack):
    return EksOidcProvider(stack, "OidcProvider", issuer_url=URLS[request.param](stack))


@pytest.fixture
def literal_provider(stack):
    return EksOidcProvider(stack, "OidcProvider", issuer_url=f"https://{ISSUER}")


def role_for(stack, provider, **kwargs):
    arguments = {"oidc_provider": provider, "service_accounts": ["apps/api"]} | kwargs
    return IrsaRole(stack, "Api", **arguments)


def only(template, resource_type, containing=""):
    [resource] = [
        body
        for body in template["Resources"].values()
        if body["Type"] == resource_type and containing in json.dumps(body)
    ]
    return resource["Properties"]


def irsa_role(template):
    return only(template, "AWS::IAM::Role", "WebIdentity")


def deployed(template):
    return Deployment({"Stack": template}, COMMERCIAL, {"Url": f"https://{ISSUER}"})


def faults_of(stack, provider, **kwargs):
    with pytest.raises(InvalidInput) as caught:
        role_for(stack, provider, **kwargs)
    return caught.value.faults


# In the open


def test_a_literal_issuer_gives_a_plain_object(stack, literal_provider):
    role_for(stack, literal_provider)
    document = irsa_role(template_of(stack))["AssumeRolePolicyDocument"]
    assert set(document) == {"Version", "Statement"}


def test_a_token_issuer_gives_a_string_in_fn_sub():
    def define(stack):
        url = CfnParameter(stack, "Url").value_as_string
        role_for(stack, EksOidcProvider(stack, "OidcProvider", issuer_url=url))

    assert list(irsa_role(synthesise(define))["AssumeRolePolicyDocument"]) == ["Fn::Sub"]


def test_no_custom_resource_hides_a_trust_policy(stack, provider):
    role_for(stack, provider)
    types = {body["Type"] for body in template_of(stack)["Resources"].values()}
    assert "Custom::AWSCDKCfnJson" not in types


def test_a_role_is_one_resource(stack, literal_provider):
    role_for(stack, literal_provider)
    ours = [key for key in template_of(stack)["Resources"] if key.startswith("Api")]
    assert len(ours) == 1


# Grants


def test_grants_reach_one_policy_attached_to_the_role(stack, provider):
    role = role_for(stack, provider)
    aws_s3.Bucket(stack, "Bucket").grant_read(role)
    key = aws_kms.Key(stack, "Key")
    key.grant_decrypt(role)
    table = aws_dynamodb.TableV2(
        stack,
        "Table",
        partition_key=aws_dynamodb.Attribute(name="id", type=aws_dynamodb.AttributeType.STRING),
    )
    table.grant_read_write_data(role)
    template = template_of(stack)
    policy = only(template, "AWS::IAM::Policy")
    actions = json.dumps(policy["PolicyDocument"])
    assert "s3:GetObject*" in actions
    assert "kms:Decrypt" in actions
    assert "dynamodb:PutItem" in actions
    assert _role_names(template, policy) == [_logical_id(template)]


@pytest.mark.parametrize("path", [None, "/", "/payments/", "/a/b/"])
def test_grants_reach_a_role_whatever_its_path(stack, literal_provider, path):
    role = role_for(stack, literal_provider, path=path)
    aws_s3.Bucket(stack, "Bucket").grant_read(role)
    template = template_of(stack)
    assert _role_names(template, only(template, "AWS::IAM::Policy")) == [_logical_id(template)]


def _logical_id(template):
    [logical_id] = [
        key
        for key, body in template["Resources"].items()
        if "WebIdentity" in json.dumps(body) and body["Type"] == "AWS::IAM::Role"
    ]
    return logical_id


def _role_names(template, policy):
    return [deployed(template).value("Stack", role) for role in policy["Roles"]]


def test_a_grant_with_a_resource_policy_names_the_role(stack, literal_provider):
    role = role_for(stack, literal_provider, path="/payments/")
    bucket = aws_s3.Bucket(stack, "Bucket")
    bucket.add_to_resource_policy(
        aws_iam.PolicyStatement(
            principals=[role.grant_principal], actions=["s3:GetObject"], resources=["*"]
        )
    )
    template = template_of(stack)
    statement = only(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"][0]
    principal = deployed(template).value("Stack", statement["Principal"])
    arn = f"arn:aws:iam::111122223333:role/payments/{_logical_id(template)}"
    assert principal == {"AWS": arn}


def test_a_statement_added_later_is_a_grant(stack, literal_provider):
    role = role_for(stack, literal_provider)
    role.add_to_policy(aws_iam.PolicyStatement(actions=["sqs:SendMessage"], resources=["*"]))
    policy = only(template_of(stack), "AWS::IAM::Policy")
    assert policy["PolicyDocument"]["Statement"][0]["Action"] == "sqs:SendMessage"


def test_a_managed_policy_added_later_stands_beside_the_others(stack, literal_provider):
    first, second = (
        aws_iam.ManagedPolicy.from_managed_policy_arn(
            stack, name, f"arn:aws:iam::111122223333:policy/{name}"
        )
        for name in ("First", "Second")
    )
    role_for(stack, literal_provider, managed_policies=[first]).add_managed_policy(second)
    assert irsa_role(template_of(stack))["ManagedPolicyArns"] == [
        "arn:aws:iam::111122223333:policy/First",
        "arn:aws:iam::111122223333:policy/Second",
    ]


# Where the role is, and where what it is granted


HERE = Environment(account="111122223333", region="eu-west-1")
THERE = Environment(account="444455556666", region="eu-west-1")
EVERYTHING = {
    "bucket": lambda scope, role: aws_s3.Bucket(
        scope, "Bucket", bucket_name="fixed", encryption=aws_s3.BucketEncryption.KMS
    ).grant_read(role),
    "queue": lambda scope, role: aws_sqs.Queue(scope, "Queue").grant_send_messages(role),
    "topic": lambda scope, role: aws_sns.Topic(scope, "Topic").grant_publish(role),
    "secret": lambda scope, role: aws_secretsmanager.Secret(scope, "Secret").grant_read(role),
}


def role_in(scope, **kwargs):
    provider = EksOidcProvider.from_issuer_url(scope, "OidcProvider", f"https://{ISSUER}")
    return role_for(scope, provider, **kwargs)


def types_in(template):
    return {body["Type"] for body in template["Resources"].values()}


@pytest.mark.parametrize("env", [HERE, None], ids=["literal", "agnostic"])
@pytest.mark.parametrize("stacks", [1, 2])
@pytest.mark.parametrize("kwargs", [{}, {"role_name": "api", "path": "/payments/"}])
@pytest.mark.parametrize("what", EVERYTHING)
def test_a_grant_in_the_roles_own_account_needs_no_resource_policy(env, stacks, kwargs, what):
    app = app_with_flags()
    home = Stack(app, "Stack", env=env)
    data = home if stacks == 1 else Stack(app, "Data", env=env)
    EVERYTHING[what](data, role_in(home, **kwargs))
    templates = templates_of(app)
    types = set().union(*map(types_in, templates.values()))
    assert not {one for one in types if one.endswith("Policy")} - {"AWS::IAM::Policy"}
    policy = only(templates["Stack"], "AWS::IAM::Policy")
    place = Deployment(templates, COMMERCIAL)
    names = [place.value("Stack", name) for name in policy["Roles"]]
    assert names == [kwargs.get("role_name") or _logical_id(templates["Stack"])]


@pytest.mark.parametrize("path", [None, "/payments/"])
def test_a_bucket_of_another_account_names_the_role_in_its_own(path):
    app = app_with_flags()
    role = role_in(Stack(app, "Stack", env=HERE), role_name="api", path=path)
    data = Stack(app, "Data", env=THERE)
    aws_s3.Bucket(data, "Bucket", bucket_name="fixed").grant_read(role)
    templates = templates_of(app)
    statement = only(templates["Data"], "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"][0]
    principal = Deployment(templates, COMMERCIAL).value("Data", statement["Principal"])
    assert principal == {"AWS": f"arn:aws:iam::111122223333:role{path or '/'}api"}


def test_the_arn_of_a_named_role_is_known_in_another_account():
    app = app_with_flags()
    role = role_in(Stack(app, "Stack", env=HERE), role_name="api", path="/payments/")
    data = Stack(app, "Data", env=THERE)
    CfnOutput(data, "Arn", value=role.role_arn)
    templates = templates_of(app)
    found = Deployment(templates, COMMERCIAL).value("Data", templates["Data"]["Outputs"]["Arn"])
    assert found["Value"] == "arn:aws:iam::111122223333:role/payments/api"


def test_a_role_without_a_name_says_so_to_another_account():
    app = app_with_flags()
    role = role_in(Stack(app, "Stack", env=HERE))
    data = Stack(app, "Data", env=THERE)
    aws_s3.Bucket(data, "Bucket", bucket_name="fixed").grant_read(role)
    with pytest.raises(RuntimeError, match="physical name must be explicit"):
        app.synth()


def test_a_role_may_be_named_only_when_another_account_needs_it():
    app = app_with_flags()
    role = role_in(Stack(app, "Stack", env=HERE), role_name=PhysicalName.GENERATE_IF_NEEDED)
    data = Stack(app, "Data", env=THERE)
    aws_s3.Bucket(data, "Bucket", bucket_name="fixed").grant_read(role)
    templates = templates_of(app)
    assert irsa_role(templates["Stack"])["RoleName"] in json.dumps(templates["Data"])


def test_a_path_may_be_known_at_deploy_only(stack, literal_provider):
    path = CfnParameter(stack, "Path").value_as_string
    role = role_for(stack, literal_provider, path=path, inline_policies={"Own": READ})
    aws_s3.Bucket(stack, "Bucket").grant_read(role)
    template = template_of(stack)
    assert irsa_role(template)["Path"] == {"Ref": "Path"}
    assert _role_names(template, only(template, "AWS::IAM::Policy")) == [_logical_id(template)]


def test_a_path_may_hold_what_is_known_at_deploy_only(stack, literal_provider):
    role = role_for(stack, literal_provider, path=f"/{Aws.REGION}/")
    aws_s3.Bucket(stack, "Bucket").grant_read(role)
    template = template_of(stack)
    assert _role_names(template, only(template, "AWS::IAM::Policy")) == [_logical_id(template)]


# Wherever the CDK wants a role


ASK = {"actions": ["sqs:SendMessage"], "resources": ["*"]}


@pytest.mark.parametrize(
    "attach",
    [
        lambda stack, role: aws_iam.Policy(
            stack, "P", roles=[role], statements=[aws_iam.PolicyStatement(**ASK)]
        ),
        lambda stack, role: aws_iam.ManagedPolicy(
            stack, "P", roles=[role], statements=[aws_iam.PolicyStatement(**ASK)]
        ),
        lambda stack, role: role.attach_inline_policy(
            aws_iam.Policy(stack, "P", statements=[aws_iam.PolicyStatement(**ASK)])
        ),
        lambda _, role: role.add_to_principal_policy(aws_iam.PolicyStatement(**ASK)),
    ],
)
def test_a_policy_reaches_the_role_once_however_it_is_attached(stack, literal_provider, attach):
    attach(stack, role_for(stack, literal_provider))
    template = template_of(stack)
    policy = only(template, next(one for one in types_in(template) if one.endswith("Policy")))
    assert _role_names(template, policy) == [_logical_id(template)]
    assert policy["PolicyDocument"]["Statement"][0]["Action"] == "sqs:SendMessage"


def test_what_waits_for_grants_waits_for_a_policy_that_stands_alone(stack, literal_provider):
    grants = DependencyGroup()
    role = role_for(stack, literal_provider, grants=grants)
    aws_iam.Policy(stack, "P", roles=[role], statements=[aws_iam.PolicyStatement(**ASK)])
    aws_sqs.Queue(stack, "Queue").node.add_dependency(grants)
    resources = template_of(stack)["Resources"]
    [queue] = [body for body in resources.values() if body["Type"] == "AWS::SQS::Queue"]
    [policy] = [key for key, body in resources.items() if body["Type"] == "AWS::IAM::Policy"]
    assert queue["DependsOn"] == [policy]


def test_what_waits_for_grants_waits_for_all_that_they_overflow_into(stack, literal_provider):
    grants = DependencyGroup()
    grant_much(role_for(stack, literal_provider, grants=grants), 120)
    aws_sqs.Queue(stack, "Queue").node.add_dependency(grants)
    resources = template_of(stack)["Resources"]
    [queue] = [body for body in resources.values() if body["Type"] == "AWS::SQS::Queue"]
    policies = {
        key
        for key, body in resources.items()
        if body["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
    }
    assert len(policies) > 1
    assert policies <= set(queue["DependsOn"])


def test_a_managed_policy_may_come_later(stack, literal_provider):
    policy = aws_iam.ManagedPolicy.from_aws_managed_policy_name("ReadOnlyAccess")
    role_for(stack, literal_provider).add_managed_policy(policy)
    assert "ReadOnlyAccess" in json.dumps(irsa_role(template_of(stack))["ManagedPolicyArns"])


def test_a_statement_takes_the_role_for_its_principal(stack, literal_provider):
    role = role_for(stack, literal_provider)
    aws_s3.Bucket(stack, "Bucket").add_to_resource_policy(
        aws_iam.PolicyStatement(principals=[role], actions=["s3:GetObject"], resources=["*"])
    )
    template = template_of(stack)
    statement = only(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"][0]
    found = deployed(template).value("Stack", statement["Principal"])
    assert found == {"AWS": f"arn:aws:iam::111122223333:role/{_logical_id(template)}"}


def test_another_role_may_pass_it_and_be_assumed_by_it(stack, literal_provider):
    role = role_for(stack, literal_provider)
    other = aws_iam.Role(stack, "Other", assumed_by=role)
    role.grant_pass_role(other)
    role.grant(other, "iam:GetRole")
    template = template_of(stack)
    actions = json.dumps(only(template, "AWS::IAM::Policy")["PolicyDocument"])
    assert "iam:PassRole" in actions
    assert "iam:GetRole" in actions
    trusted = only(template, "AWS::IAM::Role", '"AWS"')["AssumeRolePolicyDocument"]
    assert _logical_id(template) in json.dumps(trusted["Statement"][0]["Principal"])


def test_nobody_but_service_accounts_may_be_granted_to_assume_it(stack, literal_provider):
    role = role_for(stack, literal_provider)
    other = aws_iam.Role(stack, "Other", assumed_by=aws_iam.AccountRootPrincipal())
    with pytest.raises(AttributeError, match="must name service accounts only"):
        role.grant_assume_role(other)


def test_a_role_is_a_resource_of_its_stack(stack, literal_provider):
    role = role_for(stack, literal_provider)
    role.apply_removal_policy(RemovalPolicy.RETAIN)
    assert role.stack is stack
    assert role.env.account == role.principal_account == stack.account
    resource = template_of(stack)["Resources"][_logical_id(template_of(stack))]
    assert resource["DeletionPolicy"] == "Retain"


# What fits into a role


def grant_much(role, count):
    for number in range(count):
        role.add_to_policy(
            aws_iam.PolicyStatement(
                actions=["s3:GetObject"],
                resources=[f"arn:aws:s3:::bucket-{number:03}{'x' * 100}/*"],
                conditions={"StringEquals": {f"aws:PrincipalTag/{number}": "y"}},
            )
        )


def test_grants_that_fit_are_no_fault(stack, literal_provider):
    grant_much(role_for(stack, literal_provider), 40)
    assert "AWS::IAM::Policy" in types_in(template_of(stack))


def test_grants_overflow_into_further_policies(stack, literal_provider):
    grant_much(role_for(stack, literal_provider), 120)
    template = template_of(stack)
    assert "AWS::IAM::ManagedPolicy" in types_in(template)
    policies = [
        body["Properties"]
        for body in template["Resources"].values()
        if body["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
    ]
    statements = [one for body in policies for one in body["PolicyDocument"]["Statement"]]
    assert len(statements) == 120
    assert all(_role_names(template, body) == [_logical_id(template)] for body in policies)


def test_grants_count_with_the_inline_policies(stack, literal_provider):
    inline = {"Own": {"Statement": [{"Sid": "x" * 9_000}]}}
    grant_much(role_for(stack, literal_provider, inline_policies=inline), 10)
    with pytest.raises(RuntimeError) as caught:
        template_of(stack)
    assert "inline policies of Api must be at most 10240 characters together" in str(caught.value)
    assert "iam.ManagedPolicy" in str(caught.value)


def test_a_policy_that_stands_alone_counts_too(stack, literal_provider):
    role = role_for(stack, literal_provider)
    resources = [f"arn:aws:s3:::bucket-{number:03}{'x' * 100}/*" for number in range(100)]
    statement = aws_iam.PolicyStatement(actions=["s3:GetObject"], resources=resources)
    aws_iam.Policy(stack, "Policy", roles=[role], statements=[statement])
    with pytest.raises(RuntimeError, match="inline policies of Api must be at most 10240"):
        template_of(stack)


# Aspects and tags


def test_a_boundary_by_aspect_reaches_the_role(stack, provider):
    role_for(stack, provider)
    boundary = aws_iam.ManagedPolicy.from_managed_policy_arn(
        stack, "Boundary", "arn:aws:iam::111122223333:policy/boundary"
    )
    aws_iam.PermissionsBoundary.of(stack).apply(boundary)
    found = irsa_role(template_of(stack))["PermissionsBoundary"]
    assert found == "arn:aws:iam::111122223333:policy/boundary"


def tags_of(stack):
    return {tag["Key"]: tag["Value"] for tag in irsa_role(template_of(stack)).get("Tags", [])}


def test_a_role_of_one_account_is_tagged_with_it(stack, literal_provider):
    role_for(stack, literal_provider)
    assert tags_of(stack) == {"ServiceAccountName": "api", "ServiceAccountNamespace": "apps"}


def test_tags_that_are_given_win(stack, literal_provider):
    role_for(stack, literal_provider, tags={"ServiceAccountName": "theirs", "Team": "platform"})
    assert tags_of(stack) == {
        "ServiceAccountName": "theirs",
        "ServiceAccountNamespace": "apps",
        "Team": "platform",
    }


@pytest.mark.parametrize(("given", "fits"), [(48, True), (49, False)])
def test_the_tags_of_its_account_count_with_those_that_are_given(
    stack, literal_provider, given, fits
):
    tags = {f"k{number}": "v" for number in range(given)}
    if fits:
        role_for(stack, literal_provider, tags=tags)
        assert len(tags_of(stack)) == 50
        return
    [fault] = faults_of(stack, literal_provider, tags=tags)
    assert "got 51 with 2 that every such role has; remove some" in fault


def test_one_account_of_two_clusters_is_one_account(stack, literal_provider):
    green = EksOidcProvider.from_issuer_url(stack, "Green", f"https://{OTHER_ISSUER}")
    role_for(
        stack, literal_provider, trusts=[Trust(oidc_provider=green, service_accounts=["apps/api"])]
    )
    assert tags_of(stack)["ServiceAccountName"] == "api"


@pytest.mark.parametrize(
    "kwargs",
    [{"service_accounts": ["apps/api", "apps/worker"]}, {"subject_patterns": ["apps/build-*"]}],
)
def test_a_role_of_several_accounts_is_tagged_with_none(stack, literal_provider, kwargs):
    role_for(stack, literal_provider, **kwargs)
    assert tags_of(stack) == {}


def test_tags_of_a_scope_stand_beside_the_roles_own(stack, literal_provider):
    role_for(stack, literal_provider, tags={"Cost": "low"})
    Tags.of(stack).add("Team", "platform")
    assert tags_of(stack) == {
        "Cost": "low",
        "ServiceAccountName": "api",
        "ServiceAccountNamespace": "apps",
        "Team": "platform",
    }


def test_a_token_issuer_survives_an_aspect_that_changes_roles():
    @jsii.implements(IAspect)
    class Describe:
        def visit(self, node):
            if isinstance(node, aws_iam.CfnRole):
                node.description = "reviewed"

    def define(stack):
        url = CfnParameter(stack, "Url").value_as_string
        role_for(stack, EksOidcProvider(stack, "OidcProvider", issuer_url=url))
        Aspects.of(stack).add(Describe())

    template = synthesise(define)
    assert irsa_role(template)["Description"] == "reviewed"
    assert deployed(template).only_role()["Statement"][0]["Effect"] == "Allow"


# The trust policy is changed in one way only.


def test_a_statement_on_the_stock_trust_policy_is_refused(stack, literal_provider):
    role = role_for(stack, literal_provider)
    role.assume_role_policy.add_statements(
        aws_iam.PolicyStatement(
            actions=["sts:AssumeRole"], principals=[aws_iam.AccountRootPrincipal()]
        )
    )
    with pytest.raises(RuntimeError, match="got a statement in assume_role_policy; change it with"):
        template_of(stack)


def test_the_cdk_takes_it_for_a_role(stack, literal_provider):
    role = role_for(stack, literal_provider)
    assert isinstance(role, aws_iam.Role)
    assert aws_iam.Role.is_role(role)


def test_an_aspect_finds_it_among_the_roles(stack, literal_provider):
    @jsii.implements(IAspect)
    class Bounding:
        def visit(self, node):
            if isinstance(node, aws_iam.Role):
                node.add_managed_policy(
                    aws_iam.ManagedPolicy.from_aws_managed_policy_name("ReadOnlyAccess")
                )

    role_for(stack, literal_provider)
    Aspects.of(stack).add(Bounding())
    assert "ReadOnlyAccess" in json.dumps(irsa_role(template_of(stack)))


def test_adding_a_cluster_adds_a_statement_and_replaces_nothing():
    def template(add):
        stack = Stack(app_with_flags(), "Stack")
        first = EksOidcProvider(stack, "OidcProvider", issuer_url=f"https://{ISSUER}")
        role = role_for(stack, first, role_name="api")
        if add:
            role.add_trust(
                Trust(
                    oidc_provider=EksOidcProvider.from_issuer_url(
                        stack, "Green", f"https://{OTHER_ISSUER}"
                    ),
                    service_accounts=["apps/api"],
                )
            )
        return template_of(stack)

    one, two = template(add=False), template(add=True)
    assert _logical_id(one) == _logical_id(two)
    first, second = irsa_role(one), irsa_role(two)
    before = first.pop("AssumeRolePolicyDocument")["Statement"]
    after = second.pop("AssumeRolePolicyDocument")["Statement"]
    assert first == second
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1


def test_each_cluster_is_trusted_for_its_own_accounts(stack, literal_provider):
    green = EksOidcProvider.from_issuer_url(stack, "Green", f"https://{OTHER_ISSUER}")
    role_for(
        stack,
        literal_provider,
        trusts=[Trust(oidc_provider=green, service_accounts=["apps/green"])],
    )
    document = deployed(template_of(stack)).only_role()
    for issuer, account, allowed in (
        (ISSUER, "api", True),
        (ISSUER, "green", False),
        (OTHER_ISSUER, "green", True),
        (OTHER_ISSUER, "api", False),
    ):
        claims = {"sub": f"system:serviceaccount:apps:{account}", "aud": "sts.amazonaws.com"}
        arn = f"arn:aws:iam::111122223333:oidc-provider/{issuer}"
        assert may_assume(document, provider_arn=arn, claims=claims) is allowed


def test_two_token_issuers_are_told_apart():
    def define(stack):
        providers = [
            EksOidcProvider(
                stack, name, issuer_url=CfnParameter(stack, f"{name}Url").value_as_string
            )
            for name in ("Blue", "Green")
        ]
        IrsaRole(
            stack,
            "Api",
            trusts=[
                Trust(oidc_provider=provider, service_accounts=["apps/api"])
                for provider in providers
            ],
        )

    template = synthesise(define)
    place = Deployment(
        {"Stack": template},
        COMMERCIAL,
        {"BlueUrl": f"https://{ISSUER}", "GreenUrl": f"https://{OTHER_ISSUER}"},
    )
    blue, green = place.only_role()["Statement"]
    assert f"{ISSUER}:sub" in blue["Condition"]["StringEquals"]
    assert f"{OTHER_ISSUER}:sub" in green["Condition"]["StringEquals"]


@pytest.mark.parametrize("issuer", URLS)
def test_a_provider_of_another_stack_is_referred_to_across(issuer):
    app = app_with_flags()
    cluster, workload = Stack(app, "Cluster"), Stack(app, "Workload")
    provider = EksOidcProvider(cluster, "OidcProvider", issuer_url=URLS[issuer](cluster))
    table = aws_s3.Bucket(cluster, "Bucket")
    role = IrsaRole(
        workload,
        "Api",
        oidc_provider=provider,
        service_accounts=["apps/api"],
        inline_policies={
            "Read": aws_iam.PolicyDocument(
                statements=[
                    aws_iam.PolicyStatement(actions=["s3:GetObject"], resources=[table.bucket_arn])
                ]
            )
        },
    )
    table.grant_read(role)
    deployment = Deployment(templates_of(app), COMMERCIAL, {"Url": f"https://{ISSUER}"})
    [trusted] = deployment.web_identity_roles().values()
    assert trusted.tested("sub") == {"StringEquals": "system:serviceaccount:apps:api"}
    # No reference may dangle: each resolves in the stack that it stands in.
    for stack, _, resource in deployment.resources("AWS::IAM::Role", "AWS::IAM::Policy"):
        deployment.value(stack, resource["Properties"])


def test_no_function_that_linters_do_not_know_stands_inside_a_split():
    app = app_with_flags()
    cluster, workload = Stack(app, "Cluster"), Stack(app, "Workload")
    provider = EksOidcProvider(cluster, "OidcProvider", issuer_url=URLS["token issuer"](cluster))
    role_for(workload, provider)
    document = irsa_role(templates_of(app)["Workload"])["AssumeRolePolicyDocument"]
    [_, variables] = document["Fn::Sub"]
    [_, source] = variables["Issuer"]["Fn::Select"][1]["Fn::Split"]
    assert list(source) == ["Fn::ImportValue"]


def waits_for(template):
    """Logical ids that each resource refers to."""

    def references(value):
        if isinstance(value, list):
            return {name for item in value for name in references(item)}
        if not isinstance(value, dict):
            return set()
        if "Ref" in value:
            return {value["Ref"]}
        if "Fn::GetAtt" in value:
            return {value["Fn::GetAtt"][0]}
        return {name for item in value.values() for name in references(item)}

    resources = template["Resources"]
    return {
        name: references(body.get("Properties", {})) & resources.keys()
        for name, body in resources.items()
    }


def test_a_secret_whose_key_names_the_role_makes_no_circle(stack, literal_provider):
    role = role_for(stack, literal_provider, inline_policies={"Own": READ})
    key = aws_kms.Key(stack, "Key")
    secret = aws_secretsmanager.Secret(stack, "Secret", encryption_key=key)
    secret.grant_read(role)
    graphlib.TopologicalSorter(waits_for(template_of(stack))).prepare()


# Mistakes


def test_one_issuer_twice_is_refused(stack, provider):
    [fault] = faults_of(
        stack,
        provider,
        trusts=[Trust(oidc_provider=provider, service_accounts=["apps/worker"])],
    )
    assert fault.startswith("trusts must name each issuer once")
    assert fault.endswith("put its service accounts into one Trust")


def test_add_trust_refuses_a_cluster_that_is_trusted(stack, literal_provider):
    role = role_for(stack, literal_provider)
    with pytest.raises(InvalidInput, match="must name each issuer once"):
        role.add_trust(Trust(oidc_provider=literal_provider, service_accounts=["apps/worker"]))


@pytest.mark.parametrize(
    "accounts", [["apps/*"], [f"namespace/account-{number:03}" for number in range(60)]]
)
def test_a_refused_trust_changes_nothing(stack, literal_provider, accounts):
    role = role_for(stack, literal_provider)
    before = role.trust_policy
    green = EksOidcProvider.from_issuer_url(stack, "Green", f"https://{OTHER_ISSUER}")
    with pytest.raises(InvalidInput):
        role.add_trust(Trust(oidc_provider=green, service_accounts=accounts))
    assert role.trust_policy == before
    role.add_trust(Trust(oidc_provider=green, service_accounts=["apps/worker"]))
    assert len(role.trust_policy["Statement"]) == 2


@pytest.mark.parametrize(
    ("kwargs", "rule", "fix"),
    [
        ({"service_accounts": ["apps/*"]}, "service account name must be one", "subject_patterns"),
        ({"service_accounts": ["*/api"]}, "namespace must be one exact", "list the namespaces"),
        ({"service_accounts": ["apps/default"]}, "service account must not be 'apps/default'",
         "allow_default_service_account"),
        ({"service_accounts": []}, "service_accounts must name at least one", "could assume"),
        ({"audience": ""}, "audience must be one exact value", "sts.amazonaws.com"),
        ({"audience": "system:serviceaccount:a:b"}, "audience must be no subject", "accounts"),
        ({"role_name": "r" * 65}, "role_name of Api must be at most 64", "CloudFormation"),
        ({"path": "payments"}, "path of Api must start and end with '/'", "try '/payments/'"),
        ({"path": "/" + "p" * 511 + "/"}, "path of Api must be at most 512", "shorten it"),
        ({"description": "d" * 1001}, "description of Api must be at most 1000", "shorten it"),
        ({"max_session_duration": Duration.hours(13)}, "max_session_duration of Api must be 1",
         "IAM allows no other"),
        ({"max_session_duration": 3600}, "max_session_duration of Api must be a Duration, got 3600",
         "write Duration.seconds(3600)"),
        ({"role_name": "r" * 200 + Aws.REGION}, "role_name of Api must be at most 64", "shorten"),
        ({"role_name": f"my role/{Aws.REGION}"}, "role_name of Api must use letters", "leave"),
        ({"path": f"/{'p' * 600}/{Aws.REGION}/"}, "path of Api must be at most 512", "shorten it"),
        ({"path": f"team/{Aws.REGION}"}, "path of Api must start and end with '/'", "try '/team/"),
        ({"description": "d" * 1001 + Aws.REGION}, "description of Api must be at most 1000",
         "shorten it"),
        ({"managed_policies": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]},
         "managed_policies of Api must be an iam.IManagedPolicy", "from_managed_policy_arn"),
        ({"permissions_boundary": "arn:aws:iam::111122223333:policy/B"},
         "permissions_boundary of Api must be an iam.IManagedPolicy", "from_managed_policy_arn"),
        ({"trusts": [{"service_accounts": ["apps/api"]}]}, "trusts of Api must be Trust objects",
         "write Trust(...)"),
        ({"oidc_provider": f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"},
         "oidc_provider must be an IAM OIDC provider, got 'arn:", "EksOidcProvider"),
        ({"service_accounts": (account for account in ["apps/default"])},
         "service account must not be 'apps/default'", "allow_default_service_account"),
        ({"tags": {f"k{n}": "v" for n in range(51)}}, "tags of Api must be at most 50", "remove"),
        ({"service_accounts": [f"namespace/account-{n:03}" for n in range(60)]},
         "trust policy of Api must be at most 2048", "pass trust_policy_characters"),
        ({"trust_policy_characters": 9_000}, "trust_policy_characters must be 2048-8192", "quota"),
        ({"inline_policies": {"Big": {"Statement": [{"Sid": "x" * 10_240}]}}},
         "inline policies of Api must be at most 10240", "managed_policies"),
        ({"oidc_provider": None}, "oidc_provider must be given with service_accounts", "Eks"),
        ({"oidc_provider": None, "service_accounts": []}, "oidc_provider must be given", "trusts"),
    ],
)  # fmt: skip
def test_refuses_a_mistake_and_names_its_fix(stack, literal_provider, kwargs, rule, fix):
    faults = faults_of(stack, literal_provider, **kwargs)
    assert [fault for fault in faults if fault.startswith(rule) and fix in fault], faults


def test_reports_every_fault_at_once(stack, literal_provider):
    faults = faults_of(
        stack,
        literal_provider,
        service_accounts=["Apps/api", "apps/*"],
        role_name="r" * 65,
        path="payments",
        description="→",
    )
    assert len(faults) == 5


def test_a_larger_quota_makes_room(stack, literal_provider):
    accounts = [f"namespace/account-{number:03}" for number in range(60)]
    role_for(stack, literal_provider, service_accounts=accounts, trust_policy_characters=4_096)
    assert len(deployed(template_of(stack)).only_role()["Statement"]) == 1


def test_the_default_account_may_be_asked_for_by_name(stack, literal_provider):
    role = role_for(
        stack,
        literal_provider,
        service_accounts=["apps/default"],
        allow_default_service_account=True,
    )
    assert role.service_accounts[0].name == "default"


@pytest.mark.parametrize(
    ("arn", "rule"),
    [
        ("arn:aws:iam::111122223333:oidc-provider/" + ISSUER, "must be in partition aws-cn"),
        ("arn:aws-cn:iam::111122223333:oidc-provider:" + ISSUER, "replace the last colon"),
        ("arn:aws-cn:iam::444455556666:oidc-provider/" + ISSUER, "must be in account 111122223333"),
        ("arn:PARTITION:iam::444455556666:oidc-provider/" + ISSUER, "must be in account 1111222"),
    ],
)
def test_a_provider_that_the_role_could_never_trust_is_refused(arn, rule):
    app = app_with_flags()
    stack = Stack(app, "Stack", env=Environment(account="111122223333", region="cn-north-1"))
    arn = arn.replace("PARTITION", Aws.PARTITION)
    provider = aws_iam.OpenIdConnectProvider.from_open_id_connect_provider_arn(stack, "P", arn)
    assert any(rule in fault for fault in faults_of(stack, provider))


# What the role is


def test_properties_reach_the_template(stack, literal_provider):
    role_for(
        stack,
        literal_provider,
        role_name="api",
        path="/payments/",
        description="For the API",
        max_session_duration=Duration.hours(2),
        permissions_boundary=aws_iam.ManagedPolicy.from_managed_policy_arn(
            stack, "Boundary", "arn:aws:iam::111122223333:policy/boundary"
        ),
        inline_policies={"Read": {"Version": "2012-10-17", "Statement": []}},
    )
    properties = irsa_role(template_of(stack))
    assert properties["RoleName"] == "api"
    assert properties["Path"] == "/payments/"
    assert properties["Description"] == "For the API"
    assert properties["MaxSessionDuration"] == 7200
    assert properties["PermissionsBoundary"] == "arn:aws:iam::111122223333:policy/boundary"
    assert properties["Policies"][0]["PolicyName"] == "Read"


def test_a_bare_role_has_no_empty_properties(stack, literal_provider):
    role_for(stack, literal_provider)
    assert set(irsa_role(template_of(stack))) == {"AssumeRolePolicyDocument", "Tags"}


def test_knows_whom_it_trusts(stack, literal_provider):
    role = role_for(stack, literal_provider, service_accounts=["apps/api", "apps/worker"])
    assert [str(account) for account in role.service_accounts] == ["apps/api", "apps/worker"]


def test_the_trust_policy_can_be_read_back(stack, literal_provider):
    [statement] = role_for(stack, literal_provider).trust_policy["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"


# What an aspect or an override does to it


EVERYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


@pytest.mark.parametrize(
    "change",
    [
        lambda role: role.add_property_override(
            "AssumeRolePolicyDocument.Statement.1", EVERYBODY["Statement"][0]
        ),
        lambda role: role.add_override("Properties.AssumeRolePolicyDocument", EVERYBODY),
        lambda role: role.add_override("Properties", {"AssumeRolePolicyDocument": EVERYBODY}),
        lambda role: role.add_deletion_override(
            "Properties.AssumeRolePolicyDocument.Statement.0.Condition"
        ),
        lambda role: role.add_property_deletion_override(
            "AssumeRolePolicyDocument.Statement.0.Condition"
        ),
        lambda role: setattr(role, "assume_role_policy_document", EVERYBODY),
    ],
)
def test_refuses_a_trust_policy_that_is_not_the_one_asked_for(stack, provider, change):
    change(role_for(stack, provider).node.default_child)
    with pytest.raises(RuntimeError, match="trust policy of Api must be the one that was asked"):
        template_of(stack)


def test_refuses_what_an_aspect_did_to_its_trust_policy(stack, provider):
    @jsii.implements(IAspect)
    class Opening:
        def visit(self, node):
            if isinstance(node, aws_iam.CfnRole):
                node.assume_role_policy_document = EVERYBODY

    role_for(stack, provider)
    Aspects.of(stack).add(Opening())
    with pytest.raises(RuntimeError, match="trust policy of Api must be the one that was asked"):
        template_of(stack)


def test_other_overrides_are_the_users_own(stack, provider):
    role = role_for(stack, provider, trusts=[])
    role.node.default_child.add_property_override("Description", "of my own")
    role.add_trust(
        Trust(
            oidc_provider=EksOidcProvider(stack, "Other", issuer_url=f"https://{OTHER_ISSUER}"),
            service_accounts=["apps/api"],
        )
    )
    template_of(stack)


@pytest.mark.parametrize(
    ("pattern", "allowed", "may"),
    [
        ("apps/*", False, False),
        ("apps/def*", False, False),
        ("apps/d?fault", False, False),
        ("system:serviceaccount:apps:?*", False, False),
        ("apps/*", True, True),
        ("apps/build-*", False, False),
    ],
)
def test_a_pattern_lets_in_the_default_account_only_if_allowed(
    stack, literal_provider, pattern, allowed, may
):
    role = role_for(
        stack,
        literal_provider,
        subject_patterns=[pattern, "apps/build-*"] if pattern != "apps/build-*" else [pattern],
        allow_default_service_account=allowed,
    )
    arn = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
    policy = json.loads(
        json.dumps(role.trust_policy).replace(
            role.trust_policy["Statement"][0]["Principal"]["Federated"], arn
        )
    )

    def may_enter(name):
        claims = {"sub": f"system:serviceaccount:apps:{name}", "aud": "sts.amazonaws.com"}
        return may_assume(policy, provider_arn=arn, claims=claims)

    assert may_enter("default") is may
    assert may_enter("build-1")
    assert ("StringNotEquals" in json.dumps(policy)) is (pattern != "apps/build-*" and not allowed)
