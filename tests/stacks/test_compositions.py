"""What the settings of an environment change in its stacks."""

import json

import pytest
import yaml
from aws_cdk import Environment, Stack

from irsa_stack.environment.environment_file import load_environment
from irsa_stack.faults import InvalidInput
from irsa_stack.stacks import EksClusterStack, ServiceAccountsStack, define_stacks
from irsa_stack.stacks.service_accounts import part_of, refuse_crowded_stacks
from tests.support.templates import ENVIRONMENTS, app_with_flags, templates_of
from tests.support.trust_resolver import CHINA, COMMERCIAL, Deployment

THUMBPRINT = "06b25927c42a721631c1efd9431e648fa62e1e39"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0123"


@pytest.fixture
def settings(tmp_path):
    """Settings of a shipped environment with keys replaced."""

    def changed(name, **changes):
        document = yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text())
        for place, value in changes.items():
            *parents, last = place.split("__")
            target = document
            for part in parents:
                target = target.setdefault(part, {})
            if value is None:
                target.pop(last)
            else:
                target[last] = value
        path = tmp_path / "test.yaml"
        path.write_text(yaml.safe_dump(document))
        return load_environment(path)

    return changed


@pytest.fixture
def deployed(settings, tmp_path):
    def synthesise(name, **changes):
        app = app_with_flags()
        define_stacks(app, settings(name, **changes), files=tmp_path)
        return Deployment(templates_of(app), COMMERCIAL)

    return synthesise


def only(deployment, resource_type):
    [(stack, _, body)] = deployment.resources(resource_type)
    return deployment.value(stack, body["Properties"])


def types(deployment):
    return [body["Type"] for _, _, body in deployment.resources()]


def test_a_new_cluster_is_two_stacks_in_order(deployed):
    assert list(deployed("dev").templates) == [
        "payments-dev-cluster",
        "payments-dev-service-accounts",
    ]


def test_an_existing_cluster_is_one_stack(deployed):
    assert list(deployed("existing-cluster").templates) == ["orders-staging-service-accounts"]


def test_exact_thumbprints_need_no_function(deployed):
    deployment = deployed("dev", oidc={"thumbprints": "exact", "values": [THUMBPRINT]})
    assert only(deployment, "AWS::IAM::OIDCProvider")["ThumbprintList"] == [THUMBPRINT]
    assert "Custom::RootCaThumbprint" not in types(deployment)


def test_thumbprints_may_be_left_to_iam(deployed):
    deployment = deployed("dev", oidc={"thumbprints": "chosen-by-iam"})
    assert "ThumbprintList" not in only(deployment, "AWS::IAM::OIDCProvider")


def test_a_ca_bundle_is_read_from_its_file(deployed, tmp_path):
    pem = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"
    (tmp_path / "ca.pem").write_text(pem)
    deployment = deployed("dev", oidc={"ca_bundle_file": "ca.pem", "refresh": "2"})
    found = only(deployment, "Custom::RootCaThumbprint")
    assert (found["CaBundle"], found["Refresh"]) == (pem, "2")


def test_an_existing_cluster_may_get_its_provider(deployed):
    deployment = deployed("existing-cluster", cluster__existing__create_oidc_provider=True)
    assert types(deployment).count("AWS::IAM::OIDCProvider") == 1


def test_an_existing_cluster_keeps_its_provider_by_default(deployed):
    assert "AWS::IAM::OIDCProvider" not in types(deployed("existing-cluster"))


def test_an_existing_clusters_cni_may_be_left_alone(deployed):
    deployment = deployed("existing-cluster", vpc_cni="keep", cluster__existing__node_roles=[])
    assert "Custom::AwsNodeRebinding" not in types(deployment)


def test_an_existing_clusters_cni_is_left_alone_unless_the_file_says_rebind(deployed):
    deployment = deployed("existing-cluster", vpc_cni=None, cluster__existing__node_roles=[])
    assert "Custom::AwsNodeRebinding" not in types(deployment)


