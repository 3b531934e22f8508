import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Template

from irsa_stack import FunctionOptions, InvalidInput, RoleDefaults
from irsa_stack.cdk.handler_function import FunctionNetwork, HandlerFunction


@pytest.fixture
def stack():
    return Stack(App(), "app")


def define(stack, **more):
    return HandlerFunction(
        stack,
        "Function",
        handler="service_accounts.on_event.handle",
        description="Binds",
        timeout=900,
        service_timeout=Duration.minutes(20),
        **more,
    )


def only(stack, kind):
    [found] = Template.from_stack(stack).find_resources(kind).values()
    return found


def network(stack, **subnets):
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, restrict_default_security_group=False)
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")
    return FunctionNetwork(
        vpc=vpc,
        security_groups=[group],
        subnets=ec2.SubnetSelection(**subnets) if subnets else None,
    )


def test_runs_outside_any_vpc_by_default(stack):
    define(stack)
    assert "VpcConfig" not in only(stack, "AWS::Lambda::Function")["Properties"]


def test_runs_in_the_private_subnets_of_its_network(stack):
    define(stack, network=network(stack))
    placed = only(stack, "AWS::Lambda::Function")["Properties"]["VpcConfig"]
    assert placed["SecurityGroupIds"] == ["sg-0123456789abcdef0"]
    assert all(subnet["Ref"].startswith("VpcPrivateSubnet") for subnet in placed["SubnetIds"]), (
        placed
    )
    assert len(placed["SubnetIds"]) == 2


def test_is_called_after_the_nat_gateway_has_its_route(stack):
    define(stack, network=network(stack))
    waits_for = only(stack, "AWS::Lambda::Function")["DependsOn"]
    assert [name for name in waits_for if "PrivateSubnet1DefaultRoute" in name]


def test_refuses_a_public_subnet(stack):
    with pytest.raises(InvalidInput, match="subnets must be private, got a public one"):
        define(stack, network=network(stack, subnet_type=ec2.SubnetType.PUBLIC))


def test_environment_and_logs_are_encrypted_with_the_key_of_the_settings(stack):
    key = kms.Key.from_key_arn(
        stack, "Key", "arn:aws:kms:eu-west-1:111122223333:key/0b5b1e5c-0000-4000-8000-000000000000"
    )
    define(stack, functions=FunctionOptions(encryption_key=key), environment={"A": "b"})
    function = only(stack, "AWS::Lambda::Function")["Properties"]
    assert function["KmsKeyArn"] == key.key_arn
    assert function["Environment"] == {"Variables": {"A": "b"}}
    assert only(stack, "AWS::Logs::LogGroup")["Properties"]["KmsKeyId"] == key.key_arn


def test_runs_as_its_own_role(stack):
    define(stack)
    [role] = Template.from_stack(stack).find_resources("AWS::IAM::Role")
    function = only(stack, "AWS::Lambda::Function")
    assert function["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}


def test_is_made_after_a_role_handed_in_may_write_logs(stack):
    role = iam.Role(stack, "Own", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    define(stack, role=role)
    [policy] = Template.from_stack(stack).find_resources("AWS::IAM::Policy")
    assert policy in only(stack, "AWS::Lambda::Function")["DependsOn"]


def statements(stack):
    [policy] = only(stack, "AWS::IAM::Role")["Properties"]["Policies"]
    return policy["PolicyDocument"]["Statement"]


def test_is_four_resources(stack):
    define(stack)
    types = [body["Type"] for body in Template.from_stack(stack).to_json()["Resources"].values()]
    assert sorted(types) == [
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
    ]


def test_runs_on_a_current_python_on_arm(stack):
    define(stack)
    function = only(stack, "AWS::Lambda::Function")["Properties"]
    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])


def test_its_logs_are_kept_a_month_and_go_with_the_stack(stack):
    define(stack)
    group = only(stack, "AWS::Logs::LogGroup")
    assert group["Properties"]["RetentionInDays"] == 30
    assert group["DeletionPolicy"] == "Delete"


def test_its_role_may_write_its_own_logs_and_nothing_else(stack):
    define(stack)
    [statement] = statements(stack)
    [log_group] = Template.from_stack(stack).find_resources("AWS::Logs::LogGroup")
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == {"Fn::GetAtt": [log_group, "Arn"]}


def test_retention_boundary_and_path_of_the_settings_reach_it(stack):
    boundary = iam.ManagedPolicy.from_managed_policy_arn(
        stack, "Boundary", "arn:aws:iam::111122223333:policy/boundary"
    )
    define(
        stack,
        functions=FunctionOptions(log_retention=logs.RetentionDays.ONE_WEEK),
        roles=RoleDefaults(permissions_boundary=boundary, path="/team/"),
    )
    role = only(stack, "AWS::IAM::Role")["Properties"]
    assert (role["Path"], role["PermissionsBoundary"]) == ("/team/", boundary.managed_policy_arn)
    assert only(stack, "AWS::Logs::LogGroup")["Properties"]["RetentionInDays"] == 7


def test_in_a_vpc_its_role_may_have_network_interfaces(stack):
    define(stack, network=network(stack))
    policy = only(stack, "AWS::IAM::RolePolicy")["Properties"]
    assert "ec2:CreateNetworkInterface" in str(policy["PolicyDocument"])
    assert policy["RoleName"]["Ref"].startswith("FunctionRole")


def test_a_role_handed_in_gets_the_right_to_write_logs_and_nothing_else(stack):
    role = iam.Role(stack, "Own", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    define(stack, role=role)
    [statement] = only(stack, "AWS::IAM::Policy")["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]


def test_a_role_handed_in_may_have_network_interfaces_in_a_vpc(stack):
    role = iam.Role(stack, "Own", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    define(stack, role=role, network=network(stack))
    policies = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    assert any("ec2:CreateNetworkInterface" in str(policy) for policy in policies)


def test_no_event_may_begin_that_could_outlast_its_resource(stack):
    define(stack)
    events = only(stack, "AWS::Lambda::EventInvokeConfig")["Properties"]
    assert events["MaximumEventAgeInSeconds"] == 20 * 60 - 900
    assert events["MaximumRetryAttempts"] == 0
    assert events["Qualifier"] == "$LATEST"


def test_what_lambda_asks_in_a_vpc_is_a_policy_that_leaves_after_the_function(stack):
    define(stack, network=network(stack))
    template = Template.from_stack(stack).to_json()["Resources"]
    [policy] = [name for name, body in template.items() if body["Type"] == "AWS::IAM::RolePolicy"]
    [function] = [body for body in template.values() if body["Type"] == "AWS::Lambda::Function"]
    assert policy in function["DependsOn"]
