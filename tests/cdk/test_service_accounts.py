import dataclasses
import json

import pytest
from aws_cdk import (
    CfnParameter,
    CfnResource,
    Duration,
    Stack,
    Stage,
    aws_ec2,
    aws_eks_v2,
    aws_iam,
    aws_logs,
    aws_s3,
)

from irsa_stack import (
    AwsNodeAddon,
    AwsNodeRebinding,
    EksOidcProvider,
    FunctionOptions,
    InvalidInput,
    Ownership,
    RoleDefaults,
    ServiceAccounts,
    Trust,
)
from irsa_stack.controllers import AwsLoadBalancerController
from tests.support.clusters import ISSUER, connection, service_accounts
from tests.support.templates import app_with_flags, template_of
from tests.support.trust_resolver import COMMERCIAL, Deployment

ROLE = "arn:aws:iam::444455556666:role/api"
REGIONAL = "eks.amazonaws.com/sts-regional-endpoints"


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


def only_bound(stack):
    """What the function gets."""
    template = template_of(stack)
    [body] = of_type(template, "Custom::ServiceAccounts")
    return resolved(template, body["Properties"]["ServiceAccounts"])


def access(stack):
    template = template_of(stack)
    [entry] = of_type(template, "AWS::EKS::AccessEntry")
    [policy] = resolved(template, entry["Properties"]["AccessPolicies"])
    return policy["PolicyArn"].rpartition("/")[2], policy["AccessScope"]


def faults_of(accounts, **kwargs):
    with pytest.raises(InvalidInput) as caught:
        accounts.add(kwargs.pop("account", "apps/api"), **kwargs)
    return caught.value.faults


# What is synthesised


def test_no_account_synthesises_nothing(stack, accounts):
    assert accounts.accounts == {}
    assert not template_of(stack).get("Resources")


def test_an_account_costs_one_resource():
    def resources(names):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack)
        for name in names:
            accounts.add(f"apps/{name}")
        return len(template_of(stack)["Resources"])

    assert resources(["a", "b", "c"]) - resources(["a", "b"]) == 1


def test_the_roles_exist_before_they_are_bound(stack, accounts):
    accounts.add("apps/api")
    template = template_of(stack)
    [custom] = of_type(template, "Custom::ServiceAccounts")
    [role] = Deployment({"Stack": template}).web_identity_roles()
    assert role in json.dumps(custom["Properties"]["ServiceAccounts"])


def test_a_grant_exists_before_pods_can_find_the_account(stack, accounts):
    api = accounts.add("apps/api")
    aws_s3.Bucket(stack, "Bucket").grant_read(api)
    template = template_of(stack)
    [custom] = of_type(template, "Custom::ServiceAccounts")
    [policy] = [
        key for key, body in template["Resources"].items() if body["Type"] == "AWS::IAM::Policy"
    ]
    assert policy in custom["DependsOn"]


def test_a_workload_can_come_after_its_account(stack, accounts):
    api = accounts.add("apps/api")
    workload = CfnResource(stack, "Workload", type="AWS::CloudFormation::WaitConditionHandle")
    workload.node.add_dependency(api)
    template = template_of(stack)
    assert any("Batch" in key for key in template["Resources"]["Workload"]["DependsOn"])


@pytest.mark.parametrize("ownership", [Ownership.HELM, Ownership.NONE])
def test_a_workload_can_come_after_the_role_of_an_account_that_is_not_bound(
    stack, accounts, ownership
):
    api = accounts.add("apps/api", ownership=ownership)
    workload = CfnResource(stack, "Workload", type="AWS::CloudFormation::WaitConditionHandle")
    workload.node.add_dependency(api)
    template = template_of(stack)
    [role] = Deployment({"Stack": template}).web_identity_roles()
    assert template["Resources"]["Workload"]["DependsOn"] == [role]