def test_an_existing_clusters_node_roles_lose_the_cni_policy(deployed):
    found = only(deployed("existing-cluster"), "Custom::AwsNodeRebinding")
    assert found["NodeRoleNames"] == ["orders-staging-nodes"]


def test_a_node_role_with_a_path_is_named_by_its_arn(deployed):
    arn = "arn:aws:iam::111122223333:role/eks/orders/nodes"
    deployment = deployed("existing-cluster", cluster__existing__node_roles=[arn])
    assert only(deployment, "Custom::AwsNodeRebinding")["NodeRoleNames"] == ["nodes"]
    resources = [
        statement["Resource"]
        for stack, _, body in deployment.resources("AWS::IAM::Policy")
        for statement in deployment.value(stack, body)["Properties"]["PolicyDocument"]["Statement"]
        if "iam:DetachRolePolicy" in statement["Action"]
    ]
    assert resources == [arn]


@pytest.mark.parametrize(
    ("endpoint", "inside"),
    [
        ({"private": True, "public": False}, 2),
        ({"private": True, "public": True, "public_cidrs": ["203.0.113.0/24"]}, 2),
        ({"private": True, "public": True, "public_cidrs": ["0.0.0.0/0"]}, 0),
        ({"private": True, "public": True}, 0),
        ({"private": False, "public": True}, 0),
    ],
)
def test_functions_run_in_the_vpc_where_only_from_there_the_endpoint_is_reached(
    deployed, endpoint, inside
):
    deployment = deployed("dev", cluster__new__endpoint=endpoint)
    placed = [
        "VpcConfig" in body["Properties"]
        for _, _, body in deployment.resources("AWS::Lambda::Function")
    ]
    # The thumbprint's function needs the Internet and not the cluster.
    assert (len(placed), sum(placed)) == (3, inside)


def test_the_shipped_cluster_for_the_office_is_reached_by_its_function(deployed):
    placed = {
        body["Properties"]["Handler"]: "VpcConfig" in body["Properties"]
        for _, _, body in deployed("prod").resources("AWS::Lambda::Function")
    }
    assert placed["service_accounts.on_event.handle"]


def test_an_existing_vpc_is_not_made_again(deployed):
    deployment = deployed(
        "dev",
        cluster__new__vpc={
            "id": "vpc-0123456789abcdef0",
            "zones": ["eu-west-1a", "eu-west-1b"],
            "private_subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        },
    )
    assert "AWS::EC2::VPC" not in types(deployment)
    groups = only(deployment, "AWS::EKS::Nodegroup")
    assert groups["Subnets"] == ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]


def test_a_key_handed_in_is_not_made_again(deployed):
    deployment = deployed("dev", cluster__new__secrets_encryption_key=KEY)
    assert "AWS::KMS::Key" not in types(deployment)
    [encryption] = only(deployment, "AWS::EKS::Cluster")["EncryptionConfig"]
    assert encryption["Provider"]["KeyArn"] == KEY


@pytest.mark.parametrize(
    ("name", "region"), [("dev", "eu-west-1"), ("existing-cluster", "eu-central-1")]
)
def test_a_log_key_reaches_every_log_group_and_function(deployed, name, region):
    key = KEY.replace("eu-west-1", region)
    deployment = deployed(name, log_encryption_key=key)
    found = {
        body["Properties"].get("KmsKeyId", body["Properties"].get("KmsKeyArn"))
        for _, _, body in deployment.resources("AWS::Logs::LogGroup", "AWS::Lambda::Function")
    }
    assert found == {key}


def test_the_cluster_takes_access_entries_and_all_its_logs(deployed):
    cluster = only(deployed("dev"), "AWS::EKS::Cluster")
    assert cluster["AccessConfig"]["AuthenticationMode"] == "API"
    assert len(cluster["Logging"]["ClusterLogging"]["EnabledTypes"]) == 5


