import json

import pytest
from aws_cdk import CfnResource, Duration, Stack, aws_ec2, aws_iam, aws_s3

from irsa_stack import InvalidInput, Ownership
from tests.support.clusters import connection, service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import COMMERCIAL, Deployment


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def accounts(stack):
    return service_accounts(stack)


def of_type(template, resource_type):
    return [body for body in template["Resources"].values() if body["Type"] == resource_type]


def resolved(template, value):
    return Deployment({"Stack": template}, COMMERCIAL).value("Stack", value)


def batches(template):
    """What the function gets, every batch."""
    return [
        resolved(template, body["Properties"]["ServiceAccounts"])
        for body in of_type(template, "Custom::ServiceAccounts")
    ]


def only_batch(stack):
    [batch] = batches(template_of(stack))
    return batch


def access(stack):
    template = template_of(stack)
    [entry] = of_type(template, "AWS::EKS::AccessEntry")
    [policy] = resolved(template, entry["Properties"]["AccessPolicies"])
    return policy["PolicyArn"].rpartition("/")[2], policy["AccessScope"]


def faults_of(accounts, **kwargs):
    with pytest.raises(InvalidInput) as caught:
        accounts.add("Api", **({"namespace": "apps", "name": "api"} | kwargs))
    return caught.value.faults


# What is synthesised


def test_no_account_synthesises_nothing(stack, accounts):
    assert accounts.accounts == {}
    assert not template_of(stack).get("Resources")


@pytest.mark.parametrize("count", [1, 2, 50])
def test_one_custom_resource_binds_all_accounts(stack, accounts, count):
    for number in range(count):
        accounts.add(f"Account{number}", namespace="apps", name=f"account-{number}")
    template = template_of(stack)
    assert len(of_type(template, "Custom::ServiceAccounts")) == 1
    assert len(only_batch(stack)) == count


def test_an_account_costs_one_resource():
    def resources(names):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for name in names:
            accounts.add(name, namespace="apps", name=name)
        return len(template_of(stack)["Resources"])

    assert resources(["a", "b", "c"]) - resources(["a", "b"]) == 1


def test_the_order_of_adding_changes_nothing():
    def batch(names):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for name in names:
            accounts.add(name, namespace="apps", name=name)
        [custom] = of_type(template_of(stack), "Custom::ServiceAccounts")
        return json.dumps(custom["Properties"]["ServiceAccounts"])

    assert batch(["c", "a", "b"]) == batch(["a", "b", "c"])


def test_an_account_that_comes_changes_one_entry():
    def batch(names):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for name in names:
            accounts.add(name, namespace="apps", name=name)
        return only_batch(stack)

    before, after = batch(["a", "c"]), batch(["a", "b", "c"])
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"apps/b"}


def test_batches_split_before_an_update_could_not_be_sent(stack, accounts):
    for number in range(120):
        accounts.add(
            f"Account{number}",
            namespace="apps",
            name=f"account-{number}",
            annotations={"note": "x" * 2_000},
        )
    found = batches(template_of(stack))
    assert len(found) > 1
    assert sum(map(len, found)) == 120
    # Old and new properties travel in one invocation of at most 256 KiB.
    assert all(2 * len(json.dumps(batch)) < 256 * 1024 for batch in found)


def test_no_neighbour_moves_an_account_to_another_batch():
    def placed(count):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for number in range(count):
            accounts.add(
                f"Account{number}", namespace="apps", name=f"account-{number}",
                annotations={"note": "x" * 2_000},
            )  # fmt: skip
        return {
            key: position
            for position, batch in enumerate(batches(template_of(stack)))
            for key in batch
        }

    fewer, more = placed(60), placed(61)
    assert max(fewer.values()) == max(more.values())
    assert {key: more[key] for key in fewer} == fewer


def test_the_roles_exist_before_they_are_bound(stack, accounts):
    accounts.add("Api", namespace="apps", name="api")
    template = template_of(stack)
    [custom] = of_type(template, "Custom::ServiceAccounts")
    [role] = Deployment({"Stack": template}).web_identity_roles()
    assert role in json.dumps(custom["Properties"]["ServiceAccounts"])


def test_a_grant_exists_before_pods_can_find_the_account(stack, accounts):
    api = accounts.add("Api", namespace="apps", name="api")
    aws_s3.Bucket(stack, "Bucket").grant_read(api)
    template = template_of(stack)
    [custom] = of_type(template, "Custom::ServiceAccounts")
    [policy] = [
        key for key, body in template["Resources"].items() if body["Type"] == "AWS::IAM::Policy"
    ]
    assert policy in custom["DependsOn"]