def test_an_account_is_named_as_the_cdk_names_it(accounts):
    api = accounts.add("apps/api")
    assert (api.service_account_namespace, api.service_account_name) == ("apps", "api")


def test_a_permission_is_added_as_the_cdk_adds_it(stack, accounts):
    statement = aws_iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"])
    accounts.add("apps/api").add_to_principal_policy(statement)
    [policy] = of_type(template_of(stack), "AWS::IAM::Policy")
    assert policy["Properties"]["PolicyDocument"]["Statement"][0]["Action"] == "s3:GetObject"


def test_the_id_tells_accounts_apart_whose_names_run_together(accounts):
    assert accounts.add("a-b/c").node.id != accounts.add("a/b-c").node.id


def test_the_id_is_the_logical_id_of_the_role(stack, accounts):
    accounts.add("apps/api", id="Api")
    [role] = Deployment({"Stack": template_of(stack)}).web_identity_roles()
    assert role.startswith("ServiceAccountsApi")
    assert "Default" not in role


# The provider


def cluster_of(stack):
    return aws_eks_v2.Cluster(
        stack, "Cluster", version=aws_eks_v2.KubernetesVersion.V1_34,
        default_capacity_type=aws_eks_v2.DefaultCapacityType.NODEGROUP, default_capacity=0,
    )  # fmt: skip


def test_the_provider_of_a_new_cluster_is_made_once_for_all(stack):
    cluster = cluster_of(stack)
    first = ServiceAccounts(stack, "First", cluster=cluster)
    second = ServiceAccounts(Stack(stack.node.root, "Other"), "Second", cluster=cluster)
    assert first.oidc_provider is second.oidc_provider
    assert len(of_type(template_of(stack), "AWS::IAM::OIDCProvider")) == 1


def test_the_provider_that_a_cluster_has_serves(stack):
    cluster = cluster_of(stack)
    own = cluster.open_id_connect_provider
    found = ServiceAccounts(stack, "Accounts", cluster=cluster).oidc_provider
    assert found.open_id_connect_provider_arn == own.open_id_connect_provider_arn


def test_the_provider_of_an_imported_cluster_is_imported(stack):
    accounts = ServiceAccounts(stack, "Accounts", cluster=connection())
    accounts.add("apps/api")
    template = template_of(stack)
    assert not of_type(template, "AWS::IAM::OIDCProvider")
    assert accounts.oidc_provider.issuer == ISSUER


def test_an_import_of_the_cdk_without_a_provider_is_refused(stack):
    cluster = aws_eks_v2.Cluster.from_cluster_attributes(
        stack, "Cluster", cluster_name="payments", cluster_endpoint="https://x.example",
        cluster_certificate_authority_data="LS0t",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="oidc_provider must be given with a cluster that does"):
        ServiceAccounts(stack, "Accounts", cluster=cluster)


# Ownership


def test_an_adopted_account_carries_our_annotations_and_no_mark_of_ours(stack, accounts):
    accounts.add("apps/api", ownership=Ownership.ADOPT, force=True)
    entry = only_bound(stack)["apps/api"]
    assert (entry["Ownership"], entry["Force"]) == ("ADOPT", "true")
    assert entry.keys() == {"Role", "Ownership", "Force"}


def test_a_chart_gets_the_users_annotations_too(accounts):
    api = accounts.add("apps/api", ownership=Ownership.HELM, annotations={"note": "x"})
    assert api.helm_values["serviceAccount"]["annotations"] == {"note": "x", **api.annotations}


def test_an_account_says_which_it_is(accounts):
    api = accounts.add("apps/api")
    assert repr(api) == "<ServiceAccount apps/api, CREATE>"


def test_a_rollout_is_waited_for_as_long_as_is_asked_for(stack):
    accounts = service_accounts(stack, rollout_timeout=Duration.minutes(12))
    accounts.add("apps/api", restart=["*"])
    [custom] = of_type(template_of(stack), "Custom::ServiceAccounts")
    assert custom["Properties"]["RolloutTimeoutSeconds"] == "720"