def test_the_public_endpoint_may_be_for_the_office_only(deployed):
    cluster = only(deployed("prod"), "AWS::EKS::Cluster")
    assert cluster["ResourcesVpcConfig"]["PublicAccessCidrs"] == ["203.0.113.0/24"]


@pytest.mark.parametrize(
    ("nodes", "ami"),
    [
        ({"architecture": "x86_64", "ami_family": "AL2023"}, "AL2023_x86_64_STANDARD"),
        ({"architecture": "arm64", "ami_family": "AL2023"}, "AL2023_ARM_64_STANDARD"),
        ({"architecture": "x86_64", "ami_family": "BOTTLEROCKET"}, "BOTTLEROCKET_x86_64"),
        ({"architecture": "arm64", "ami_family": "BOTTLEROCKET"}, "BOTTLEROCKET_ARM_64"),
    ],
)
def test_nodes_run_the_image_of_their_family_and_processor(deployed, nodes, ami):
    instance_type = "m7g.large" if nodes["architecture"] == "arm64" else "m7i.large"
    group = {"name": "general", "instance_types": [instance_type], **nodes}
    assert only(deployed("dev", nodes=[group]), "AWS::EKS::Nodegroup")["AmiType"] == ami


def test_a_person_finds_what_they_need_among_the_outputs(deployed):
    deployment = deployed("dev")
    cluster = deployment.templates["payments-dev-cluster"]["Outputs"]
    assert {
        "ClusterName",
        "IssuerUrl",
        "OidcProviderArn",
        "Thumbprints",
        "UpdateKubeconfig",
    } <= set(cluster)
    found = deployment.value("payments-dev-cluster", cluster["UpdateKubeconfig"]["Value"])
    assert found == "aws eks update-kubeconfig --name payments-dev --region eu-west-1"


def test_every_role_has_an_output_that_says_whose_it_is(deployed):
    outputs = deployed("dev").templates["payments-dev-service-accounts"]["Outputs"].values()
    described = {output.get("Description", "") for output in outputs}
    assert {"Role of payments/api", "Role of kube-system/external-dns"} <= described


def test_two_accounts_may_hold_the_same_managed_policy(deployed):
    policy = "arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"
    accounts = [
        {"namespace": "apps", "name": name, "managed_policies": [policy]} for name in ("a", "b")
    ]
    roles = deployed("existing-cluster", service_accounts=accounts).resources("AWS::IAM::Role")
    held = [body["Properties"].get("ManagedPolicyArns") for _, _, body in roles]
    assert held.count([policy]) == 2


@pytest.mark.parametrize("force", [True, False])
def test_an_adopted_accounts_annotations_are_taken_from_others_only_by_force(deployed, force):
    adopted = {"ownership": "ADOPT", "force": force}
    found = only(
        deployed(
            "existing-cluster",
            service_accounts=[{"namespace": "orders", "name": "worker", **adopted}],
            controllers={
                "aws_load_balancer_controller": adopted,
                "cluster_autoscaler": adopted,
                "external_dns": {"hosted_zones": ["Z0123456789ABCDEFGHIJ"], **adopted},
            },
        ),
        "Custom::ServiceAccounts",
    )
    forced = [account for account in found["ServiceAccounts"].values() if "Force" in account]
    assert len(forced) == (4 if force else 0)


def test_a_charts_account_gets_its_values_as_an_output(deployed):
    deployment = deployed("prod")
    stack = "payments-prod-service-accounts"
    [output] = [
        output
        for output in deployment.templates[stack]["Outputs"].values()
        if output.get("Description") == "Values of the chart that makes monitoring/prometheus"
    ]
    values = json.loads(deployment.value(stack, output["Value"]))
    assert values["serviceAccount"]["create"] is True


# Past one stack


def many(count):
    return [{"namespace": "apps", "name": f"account-{number:04}"} for number in range(count)]


