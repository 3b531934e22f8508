import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Template

from irsa_stack import FunctionNetwork, FunctionSettings, InvalidInput
from irsa_stack.handler_function import HandlerFunction


@pytest.fixture
def stack():
    return Stack(App(), "app")


def define(stack, **more):
    return HandlerFunction(
        stack,
        "Function",
        handler="service_accounts.on_event.handle",
        description="Binds",
        timeout=Duration.minutes(15),
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
    define(stack, settings=FunctionSettings(encryption_key=key), environment={"A": "b"})
    function = only(stack, "AWS::Lambda::Function")["Properties"]
    assert function["KmsKeyArn"] == key.key_arn
    assert function["Environment"] == {"Variables": {"A": "b"}}
    assert only(stack, "AWS::Logs::LogGroup")["Properties"]["KmsKeyId"] == key.key_arn


def test_is_made_after_its_role(stack):
    define(stack)
    [role] = Template.from_stack(stack).find_resources("AWS::IAM::Role")
    assert only(stack, "AWS::Lambda::Function")["DependsOn"] == [role]