def test_a_rollout_is_waited_for_as_the_function_has_it_by_default(stack, accounts):
    accounts.add("apps/api", restart=["*"])
    [custom] = of_type(template_of(stack), "Custom::ServiceAccounts")
    assert "RolloutTimeoutSeconds" not in custom["Properties"]


@pytest.mark.parametrize("wrong", [Duration.seconds(0), Duration.seconds(781), 600])
def test_refuses_to_wait_for_a_rollout_without_time_to_undo(stack, wrong):
    with pytest.raises(InvalidInput, match="rollout_timeout must be"):
        service_accounts(stack, rollout_timeout=wrong)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, None), ({"regional_sts": True}, "true"), ({"regional_sts": False}, "false")],
)
def test_an_adopted_account_gets_one_annotation_unless_more_is_asked_for(
    stack, accounts, asked, expected
):
    accounts.add("apps/api", ownership=Ownership.ADOPT, **asked)
    annotations = only_bound(stack)["apps/api"].get("Annotations", {})
    assert annotations == ({REGIONAL: expected} if expected else {})


@pytest.mark.parametrize("ownership", [Ownership.HELM, Ownership.NONE])
def test_accounts_of_others_reach_no_function(stack, accounts, ownership):
    accounts.add("apps/api", ownership=ownership)
    assert {body["Type"] for body in template_of(stack)["Resources"].values()} == {"AWS::IAM::Role"}


@pytest.mark.parametrize("ownership", [Ownership.HELM, "HELM"])
def test_a_chart_gets_the_values_that_make_its_account(accounts, ownership):
    api = accounts.add(
        "apps/api", ownership=ownership,
        helm_values_path="controller.serviceAccount",
    )  # fmt: skip
    values = api.helm_values["controller"]["serviceAccount"]
    assert (values["create"], values["name"]) == (True, "api")
    assert values["annotations"]["eks.amazonaws.com/role-arn"] == api.role_arn


def test_a_chart_gets_the_name_of_an_account_that_is_made_here(accounts):
    api = accounts.add("apps/api")
    assert api.helm_values == {"serviceAccount": {"create": False, "name": "api"}}


def test_what_is_special_about_an_account_reaches_the_function(stack, accounts):
    accounts.add(
        "apps/api",
        restart=["deployment/api"],
        labels={"app": "api"},
        annotations={"note": "hello"},
        create_namespace=True,
        token_expiration=Duration.hours(1),
        regional_sts=False,
        audience="vault",
    )
    entry = only_bound(stack)["apps/api"]
    assert entry["Restart"] == ["deployment/api"]
    assert entry["CreateNamespace"] == "true"
    assert entry["Labels"] == {"app": "api"}
    assert entry["Annotations"] == {
        "eks.amazonaws.com/audience": "vault",
        REGIONAL: "false",
        "eks.amazonaws.com/token-expiration": "3600",
        "note": "hello",
    }


def test_an_existing_role_is_bound_by_its_arn(stack, accounts):
    arn = "arn:aws:iam::444455556666:role/api"
    api = accounts.add("apps/api", role_arn=arn)
    assert only_bound(stack)["apps/api"] == arn
    with pytest.raises(AttributeError, match="grant where that role is defined"):
        _ = api.role


# Access to the cluster


def test_the_function_enters_only_the_namespaces_that_it_binds(stack, accounts):
    accounts.add("apps/api")
    accounts.add("batch/job")
    assert access(stack) == (
        "AmazonEKSEditPolicy",
        {"Type": "namespace", "Namespaces": ["apps", "batch"]},
    )


def test_creating_a_namespace_takes_the_whole_cluster(stack, accounts):
    accounts.add("apps/api", create_namespace=True)
    assert access(stack) == ("AmazonEKSClusterAdminPolicy", {"Type": "cluster"})