@pytest.mark.parametrize(("count", "stacks"), [(0, 1), (400, 1), (400, 3), (1_000, 4)])
def test_as_many_accounts_as_the_stacks_hold_are_taken(settings, count, stacks):
    changes = {"service_accounts": many(count), "service_account_stacks": stacks}
    refuse_crowded_stacks(settings("dev", **changes))


@pytest.mark.parametrize(("count", "stacks", "enough"), [(401, 1, 2), (1_000, 2, 3)])
def test_a_number_of_stacks_that_is_too_small_is_refused_with_one_that_is_enough(
    settings, count, stacks, enough
):
    crowded = settings("dev", service_accounts=many(count), service_account_stacks=stacks)
    with pytest.raises(InvalidInput, match=rf"write service_account_stacks: {enough}, or more"):
        refuse_crowded_stacks(crowded)
    changes = {"service_accounts": many(count), "service_account_stacks": enough}
    refuse_crowded_stacks(settings("dev", **changes))


def test_a_wrong_number_of_stacks_defines_none(settings):
    app = app_with_flags()
    with pytest.raises(InvalidInput, match="service_account_stacks must be enough for 400"):
        define_stacks(app, settings("dev", service_accounts=many(401)))
    assert not app.node.children


def test_no_neighbour_moves_an_account_to_another_stack(settings):
    def placed(count):
        accounts = settings("dev", service_accounts=many(count)).service_accounts
        return {str(account.identity): part_of(account, 4) for account in accounts}

    fewer, more = placed(600), placed(601)
    assert {name: more[name] for name in fewer} == fewer


def test_accounts_of_several_stacks_are_each_in_one(deployed):
    deployment = deployed("existing-cluster", service_accounts=many(30), service_account_stacks=3)
    assert len(deployment.templates) == 3
    subjects = [
        role.tested("sub")["StringEquals"] for role in deployment.web_identity_roles().values()
    ]
    assert len([s for s in subjects if s.startswith("system:serviceaccount:apps:")]) == 30
    assert len(set(subjects)) == len(subjects)


def test_the_first_stack_is_deployed_before_the_others(settings):
    app = app_with_flags()
    define_stacks(
        app, settings("existing-cluster", service_accounts=many(3), service_account_stacks=3)
    )
    first, *others = (one for one in app.node.children if Stack.is_stack(one))
    assert [[*one.dependencies] for one in others] == [[first], [first]]


def access_entries(deployment):
    return [
        (stack, body["Properties"].get("KubernetesGroups"))
        for stack, _, body in deployment.resources("AWS::EKS::AccessEntry")
    ]


def test_functions_of_each_stack_have_a_group_of_their_own(deployed):
    deployment = deployed(
        "existing-cluster",
        cluster__existing__kubernetes_group="irsa-stack",
        service_accounts=many(30),
        service_account_stacks=2,
    )
    first = "orders-staging-service-accounts"
    assert sorted(access_entries(deployment)) == [
        (first, ["irsa-stack:aws-node"]),
        (first, ["irsa-stack:binder"]),
        (f"{first}-1", ["irsa-stack-1:binder"]),
    ]
    assert all("irsa-stack:rbac" in one["Metadata"] for one in deployment.templates.values())


def test_a_refresh_calls_the_functions_of_both_stacks(deployed):
    deployment = deployed("dev", service_account_refresh="again")
    assert only(deployment, "Custom::ServiceAccounts")["Refresh"] == "again"
    assert only(deployment, "Custom::AwsNodeRebinding")["Refresh"] == "again"


# As a library


def test_what_an_environment_file_holds_will_do_for_settings():
    document = yaml.safe_load((ENVIRONMENTS / "dev.yaml").read_text())
    app = app_with_flags()
    cluster = EksClusterStack(app, "Cluster", settings=document)
    ServiceAccountsStack(app, "Accounts", settings=document, cluster=cluster)
    assert list(templates_of(app)) == ["Cluster", "Accounts"]


