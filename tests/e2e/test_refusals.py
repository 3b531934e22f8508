"""The rehearsal refuses what AWS refuses, and is as late as AWS when asked to."""

import contextlib
import itertools
import json
import ssl
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError, WaiterError

from kubernetes_api.eks_token import eks_token
from rehearsal.account import ACCOUNT_ID, REGION, Credentials, account
from rehearsal.kubernetes import NEWEST

CLUSTER = "shop"
_serial = itertools.count(1)

# Answers CloudFormation, and leaves a parameter for each time it runs.
CODE = """
import boto3, json, time, urllib.request, uuid

def run(event, context):
    asked = event["ResourceProperties"]
    boto3.client("ssm").put_parameter(
        Name=f"/{asked['Name']}/{event['RequestType']}/{uuid.uuid4()}", Value="ran", Type="String"
    )
    if asked.get("Crashes") and event["RequestType"] == "Create":
        raise RuntimeError("crash")
    if event["RequestType"] == "Create":
        time.sleep(float(asked.get("Seconds", "0")))
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": event.get("PhysicalResourceId", "made")}
    body = json.dumps(answer).encode()
    request = urllib.request.Request(
        event["ResponseURL"], body, method="PUT", headers={"Content-Type": ""}
    )
    urllib.request.urlopen(request)
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {
                "AWS": f"arn:aws:iam::{ACCOUNT_ID}:root",
                "Service": "lambda.amazonaws.com",
            },
            "Action": "sts:AssumeRole",
        }
    ],
}
MAY_PUT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ssm:PutParameter", "Resource": "*"}],
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with account(tmp_path_factory.mktemp("refusals") / "run", kubernetes=None) as made:
        yield made


@pytest.fixture(autouse=True)
def _at_once(aws):
    yield
    aws.slow()


@pytest.fixture
def stack(aws):
    return Stack(aws, f"stack-{next(_serial)}")


class Stack:
    """A stack of templates written by hand."""

    def __init__(self, aws, name):
        self.name, self._client, self._aws = name, aws.client("cloudformation"), aws

    def put(self, resources, *, outputs=None, tags=()):
        """Create or update it, and return the status that it ends in."""
        template = {"Resources": resources, "Outputs": outputs or {}}
        request = {
            "StackName": self.name,
            "TemplateBody": json.dumps(template),
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": key, "Value": value} for key, value in tags],
        }
        verb = "update" if self._exists() else "create"
        getattr(self._client, f"{verb}_stack")(**request)
        waiter = self._client.get_waiter(f"stack_{verb}_complete")
        with contextlib.suppress(WaiterError):
            waiter.wait(StackName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        return self._client.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]

    def delete(self):
        self._client.delete_stack(StackName=self.name)
        waiter = self._client.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def reasons(self):
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)

    def runs(self, request_type):
        """How often its function was asked that."""
        found = self._aws.client("ssm").get_parameters_by_path(
            Path=f"/{self.name}/{request_type}", Recursive=True
        )
        return len(found["Parameters"])

    def _exists(self):
        try:
            self._client.describe_stacks(StackName=self.name)
        except ClientError:
            return False
        return True


def vpc(block="10.0.0.0/16"):
    return {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": block}}


def subnet(letter, block):
    return {
        "Type": "AWS::EC2::Subnet",
        "Properties": {
            "VpcId": {"Ref": "Vpc"},
            "CidrBlock": block,
            "AvailabilityZone": f"us-east-1{letter}",
        },
    }


def log_group(name):
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}}


def role():
    policy = {"PolicyName": "Put", "PolicyDocument": MAY_PUT}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": TRUST, "Policies": [policy]},
    }


def function(stack, *, retries=None, oldest=None, **properties):
    """A custom resource and all that it needs."""
    made = {
        "Role": role(),
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.14",
                "Handler": "index.run",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Timeout": 30,
                "Code": {"ZipFile": CODE},
            },
        },
        "Thing": {
            "Type": "Custom::Thing",
            "DependsOn": ["Events"] if retries is not None else [],
            "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
                "ServiceTimeout": 20,
                "Name": stack.name,
                **properties,
            },
        },
    }
    if retries is not None:
        made["Events"] = {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": retries,
                "MaximumEventAgeInSeconds": oldest or 60,
            },
        }
    return made


def cluster(**properties):
    return {
        "Role": role(),
        "Vpc": vpc(),
        "A": subnet("a", "10.0.0.0/24"),
        "B": subnet("b", "10.0.1.0/24"),
        "C": subnet("c", "10.0.2.0/24"),
        "Cluster": {
            "Type": "AWS::EKS::Cluster",
            "Properties": {
                "Name": CLUSTER,
                "Version": "1.35",
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "ResourcesVpcConfig": {"SubnetIds": [{"Ref": "A"}, {"Ref": "B"}]},
                "Logging": {"ClusterLogging": {"EnabledTypes": [{"Type": "audit"}]}},
                **properties,
            },
        },
    }


def test_an_update_that_aws_refuses_rolls_back_with_its_words(aws, stack):
    exported = {"Id": {"Value": {"Ref": "Vpc"}, "Export": {"Name": f"{stack.name}:Id"}}}
    assert stack.put({"Vpc": vpc()}, outputs=exported) == "CREATE_COMPLETE"
    user = Stack(aws, f"{stack.name}-user")
    group = log_group("/orders")
    group["Properties"]["LogGroupName"] = {
        "Fn::Join": ["", ["/vpc/", {"Fn::ImportValue": f"{stack.name}:Id"}]]
    }
    assert user.put({"Logs": group}) == "CREATE_COMPLETE"
    assert stack.put({"Vpc": vpc(), "Logs": log_group("/new")}) == "UPDATE_ROLLBACK_COMPLETE"
    assert f"Export {stack.name}:Id cannot be deleted as it is in use by" in stack.reasons()
    assert (
        stack.put({"Vpc": vpc(), "Logs": log_group("/new")}, outputs=exported) == "UPDATE_COMPLETE"
    )


def test_a_stack_that_aws_refuses_leaves_nothing(aws, stack):
    before = aws.client("ec2").describe_vpcs()["Vpcs"]
    assert stack.put(cluster(Version="1.31")) == "ROLLBACK_COMPLETE"
    assert "unsupported Kubernetes version" in stack.reasons()
    assert aws.client("ec2").describe_vpcs()["Vpcs"] == before


def test_a_cluster_keeps_its_zones(stack):
    assert stack.put(cluster()) == "CREATE_COMPLETE"
    moved = {"SubnetIds": [{"Ref": "A"}, {"Ref": "C"}]}
    assert stack.put(cluster(ResourcesVpcConfig=moved)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "exact set of AZs 'us-east-1a,us-east-1b'" in stack.reasons()
    stack.delete()


def test_a_log_group_that_is_there_is_not_taken_over(aws, stack):
    aws.client("logs").create_log_group(logGroupName="/taken")
    assert stack.put({"Logs": log_group("/taken")}) == "ROLLBACK_COMPLETE"
    assert "already exists" in stack.reasons()


def test_eks_makes_its_log_group_again_after_the_cluster_is_gone(aws, stack):
    aws.slow(log_group=1)
    with_logs = {**cluster(), "Logs": log_group(f"/aws/eks/{CLUSTER}/cluster")}
    assert stack.put(with_logs) == "CREATE_COMPLETE"
    stack.delete()
    time.sleep(2)
    again = Stack(aws, f"{stack.name}-again")
    assert again.put(with_logs) == "ROLLBACK_COMPLETE"
    assert f"/aws/eks/{CLUSTER}/cluster" in again.reasons()
    aws.client("logs").delete_log_group(logGroupName=f"/aws/eks/{CLUSTER}/cluster")


def test_an_event_may_come_twice(aws, stack):
    aws.slow(copies=2)
    assert stack.put(function(stack)) == "CREATE_COMPLETE"
    time.sleep(2)
    assert stack.runs("Create") == 2


def test_an_event_may_come_late(aws, stack):
    aws.slow(events=2)
    began = time.monotonic()
    assert stack.put(function(stack)) == "CREATE_COMPLETE"
    assert time.monotonic() - began > 2


@pytest.mark.parametrize(("retries", "runs"), [(None, 3), (1, 2), (0, 1)])
def test_a_crash_is_tried_again_as_often_as_the_function_says(stack, retries, runs):
    assert stack.put(function(stack, retries=retries, Crashes="yes")) == "ROLLBACK_COMPLETE"
    assert stack.runs("Create") == runs


@pytest.mark.parametrize(("oldest", "runs"), [(60, 0), (300, 1)])
def test_an_event_that_waited_too_long_is_dropped(aws, stack, oldest, runs):
    aws.slow(waited=100)
    stack.put(function(stack, retries=0, oldest=oldest))
    assert stack.runs("Create") == runs


def test_a_cancelled_create_gets_its_delete_while_the_function_runs(aws, stack):
    aws.slow(cancelled="Thing", cancelled_after=2)
    assert stack.put(function(stack, ServiceTimeout=30, Seconds="4")) == "ROLLBACK_COMPLETE"
    assert "Resource creation cancelled" in stack.reasons()
    assert stack.runs("Create") == 1
    assert stack.runs("Delete") >= 1


def test_a_policy_shows_before_it_has_an_effect(aws):
    iam, name = aws.client("iam"), f"role-{next(_serial)}"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    policy = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(MAY_PUT))["Policy"]["Arn"]
    answer = aws.client("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="one")
    parameters = aws.client("ssm", Credentials.of(answer))
    time.sleep(4)
    aws.slow(iam=3)
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    listed = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in listed] == [policy]
    with pytest.raises(ClientError, match="not authorized"):
        parameters.put_parameter(Name=f"/{name}", Value="put", Type="String")
    time.sleep(3.5)
    parameters.put_parameter(Name=f"/{name}", Value="put", Type="String")


def test_the_list_of_a_roles_policies_is_older(aws):
    iam, name = aws.client("iam"), f"role-{next(_serial)}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    policy = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(MAY_PUT))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    time.sleep(2.5)
    aws.slow(iam_lists=2)
    iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    time.sleep(2.5)
    assert not iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]


@pytest.fixture(scope="module")
def with_kubernetes(tmp_path_factory):
    with account(tmp_path_factory.mktemp("settling") / "run", kubernetes=NEWEST) as made:
        yield made


def test_an_access_entry_lets_in_late_and_its_policy_later_still(with_kubernetes, monkeypatch):
    aws = with_kubernetes
    arn = aws.client("iam").create_role(
        RoleName="viewer", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    assert Stack(aws, "cluster").put(cluster()) == "CREATE_COMPLETE"
    answer = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", answer["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", answer["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", answer["SessionToken"])
    aws.slow(sign_in=4, permissions=9)
    entry = {"clusterName": CLUSTER, "principalArn": arn}
    aws.client("eks").create_access_entry(**entry)
    aws.client("eks").associate_access_policy(
        **entry,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        accessScope={"type": "cluster"},
    )
    seen = []
    ends_at = time.monotonic() + 60
    while seen[-1:] != [200] and time.monotonic() < ends_at:
        seen.append(status(aws.kubernetes, eks_token(CLUSTER, REGION)))
        time.sleep(1)
    assert [code for code, _ in itertools.groupby(seen)] == [401, 403, 200]


def status(plane, token):
    """What the API server answers to whoever has that token."""
    context = ssl.create_default_context(cafile=str(plane.authority.certificate))
    request = urllib.request.Request(  # noqa: S310 (https)
        f"{plane.endpoint}/api/v1/namespaces/default/pods",
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 (https)
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