def test_a_namespace_may_stay_open_for_the_removal_of_its_last_account(stack):
    accounts = service_accounts(stack, namespaces=["old"])
    accounts.add("apps/api")
    assert access(stack)[1]["Namespaces"] == ["apps", "old"]


def test_the_function_has_access_before_it_is_called(stack, accounts):
    accounts.add("apps/api")
    [custom] = of_type(template_of(stack), "Custom::ServiceAccounts")
    assert any("Access" in key for key in custom["DependsOn"])


def test_a_role_handed_in_needs_no_access_entry(stack):
    role = aws_iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/binder")
    service_accounts(stack, handler_role=role).add("apps/api")
    assert not of_type(template_of(stack), "AWS::EKS::AccessEntry")


def test_the_functions_role_may_only_write_its_logs_and_see_its_cluster(stack, accounts):
    accounts.add("apps/api")
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


# Access by a Kubernetes group


@pytest.fixture
def grouped(stack):
    return service_accounts(stack, kubernetes_group="irsa-stack", namespaces=["old"])


def groups(stack):
    return [
        entry["Properties"].get("KubernetesGroups")
        for entry in of_type(template_of(stack), "AWS::EKS::AccessEntry")
    ]


def allowed(rbac):
    """What each group may do where: resource, names and verbs."""
    return {
        (role["metadata"]["name"], role["metadata"]["namespace"]): {
            (resource, *rule.get("resourceNames", ())): rule["verbs"]
            for rule in role["rules"]
            for resource in rule["resources"]
        }
        for role in rbac["items"]
        if role["kind"] == "Role"
    }


def test_each_function_is_in_a_group_of_its_own_and_has_no_access_policy(stack, grouped):
    grouped.add("apps/api")
    AwsNodeRebinding(stack, "AwsNode", service_accounts=grouped)
    entries = of_type(template_of(stack), "AWS::EKS::AccessEntry")
    assert sorted(groups(stack)) == [["irsa-stack:aws-node"], ["irsa-stack:binder"]]
    assert all("AccessPolicies" not in entry["Properties"] for entry in entries)


def test_the_rbac_is_that_of_the_namespaces_and_their_restarts(stack, grouped):
    grouped.add("apps/api", restart=["deployment/api"])
    grouped.add("jobs/job")
    AwsNodeRebinding(stack, "AwsNode", service_accounts=grouped)
    found = allowed(grouped.rbac)
    binder, aws_node = "irsa-stack:binder", "irsa-stack:aws-node"
    assert found.keys() == {
        (binder, "apps"), (binder, "jobs"), (binder, "old"), (aws_node, "kube-system"),
    }  # fmt: skip
    assert found[binder, "apps"]["deployments", "api"] == ["get", "patch"]
    assert found[binder, "jobs"].keys() == {("serviceaccounts",)}
    assert ("daemonsets", "aws-node") in found[aws_node, "kube-system"]


def test_each_role_is_bound_to_the_group_of_its_name(grouped):
    grouped.add("apps/api")
    bindings = [one for one in grouped.rbac["items"] if one["kind"] == "RoleBinding"]
    for binding in bindings:
        [subject] = binding["subjects"]
        assert subject["name"] == binding["roleRef"]["name"] == binding["metadata"]["name"]
    assert [one["metadata"]["namespace"] for one in bindings] == ["apps", "old"]


def test_the_template_holds_the_rbac_for_kubectl(stack, grouped):
    grouped.add("apps/api")
    assert template_of(stack)["Metadata"] == {"irsa-stack:rbac": grouped.rbac}


def test_a_role_handed_in_is_told_its_rbac_too(stack):
    role = aws_iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/binder")
    accounts = service_accounts(stack, handler_role=role, kubernetes_group="irsa-stack")
    accounts.add("apps/api")
    assert groups(stack) == []
    assert allowed(accounts.rbac).keys() == {("irsa-stack:binder", "apps")}