@pytest.mark.parametrize("stack", [EksClusterStack, ServiceAccountsStack])
def test_settings_that_break_rules_are_refused_with_all_faults(stack):
    with pytest.raises(InvalidInput, match="service_type: must be given; add it") as caught:
        stack(app_with_flags(), "Stack", settings={"environment": "dev"})
    assert len(caught.value.faults) == 2


def test_properties_of_a_stack_come_before_those_of_its_settings(settings):
    place = Environment(account="444455556666", region="eu-west-3")
    stack = ServiceAccountsStack(
        app_with_flags(),
        "Stack",
        settings=settings("existing-cluster"),
        env=place,
        tags={"Team": "orders"},
        termination_protection=True,
    )
    assert (stack.account, stack.region) == (place.account, place.region)
    assert stack.tags.tag_values()["Team"] == "orders"
    assert stack.termination_protection


def test_a_cluster_stack_needs_a_new_cluster(settings):
    with pytest.raises(InvalidInput, match="use ServiceAccountsStack alone"):
        EksClusterStack(app_with_flags(), "Stack", settings=settings("existing-cluster"))


def test_accounts_of_a_new_cluster_need_its_stack(settings):
    with pytest.raises(InvalidInput, match="pass the EksClusterStack"):
        ServiceAccountsStack(app_with_flags(), "Stack", settings=settings("dev"))


def test_accounts_go_to_one_cluster(settings):
    app = app_with_flags()
    cluster = EksClusterStack(app, "Cluster", settings=settings("dev"))
    with pytest.raises(InvalidInput, match="cluster must be left out with"):
        ServiceAccountsStack(
            app, "Accounts", settings=settings("existing-cluster"), cluster=cluster
        )


@pytest.mark.parametrize("part", [-1, 2])
def test_a_part_is_one_of_the_parts(settings, part):
    with pytest.raises(InvalidInput, match="part must be 0-1 with 2 parts"):
        ServiceAccountsStack(
            app_with_flags(), "Stack", settings=settings("existing-cluster"), part=part, parts=2
        )


@pytest.mark.parametrize(
    ("name", "place", "principal"),
    [
        ("china", CHINA, "logs.cn-north-1.amazonaws.com.cn"),
        ("prod", COMMERCIAL, "logs.eu-west-1.amazonaws.com"),
    ],
)
def test_the_key_lets_the_logs_service_of_its_partition_in(deployed, name, place, principal):
    deployment = Deployment(deployed(name).templates, place)
    policy = only(deployment, "AWS::KMS::Key")["KeyPolicy"]
    assert principal in [one["Principal"].get("Service") for one in policy["Statement"]]


def ec2_principals_of_the_node_role(deployment):
    [document] = [
        deployment.trust_policy(stack, body)
        for stack, name, body in deployment.resources("AWS::IAM::Role")
        if name.startswith("NodeRole")
    ]
    [statement] = document["Statement"]
    return statement["Principal"]["Service"]


@pytest.mark.parametrize(
    ("name", "place", "principals"),
    [
        ("china", CHINA, ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]),
        ("prod", COMMERCIAL, "ec2.amazonaws.com"),
        ("dev", CHINA, ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]),  # its region is not known
    ],
)
def test_nodes_assume_their_role_by_the_names_that_eks_wants(deployed, name, place, principals):
    deployment = Deployment(deployed(name).templates, place)
    assert ec2_principals_of_the_node_role(deployment) == principals


# What one service account of a file may ask for.


def role_of(deployed, **options):
    account = {"namespace": "shop", "name": "api", **options}
    deployment = deployed("existing-cluster", service_accounts=[account])
    [role] = [
        deployment.value(stack, body["Properties"])
        for stack, _, body in deployment.resources("AWS::IAM::Role")
        if {"Key": "ServiceAccountName", "Value": "api"} in body["Properties"].get("Tags", [])
    ]
    return role