def test_a_workload_can_come_after_its_account(stack, accounts):
    api = accounts.add("Api", namespace="apps", name="api")
    workload = CfnResource(stack, "Workload", type="AWS::CloudFormation::WaitConditionHandle")
    workload.node.add_dependency(api.binding)
    template = template_of(stack)
    assert any("Batch" in key for key in template["Resources"]["Workload"]["DependsOn"])


# Ownership


def test_a_common_account_is_its_role_and_nothing_more(stack, accounts):
    api = accounts.add("Api", namespace="apps", name="api")
    entry = only_batch(stack)["apps/api"]
    assert entry == resolved(template_of(stack), stack.resolve(api.role_arn))


def test_an_adopted_account_carries_our_annotations_and_no_mark_of_ours(stack, accounts):
    accounts.add("Api", namespace="apps", name="api", ownership=Ownership.ADOPT, force=True)
    entry = only_batch(stack)["apps/api"]
    assert (entry["Ownership"], entry["Force"]) == ("ADOPT", "true")
    assert "labels" not in entry["Manifest"]["metadata"]


@pytest.mark.parametrize("ownership", [Ownership.HELM, Ownership.NONE])
def test_accounts_of_others_reach_no_function(stack, accounts, ownership):
    accounts.add("Api", namespace="apps", name="api", ownership=ownership)
    assert {body["Type"] for body in template_of(stack)["Resources"].values()} == {"AWS::IAM::Role"}


def test_a_chart_gets_the_values_that_make_its_account(accounts):
    api = accounts.add(
        "Api", namespace="apps", name="api", ownership=Ownership.HELM,
        helm_values_path="controller.serviceAccount",
    )  # fmt: skip
    values = api.helm_values["controller"]["serviceAccount"]
    assert (values["create"], values["name"]) == (True, "api")
    assert values["annotations"]["eks.amazonaws.com/role-arn"] == api.role_arn


def test_a_chart_gets_the_name_of_an_account_that_is_made_here(accounts):
    api = accounts.add("Api", namespace="apps", name="api")
    assert api.helm_values == {"serviceAccount": {"create": False, "name": "api"}}


def test_what_is_special_about_an_account_reaches_the_function(stack, accounts):
    accounts.add(
        "Api",
        namespace="apps",
        name="api",
        restart=["deployment/api"],
        labels={"app": "api"},
        annotations={"note": "hello"},
        create_namespace=True,
        token_expiration=Duration.hours(1),
        regional_sts=False,
        audience="vault",
    )
    entry = only_batch(stack)["apps/api"]
    annotations = entry["Manifest"]["metadata"]["annotations"]
    assert entry["Restart"] == ["deployment/api"]
    assert entry["CreateNamespace"] == "true"
    assert entry["Manifest"]["metadata"]["labels"] == {
        "app": "api",
        "app.kubernetes.io/managed-by": "irsa-stack",
    }
    assert annotations["eks.amazonaws.com/token-expiration"] == "3600"
    assert annotations["eks.amazonaws.com/sts-regional-endpoints"] == "false"
    assert annotations["eks.amazonaws.com/audience"] == "vault"
    assert annotations["note"] == "hello"


def test_an_existing_role_is_bound_by_its_arn(stack, accounts):
    arn = "arn:aws:iam::444455556666:role/api"
    api = accounts.add("Api", namespace="apps", name="api", role_arn=arn)
    assert only_batch(stack)["apps/api"] == arn
    with pytest.raises(AttributeError, match="grant where that role is defined"):
        _ = api.role


# Access to the cluster


def test_the_function_enters_only_the_namespaces_that_it_binds(stack, accounts):
    accounts.add("Api", namespace="apps", name="api")
    accounts.add("Job", namespace="batch", name="job")
    assert access(stack) == (
        "AmazonEKSEditPolicy",
        {"Type": "namespace", "Namespaces": ["apps", "batch"]},
    )


def test_creating_a_namespace_takes_the_whole_cluster(stack, accounts):
    accounts.add("Api", namespace="apps", name="api", create_namespace=True)
    assert access(stack) == ("AmazonEKSClusterAdminPolicy", {"Type": "cluster"})


def test_a_namespace_may_stay_open_for_the_removal_of_its_last_account(stack):
    accounts = service_accounts(stack, namespaces=["old"])
    accounts.add("Api", namespace="apps", name="api")
    assert access(stack)[1]["Namespaces"] == ["apps", "old"]


def test_the_function_has_access_before_it_is_called(stack, accounts):
    accounts.add("Api", namespace="apps", name="api")
    [custom] = of_type(template_of(stack), "Custom::ServiceAccounts")
    assert any("Access" in key for key in custom["DependsOn"])


def test_a_role_handed_in_needs_no_access_entry(stack):
    role = aws_iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/binder")
    service_accounts(stack, handler_role=role).add("Api", namespace="apps", name="api")
    assert not of_type(template_of(stack), "AWS::EKS::AccessEntry")