def test_without_a_group_there_is_no_rbac(stack, accounts):
    accounts.add("apps/api")
    assert accounts.rbac["items"] == []
    assert "Metadata" not in template_of(stack)


def test_a_group_makes_no_namespace(grouped):
    [fault] = faults_of(grouped, create_namespace=True)
    assert fault.startswith("create_namespace must go without kubernetes_group, got both")


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"kubernetes_group": "system:masters"}, "kubernetes_group must not start with 'system:'"),
        ({"kubernetes_group": ""}, "kubernetes_group must be 2-63 letters"),
        (
            {"kubernetes_group": "irsa-stack", "namespaces": ["${Token[TOKEN.7]}"]},
            "namespaces must be known at synth with kubernetes_group",
        ),
    ],
)
def test_refuses_a_group_that_could_not_be_let_in(stack, given, rule):
    with pytest.raises(InvalidInput) as caught:
        service_accounts(stack, **given)
    [fault] = caught.value.faults
    assert fault.startswith(rule)


# Refresh


@pytest.mark.parametrize("resource", ["Custom::ServiceAccounts", "Custom::AwsNodeRebinding"])
def test_another_refresh_calls_the_functions(resource):
    def properties(refresh):
        stack = Stack(app_with_flags(), "Stack")
        accounts = service_accounts(stack, refresh=refresh)
        accounts.add("apps/api")
        AwsNodeRebinding(stack, "AwsNode", service_accounts=accounts)
        [body] = of_type(template_of(stack), resource)
        return body["Properties"]

    assert properties("1") == {**properties(None), "Refresh": "1"}


def test_the_function_runs_where_a_private_endpoint_is_reached(stack):
    vpc = aws_ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )  # fmt: skip
    group = aws_ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
    cluster = connection(vpc=vpc, security_groups=[group])
    service_accounts(stack, cluster=cluster).add("apps/api")
    [function] = of_type(template_of(stack), "AWS::Lambda::Function")
    assert function["Properties"]["VpcConfig"] == {
        "SubnetIds": ["subnet-1", "subnet-2"],
        "SecurityGroupIds": ["sg-1"],
    }


# The role


def test_the_roles_tags_name_the_account_and_the_cluster(stack, accounts):
    accounts.add("apps/api")
    [role] = Deployment({"Stack": template_of(stack)}).web_identity_roles().values()
    assert role.tags == {
        "ServiceAccountName": "api",
        "ServiceAccountNamespace": "apps",
        "ClusterName": "payments-prod",
    }


def test_more_tags_join_the_standard_ones_or_take_their_place(stack, accounts):
    accounts.add("apps/api", tags={"Team": "apps", "ClusterName": "the one"})
    [role] = Deployment({"Stack": template_of(stack)}).web_identity_roles().values()
    assert role.tags == {
        "ServiceAccountName": "api",
        "ServiceAccountNamespace": "apps",
        "ClusterName": "the one",
        "Team": "apps",
    }


def test_an_account_of_another_cluster_may_share_the_role(stack, accounts):
    url = "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER"
    other = EksOidcProvider.from_issuer_url(stack, "Other", url)
    accounts.add(
        "apps/api",
        trusts=[Trust(oidc_provider=other, service_accounts=["apps/api"])],
    )  # fmt: skip
    [role] = of_type(template_of(stack), "AWS::IAM::Role")[:1]
    assert len(role["Properties"]["AssumeRolePolicyDocument"]["Statement"]) == 2


def test_a_raised_quota_makes_room_for_a_longer_trust_policy(accounts):
    many = [f"apps/{'x' * 60}{number}" for number in range(40)]
    url = "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER"
    other = EksOidcProvider.from_issuer_url(accounts, "Other", url)
    trusts = [Trust(oidc_provider=other, service_accounts=many)]
    assert any("L-C07B4B0D" in fault for fault in faults_of(accounts, trusts=trusts))
    assert accounts.add("apps/api", trusts=trusts, trust_policy_characters=8_192)


