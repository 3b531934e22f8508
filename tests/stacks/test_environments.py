"""Walk what every shipped environment synthesises into: the promises that hold everywhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint import api as cfn_lint
from cfnlint.config import ManualArgs
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from irsa_stack.review.template import template_findings
from tests.support.templates import NAMES, REPOSITORY, environment
from tests.support.trust_resolver import CHINA, COMMERCIAL, GOVERNMENT, PLACES, Deployment, Place

FRANKFURT = Place("aws", "eu-central-1")
WHERE = {
    "china": [CHINA],
    "dev": PLACES,
    "existing-cluster": [FRANKFURT],
    "local": [Place("aws", "us-east-1")],
    "prod": [COMMERCIAL],
}
MAKE_NAMESPACES = {
    "china": {"payments"},
    "dev": {"payments"},
    "local": {"apps"},
    "prod": {"payments"},
}
DEPLOYMENTS = [(name, place) for name in NAMES for place in WHERE[name]]
SUBJECTS = {
    "china": {
        "kube-system:aws-load-balancer-controller",
        "kube-system:aws-node",
        "kube-system:cluster-autoscaler",
        "payments:api",
    },
    "dev": {
        "kube-system:aws-load-balancer-controller",
        "kube-system:aws-node",
        "kube-system:cluster-autoscaler",
        "kube-system:external-dns",
        "payments:api",
        "payments:reporting",
    },
    "existing-cluster": {
        "kube-system:aws-load-balancer-controller",
        "kube-system:aws-node",
        "orders:worker",
    },
    "local": {"apps:reader", "kube-system:aws-node"},
    "prod": {
        "kube-system:aws-load-balancer-controller",
        "kube-system:aws-node",
        "kube-system:cluster-autoscaler",
        "kube-system:external-dns",
        "monitoring:prometheus",
        "payments:api",
    },
}


@pytest.fixture(params=NAMES, scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def synthesised(name):
    return environment(name)


@pytest.fixture(scope="module")
def deployment(name, synthesised):
    return Deployment(synthesised.templates, WHERE[name][0])


def of_type(deployment, *types):
    return {logical_id: body for _, logical_id, body in deployment.resources(*types)}


def statements(deployment):
    """Every statement of every policy document in the templates."""

    def walk(value):
        if isinstance(value, dict):
            if "Effect" in value:
                yield value
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    for stack, _, resource in deployment.resources():
        properties = deployment.value(stack, resource.get("Properties", {}))
        yield from walk(properties)
        document = properties.get("AssumeRolePolicyDocument")
        if isinstance(document, str):
            yield from walk(json.loads(document))


# Trust: the seven facts of every role that a web identity can assume.


@pytest.fixture(
    params=DEPLOYMENTS, ids=lambda case: f"{case[0]}-{case[1].partition}", scope="module"
)
def trusted(request):
    name, place = request.param
    synthesised = environment(name)
    existing = synthesised.settings.cluster.existing
    issuer = place.issuer if existing is None else existing.issuer_url.removeprefix("https://")
    deployment = Deployment(synthesised.templates, place)
    return name, place, issuer, deployment.web_identity_roles()


def test_every_role_names_the_provider_of_its_cluster(trusted):
    _, place, issuer, roles = trusted
    for role in roles.values():
        assert role.statement["Principal"] == {
            "Federated": f"arn:{place.partition}:iam::111122223333:oidc-provider/{issuer}"
        }


def test_every_role_is_assumed_with_a_web_identity_and_in_no_other_way(trusted):
    for role in trusted[3].values():
        assert role.statement["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_every_role_allows_and_denies_nothing(trusted):
    for role in trusted[3].values():
        assert role.statement["Effect"] == "Allow"


def test_every_role_tests_the_audience(trusted):
    _, _, issuer, roles = trusted
    for role in roles.values():
        tests = role.statement["Condition"]["StringEquals"]
        assert tests[f"{issuer}:aud"] == "sts.amazonaws.com"


def test_every_role_tests_the_subject_that_its_tags_name(trusted):
    _, _, issuer, roles = trusted
    for role in roles.values():
        namespace, name = (role.tags[f"ServiceAccount{part}"] for part in ("Namespace", "Name"))
        subject = role.statement["Condition"]["StringEquals"][f"{issuer}:sub"]
        assert subject == f"system:serviceaccount:{namespace}:{name}"


def test_every_role_compares_with_string_equals_alone(trusted):
    for role in trusted[3].values():
        assert list(role.statement["Condition"]) == ["StringEquals"]


def test_every_trust_policy_holds_nothing_else(trusted):
    for role in trusted[3].values():
        assert set(role.document) == {"Version", "Statement"}
        assert set(role.statement) == {"Effect", "Principal", "Action", "Condition"}
        assert len(role.statement["Condition"]["StringEquals"]) == 2


def test_the_accounts_of_the_file_have_roles_and_no_others(trusted):
    name, _, _, roles = trusted
    subjects = {role.tested("sub")["StringEquals"] for role in roles.values()}
    assert subjects == {f"system:serviceaccount:{subject}" for subject in SUBJECTS[name]}


# Settings that reach everything.


def test_tags_reach_every_resource_that_can_have_them(synthesised, deployment):
    fixed = {
        "ServiceType": synthesised.settings.service_type,
        "Environment": synthesised.settings.environment,
    }
    wanted = {**fixed, **synthesised.settings.tags}
    untagged = []
    for stack, logical_id, resource in deployment.resources():
        # The CDK's own, a bare resource: CloudFormation gives it the stack's tags.
        if logical_id.startswith("ClusterKubectlReadyBarrier") or not _is_taggable(
            resource["Type"]
        ):
            continue
        tags = deployment.value(stack, resource["Properties"].get("Tags", {}))
        if isinstance(tags, list):
            tags = {tag["Key"]: tag["Value"] for tag in tags}
        if (
            not (fixed if resource["Type"] == "AWS::EKS::Nodegroup" else wanted).items()
            <= tags.items()
        ):
            untagged.append(logical_id)
    assert untagged == []


def test_every_stack_has_the_tags_too(synthesised):
    manifest = json.loads((synthesised.folder / "manifest.json").read_text())
    stacks = [a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    assert len(stacks) == len(synthesised.templates)
    for stack in stacks:
        tags = stack["properties"]["tags"]
        assert tags["ServiceType"] == synthesised.settings.service_type
        assert tags["Environment"] == synthesised.settings.environment


def _is_taggable(resource_type):
    if resource_type.startswith("Custom::"):
        return False
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    return schema.get("tagging", {}).get("taggable", False)


def test_tags_reach_the_instances_and_their_volumes(synthesised, deployment):
    for template in of_type(deployment, "AWS::EC2::LaunchTemplate").values():
        specifications = template["Properties"]["LaunchTemplateData"]["TagSpecifications"]
        for kind in ("instance", "volume"):
            [tags] = [s["Tags"] for s in specifications if s["ResourceType"] == kind]
            assert {"Key": "ServiceType", "Value": synthesised.settings.service_type} in tags


def test_the_boundary_is_on_every_role(synthesised, deployment):
    for role in of_type(deployment, "AWS::IAM::Role").values():
        found = role["Properties"].get("PermissionsBoundary")
        assert found == synthesised.settings.permissions_boundary


def test_the_path_is_on_every_role(synthesised, deployment):
    for role in of_type(deployment, "AWS::IAM::Role").values():
        assert role["Properties"].get("Path") == synthesised.settings.role_path


def test_logs_are_kept_as_long_as_the_file_says(synthesised, deployment):
    groups = of_type(deployment, "AWS::Logs::LogGroup")
    assert groups
    for group in groups.values():
        days = group["Properties"]["RetentionInDays"]
        assert days == synthesised.settings.log_retention_days


def test_every_function_writes_to_a_log_group_of_the_template(deployment):
    groups = of_type(deployment, "AWS::Logs::LogGroup")
    for function in of_type(deployment, "AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_one_key_reaches_every_log_group_and_function_of_a_new_cluster(name, deployment):
    keys = set()
    for stack, _, resource in deployment.resources("AWS::Logs::LogGroup", "AWS::Lambda::Function"):
        properties = deployment.value(stack, resource["Properties"])
        keys.add(properties.get("KmsKeyId", properties.get("KmsKeyArn")))
    # Beside an existing cluster there is no key unless the file names one.
    assert len(keys) == 1
    assert (keys == {None}) is (name == "existing-cluster")


# Least privilege.


def test_no_principal_is_everybody(deployment):
    for statement in statements(deployment):
        principal = statement.get("Principal", {})
        values = [principal] if isinstance(principal, str) else list(principal.values())
        assert "*" not in values
        assert ["*"] not in values


def test_no_node_role_has_the_cni_policy(deployment):
    nodes = [
        role
        for role in of_type(deployment, "AWS::IAM::Role").values()
        if "ec2.amazonaws.com" in json.dumps(role["Properties"]["AssumeRolePolicyDocument"])
    ]
    assert len(nodes) == (0 if "AWS::EKS::Cluster" not in _types(deployment) else 1)
    for role in nodes:
        assert "CNI" not in json.dumps(role)


def _types(deployment):
    return {resource["Type"] for _, _, resource in deployment.resources()}


@pytest.mark.parametrize(
    ("name", "administrators"),
    [
        ("china", []),
        ("existing-cluster", []),
        ("prod", ["arn:aws:iam::111122223333:role/platform-admin"]),
    ],
)
def test_nobody_administers_the_cluster_but_who_must(name, administrators):
    deployment = Deployment(environment(name).templates, WHERE[name][0])
    found = []
    for stack, _, entry in deployment.resources("AWS::EKS::AccessEntry"):
        properties = deployment.value(stack, entry["Properties"])
        if "AmazonEKSClusterAdminPolicy" in json.dumps(properties):
            found.append(properties["PrincipalArn"])
    assert [arn for arn in found if "ServiceAccountsBinderRole" not in arn] == administrators


def test_nobody_binds_into_a_namespace_that_a_new_cluster_does_not_have(name, synthesised):
    settings = synthesised.settings
    if settings.cluster.new is None:
        return
    makes = MAKE_NAMESPACES.get(name, set())
    bound = {a.namespace for a in settings.service_accounts if a.ownership == "CREATE"}
    assert bound <= makes | {"default", "kube-system"}


@pytest.mark.parametrize("name", MAKE_NAMESPACES)
def test_the_binder_administers_the_cluster_when_it_makes_namespaces(name):
    deployment = Deployment(environment(name).templates, WHERE[name][0])
    administrators = [
        deployment.value(stack, entry["Properties"])["PrincipalArn"]
        for stack, _, entry in deployment.resources("AWS::EKS::AccessEntry")
        if "AmazonEKSClusterAdminPolicy" in json.dumps(entry)
    ]
    accounts = environment(name).settings.service_accounts

    assert any("ServiceAccountsBinderRole" in arn for arn in administrators)
    assert {a.namespace for a in accounts if a.create_namespace} == MAKE_NAMESPACES[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MAKE_NAMESPACES])
def test_functions_enter_only_the_namespaces_that_they_bind(name):
    deployment = Deployment(environment(name).templates, WHERE[name][0])
    expected = {subject.partition(":")[0] for subject in SUBJECTS[name]}
    for stack, _, entry in deployment.resources("AWS::EKS::AccessEntry"):
        for policy in deployment.value(stack, entry["Properties"])["AccessPolicies"]:
            if "ClusterAdmin" not in policy["PolicyArn"]:
                assert policy["AccessScope"]["Type"] == "namespace"
                assert set(policy["AccessScope"]["Namespaces"]) <= expected


# Custom resources.


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("china", ["AwsNodeRebinding", "RootCaThumbprint", "ServiceAccounts"]),
        ("dev", ["AwsNodeRebinding", "RootCaThumbprint", "ServiceAccounts"]),
        ("existing-cluster", ["AwsNodeRebinding", "ServiceAccounts"]),
        ("local", ["AwsNodeRebinding", "RootCaThumbprint", "ServiceAccounts"]),
        ("prod", ["RootCaThumbprint", "ServiceAccounts"]),
    ],
)
def test_custom_resources_do_not_grow_with_the_accounts(name, types):
    deployment = Deployment(environment(name).templates)
    found = [
        resource["Type"].removeprefix("Custom::")
        for _, _, resource in deployment.resources()
        if resource["Type"].startswith(("Custom::", "AWS::CloudFormation::CustomResource"))
    ]
    assert sorted(found) == types


def test_the_nodes_come_after_aws_node_has_its_role(deployment):
    bindings = of_type(deployment, "Custom::AwsNodeRebinding", "AWS::EKS::Addon")
    for nodes in of_type(deployment, "AWS::EKS::Nodegroup").values():
        assert set(nodes["DependsOn"]) & set(bindings)


def test_instance_metadata_is_closed_on_every_node(deployment):
    for template in of_type(deployment, "AWS::EC2::LaunchTemplate").values():
        options = template["Properties"]["LaunchTemplateData"]["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)


def test_every_control_plane_log_is_kept(deployment):
    for cluster in of_type(deployment, "AWS::EKS::Cluster").values():
        logging = cluster["Properties"]["Logging"]["ClusterLogging"]["EnabledTypes"]
        assert {entry["Type"] for entry in logging} == {
            "api", "audit", "authenticator", "controllerManager", "scheduler",
        }  # fmt: skip


def test_partitions_are_nowhere_mixed(name, deployment):
    text = json.dumps(
        [deployment.value(stack, resource) for stack, _, resource in deployment.resources()]
    )
    partitions = set(re.findall(r"arn:(aws[a-z-]*):", text))
    assert partitions == {WHERE[name][0].partition}


# Templates as such.


def test_the_linter_finds_nothing(name, synthesised):
    for stack, template in synthesised.templates.items():
        found = cfn_lint.lint(
            json.dumps(template),
            config=ManualArgs(
                regions=[WHERE[name][0].region],
                # W3005: the CDK states its own dependencies twice, by reference and by DependsOn.
                # W6001: the chart values in our outputs name the cluster and VPC of another stack.
                ignore_checks=["W3005", "W6001"],
            ),
        )
        assert found == [], stack


@pytest.fixture(scope="module")
def synthesised_again(tmp_path_factory):
    """Every environment once more, in a process that hashes differently."""
    script = (
        "import json, sys\n"
        "from tests.support.templates import synthesise_environment\n"
        "print(json.dumps({n: str(synthesise_environment(n).folder) for n in sys.argv[1:]}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *NAMES],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo",
             "TMPDIR": str(tmp_path_factory.mktemp("again"))},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name: Path(folder) for name, folder in json.loads(done.stdout).items()}


def test_two_synths_are_the_same_byte_for_byte(name, synthesised, synthesised_again):
    for first in sorted(synthesised.folder.glob("*.template.json")):
        assert first.read_bytes() == (synthesised_again[name] / first.name).read_bytes(), first.name


def test_every_partition_is_walked():
    assert {place for _, place in DEPLOYMENTS} >= {COMMERCIAL, CHINA, GOVERNMENT}


@pytest.mark.parametrize("name", NAMES)
def test_the_review_finds_nothing(name):
    found = [
        one
        for template in environment(name).templates.values()
        for one in template_findings(template)
    ]
    assert found == []