ROLE_OPTIONS = {
    "path": ("/shop/", "Path", "/shop/"),
    "role_name": ("shop-api", "RoleName", "shop-api"),
    "description": ("Reads orders", "Description", "Reads orders"),
    "max_session_duration": (7200, "MaxSessionDuration", 7200),
    "permissions_boundary": (
        "arn:aws:iam::111122223333:policy/shop",
        "PermissionsBoundary",
        "arn:aws:iam::111122223333:policy/shop",
    ),
}


@pytest.mark.parametrize(
    ("option", "given", "of", "found"), [(k, *v) for k, v in ROLE_OPTIONS.items()], ids=ROLE_OPTIONS
)
def test_a_file_says_what_the_role_of_one_account_is(deployed, option, given, of, found):
    assert role_of(deployed, **{option: given})[of] == found


def test_a_boundary_of_one_account_prevails_over_that_of_the_file(deployed):
    own = "arn:aws:iam::111122223333:policy/shop"
    deployment = deployed(
        "existing-cluster",
        permissions_boundary="arn:aws:iam::111122223333:policy/all",
        service_accounts=[
            {"namespace": "shop", "name": "api", "permissions_boundary": own},
            {"namespace": "shop", "name": "worker"},
        ],
    )
    boundaries = [
        body["Properties"]["PermissionsBoundary"]
        for _, _, body in deployment.resources("AWS::IAM::Role")
    ]
    assert boundaries.count(own) == 1
    assert len(set(boundaries)) == 2


def test_a_file_trusts_the_accounts_of_more_clusters(deployed):
    issuer = "oidc.eks.eu-central-1.amazonaws.com/id/BBBB"
    trusts = [{"issuer_url": f"https://{issuer}", "service_accounts": ["shop/api"]}]
    document = role_of(deployed, trusts=trusts)["AssumeRolePolicyDocument"]
    assert [one["Principal"]["Federated"].partition("/")[2] for one in document["Statement"]][
        1
    ] == issuer


def test_a_file_says_what_the_object_of_one_account_carries(deployed):
    deployment = deployed(
        "existing-cluster",
        service_accounts=[
            {
                "namespace": "shop",
                "name": "api",
                "labels": {"team": "shop"},
                "annotations": {"example.com/owner": "shop"},
                "audience": "vault",
                "regional_sts": False,
                "tags": {"CostCentre": "4711"},
            }
        ],
    )
    text = json.dumps([body for _, _, body in deployment.resources("Custom::ServiceAccounts")])
    for carried in ("team", "example.com/owner", "vault", "eks.amazonaws.com/sts-regional"):
        assert carried in text


def test_a_node_group_says_what_its_nodes_are(deployed):
    deployment = deployed(
        "dev",
        cluster__new__vpc={"cidr": "10.0.0.0/16", "zones": ["eu-west-1a", "eu-west-1b"]},
        nodes=[
            {
                "name": "spot",
                "instance_types": ["m7i.large"],
                "capacity_type": "SPOT",
                "disk_size": 100,
                "labels": {"team": "shop"},
                "taints": [{"key": "example.com/spot", "value": "true"}],
                "zones": ["eu-west-1b"],
            }
        ],
    )
    group = only(deployment, "AWS::EKS::Nodegroup")
    assert group["CapacityType"] == "SPOT"
    assert group["Labels"] == {"team": "shop"}
    assert group["Taints"] == [
        {"Key": "example.com/spot", "Value": "true", "Effect": "NO_SCHEDULE"}
    ]
    assert len(group["Subnets"]) == 1
    [device] = only(deployment, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"][
        "BlockDeviceMappings"
    ]
    assert device["Ebs"]["VolumeSize"] == 100


def test_an_existing_ipv6_cluster_gives_aws_node_what_ipv6_needs(deployed):
    """bugs.md F8: it got the IPv4 policy, and new nodes no addresses."""
    deployment = deployed("existing-cluster", cluster__existing__ip_family="ipv6")
    text = json.dumps([body for _, _, body in deployment.resources("AWS::IAM::Role")])
    assert "ec2:AssignIpv6Addresses" in text
    assert "policy/AmazonEKS_CNI_Policy" not in text