@pytest.mark.parametrize("aws_node", [AwsNodeRebinding, AwsNodeAddon])
def test_boundary_and_path_reach_every_role(stack, aws_node):
    boundary = aws_iam.ManagedPolicy.from_managed_policy_arn(
        stack, "Boundary", "arn:aws:iam::111122223333:policy/boundary"
    )
    accounts = service_accounts(
        stack,
        functions=FunctionOptions(log_retention=aws_logs.RetentionDays.ONE_WEEK),
        roles=RoleDefaults(permissions_boundary=boundary, path="/team/"),
    )
    accounts.add("apps/api")
    aws_node(stack, "AwsNode", service_accounts=accounts)
    accounts.add_controller(AwsLoadBalancerController(vpc_id="vpc-0123456789abcdef0"))
    template = template_of(stack)
    roles = of_type(template, "AWS::IAM::Role")
    assert len(roles) == (4 if aws_node is AwsNodeAddon else 5)
    for role in roles:
        assert role["Properties"]["Path"] == "/team/"
        assert role["Properties"]["PermissionsBoundary"].endswith("policy/boundary")
    for policy in of_type(template, "AWS::IAM::ManagedPolicy"):
        assert policy["Properties"]["Path"] == "/team/"


def test_another_audience_is_tested_in_the_trust_policy(stack, accounts):
    accounts.add("apps/api", audience="vault")
    [role] = Deployment({"Stack": template_of(stack)}).web_identity_roles().values()
    assert role.tested("aud") == {"StringEquals": "vault"}


# Mistakes


@pytest.mark.parametrize(
    ("kwargs", "rule", "fix"),
    [
        ({"account": "team-*/api"}, "namespace must be one exact name", "list the namespaces"),
        ({"account": "apps/*"}, "service account name must be one exact", "list the accounts"),
        (
            {"account": "apps/default"},
            "service account must not be 'apps/default'",
            "allow_default",
        ),
        (
            {"token_expiration": Duration.minutes(5)},
            "token_expiration must be 600-86400",
            "webhook",
        ),
        (
            {"token_expiration": 3600},
            "token_expiration must be a Duration",
            "Duration.seconds(3600)",
        ),
        ({"labels": {"a b": "c"}}, "labels must have keys", "63 letters"),
        (
            {"labels": {"a": "b"}, "ownership": Ownership.HELM},
            "labels must go with CREATE or ADOPT, got HELM",
            "give them to the chart",
        ),
        (
            {"annotations": {"a": "b"}, "ownership": Ownership.NONE},
            "annotations must go with CREATE, ADOPT or HELM, got NONE",
            "remove them",
        ),
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
        ({"role_name": "r" * 65}, "role_name of apps/api must be at most 64", "shorten"),
        ({"ownership": "bogus"}, "ownership must be of CREATE, ADOPT, HELM, NONE", "correct it"),
        (
            {"account": "apps/default", "role_arn": ROLE},
            "service account must not be 'apps/default'",
            "",
        ),
        (
            {"role_arn": ROLE, "role_name": "api", "description": "of the API"},
            "role_arn must stand alone, got role_name, description",
            "where the role is defined",
        ),
        ({"audience": ""}, "audience must be one exact value", "sts.amazonaws.com"),
    ],
)
def test_refuses_a_mistake_and_names_its_fix(accounts, kwargs, rule, fix):
    faults = faults_of(accounts, **kwargs)
    assert [fault for fault in faults if fault.startswith(rule) and fix in fault], faults


@pytest.mark.parametrize(
    ("namespaces", "rule"),
    [
        (["*"], "namespace must be one exact name, got '*'"),
        (["apps", "prod-*"], "namespace must be one exact name, got 'prod-*'"),
        (["UPPER"], "namespace must be 1-63 characters"),
        ("apps", "namespaces must be a list, got 'apps'"),
    ],
)
def test_refuses_to_enter_what_is_no_namespace(stack, namespaces, rule):
    with pytest.raises(InvalidInput) as caught:
        service_accounts(stack, namespaces=namespaces)
    [fault] = caught.value.faults
    assert fault.startswith(rule)