def test_the_functions_role_may_only_write_its_logs_and_see_its_cluster(stack, accounts):
    accounts.add("Api", namespace="apps", name="api")
    [role] = [
        body["Properties"]
        for body in of_type(template_of(stack), "AWS::IAM::Role")
        if "lambda.amazonaws.com" in json.dumps(body)
    ]
    [policy] = role["Policies"]
    logs, describe = policy["PolicyDocument"]["Statement"]
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert describe["Action"] == "eks:DescribeCluster"
    assert json.dumps(describe["Resource"]).endswith('":cluster/payments-prod"]]}')
    assert "ManagedPolicyArns" not in role


def test_the_function_runs_where_a_private_endpoint_is_reached(stack):
    vpc = aws_ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )  # fmt: skip
    group = aws_ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
    cluster = connection(vpc=vpc, security_groups=[group])
    service_accounts(stack, cluster=cluster).add("Api", namespace="apps", name="api")
    [function] = of_type(template_of(stack), "AWS::Lambda::Function")
    assert function["Properties"]["VpcConfig"] == {
        "SubnetIds": ["subnet-1", "subnet-2"],
        "SecurityGroupIds": ["sg-1"],
    }


# The role


def test_the_roles_tags_name_the_account_and_the_cluster(stack, accounts):
    accounts.add("Api", namespace="apps", name="api")
    [role] = Deployment({"Stack": template_of(stack)}).web_identity_roles().values()
    assert role.tags == {
        "ServiceAccountName": "api",
        "ServiceAccountNamespace": "apps",
        "ClusterName": "payments-prod",
    }


def test_boundary_and_path_reach_every_role(stack):
    boundary = aws_iam.ManagedPolicy.from_managed_policy_arn(
        stack, "Boundary", "arn:aws:iam::111122223333:policy/boundary"
    )
    accounts = service_accounts(stack, permissions_boundary=boundary, path="/team/")
    accounts.add("Api", namespace="apps", name="api")
    roles = of_type(template_of(stack), "AWS::IAM::Role")
    assert len(roles) == 2
    for role in roles:
        assert role["Properties"]["Path"] == "/team/"
        assert role["Properties"]["PermissionsBoundary"].endswith("policy/boundary")


def test_another_audience_is_tested_in_the_trust_policy(stack, accounts):
    accounts.add("Api", namespace="apps", name="api", audience="vault")
    [role] = Deployment({"Stack": template_of(stack)}).web_identity_roles().values()
    assert role.tested("aud") == {"StringEquals": "vault"}


# Mistakes


@pytest.mark.parametrize(
    ("kwargs", "rule", "fix"),
    [
        ({"namespace": "team-*"}, "namespace must be one exact name", "list the namespaces"),
        ({"name": "*"}, "service account name must be one exact", "list the accounts"),
        ({"name": "default"}, "service account must not be 'apps/default'", "allow_default"),
        (
            {"token_expiration": Duration.minutes(5)},
            "token_expiration must be 600-86400",
            "webhook",
        ),
        ({"labels": {"a b": "c"}}, "labels must have keys", "63 letters"),
        ({"annotations": {"eks.amazonaws.com/role-arn": "x"}}, "annotations must not hold", "ours"),
        ({"restart": "deployment/api"}, "restart must be a list", "put it in brackets"),
        ({"restart": ["pod/api"]}, "restart must name workloads", "correct it"),
        ({"restart": ["*"], "ownership": Ownership.HELM}, "restart must go with CREATE", "chart"),
        ({"force": True}, "force must go with ADOPT, got CREATE", "remove it"),
        (
            {"create_namespace": True, "ownership": Ownership.NONE},
            "create_namespace must go",
            "rem",
        ),
        ({"role_arn": "arn:aws:iam::111122223333:role:api"}, "role_arn must be written", "slash"),
        ({"role_name": "r" * 65}, "role_name of Api must be at most 64", "shorten"),
        ({"audience": ""}, "audience must be one exact value", "sts.amazonaws.com"),
    ],
)
def test_refuses_a_mistake_and_names_its_fix(accounts, kwargs, rule, fix):
    faults = faults_of(accounts, **kwargs)
    assert [fault for fault in faults if fault.startswith(rule) and fix in fault], faults


def test_one_account_twice_is_refused(accounts):
    accounts.add("Api", namespace="apps", name="api")
    [fault] = faults_of(accounts)
    assert fault == (
        "service account must be bound once in a cluster, got 'apps/api' twice; remove one"
    )


def test_reports_every_fault_at_once(accounts):
    faults = faults_of(
        accounts, namespace="Apps", name="API", restart=["x"], force=True, labels={"a b": "c"}
    )
    assert len(faults) == 5


def test_a_refused_account_leaves_no_trace(accounts):
    faults_of(accounts, name="*")
    assert accounts.accounts == {}