def test_a_namespace_to_enter_may_be_known_at_deploy_only(stack):
    old = CfnParameter(stack, "Old").value_as_string
    service_accounts(stack, namespaces=[old]).add("apps/api")
    assert {"Ref": "Old"} in of_type(template_of(stack), "AWS::EKS::AccessEntry")[0]["Properties"][
        "AccessPolicies"
    ][0]["AccessScope"]["Namespaces"]


def test_one_account_twice_is_refused(accounts):
    accounts.add("apps/api")
    [fault] = faults_of(accounts)
    assert fault == (
        "service account must be bound once in a cluster, got 'apps/api' twice; remove one"
    )


def test_one_account_in_two_binders_of_a_cluster_is_refused(stack, accounts):
    accounts.add("apps/api")
    other = service_accounts(Stack(stack.node.root, "Other"))
    [fault] = faults_of(other)
    assert fault == (
        "service account must be bound once in a cluster, got 'apps/api' by ServiceAccounts"
        " 'Other/ServiceAccounts' beside ServiceAccounts 'Stack/ServiceAccounts'; remove one"
    )


def test_accounts_of_one_cluster_may_be_spread_over_stacks(stack, accounts):
    accounts.add("apps/api")
    other = service_accounts(Stack(stack.node.root, "Other"))
    assert other.add("apps/job")


@pytest.mark.parametrize("apart", ["apps", "stages", "clusters"])
def test_one_account_may_be_in_two(apart):
    app = app_with_flags()
    for number in range(2):
        scope = app_with_flags() if apart == "apps" else app
        if apart == "stages":
            scope = Stage(app, f"Stage{number}")
        name = f"payments-{number}" if apart == "clusters" else "payments-prod"
        cluster = dataclasses.replace(connection(), name=name)
        accounts = service_accounts(Stack(scope, f"Stack{number}"), cluster=cluster)
        assert accounts.add("apps/api")


def test_an_account_of_a_cluster_made_here_is_bound_once(stack):
    cluster = aws_eks_v2.Cluster(
        stack, "Cluster", version=aws_eks_v2.KubernetesVersion.V1_34,
        default_capacity_type=aws_eks_v2.DefaultCapacityType.NODEGROUP, default_capacity=0,
    )  # fmt: skip
    service_accounts(stack, cluster=cluster).add("apps/api")
    other = service_accounts(Stack(stack.node.root, "Other"), cluster=cluster)
    assert "bound once in a cluster" in faults_of(other)[0]


@pytest.mark.parametrize("wrong", [{"account": "apps/default"}, {"role_name": "r" * 65}], ids=str)
def test_a_refused_account_can_be_corrected(stack, accounts, wrong):
    faults_of(accounts, **wrong)
    accounts.add("apps/api")
    assert len(only_bound(stack)) == 1


@pytest.mark.parametrize("id", ["Binder", "Access", "Bindings", "Taken"])
def test_an_id_that_is_taken_is_refused_by_name(accounts, id):
    accounts.add("apps/taken", id="Taken")
    with pytest.raises(InvalidInput) as caught:
        accounts.add("apps/api", id=id)
    assert caught.value.faults == (
        f"id must be one that nothing in Stack/ServiceAccounts has, got {id!r}; choose another",
    )


def test_reports_every_fault_at_once(accounts):
    faults = faults_of(accounts, account="Apps/API", restart=["x"], force=True, labels={"a b": "c"})
    assert len(faults) == 5


def test_a_refused_account_leaves_no_trace(accounts):
    faults_of(accounts, account="apps/*")
    assert accounts.accounts == {}
