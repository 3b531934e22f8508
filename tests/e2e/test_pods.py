"""The way of a pod: webhook, projected token, the SDK's own credential chain; and aws-node's."""

import pytest

from rehearsal.account import REGION
from rehearsal.pods import create_pod, run_in_pod
from rehearsal.product import CLUSTER_STACK

WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


@pytest.fixture
def image(deployed):
    """Variables that lead the SDK to the emulated account, and give it no credentials."""
    return {
        "AWS_ENDPOINT_URL": deployed.account.endpoint,
        "AWS_CA_BUNDLE": str(deployed.account.chain.root),
        "AWS_DEFAULT_REGION": REGION,
    }


@pytest.fixture
def run(deployed, tmp_path, image):
    def who(name, *, namespace="apps"):
        return run_in_pod(
            deployed.kubernetes,
            name,
            namespace=namespace,
            folder=tmp_path / name,
            program=WHO_AM_I,
            environment=image,
        )

    return who


def container_variables(deployed, name):
    pod = deployed.kubernetes.get("pod", name, namespace="apps")
    return {item["name"]: item["value"] for item in pod["spec"]["containers"][0].get("env", [])}


def test_a_pod_is_given_its_role_and_a_token(deployed):
    create_pod(deployed.kubernetes, "given", namespace="apps", service_account="reader")
    variables = container_variables(deployed, "given")
    assert variables["AWS_ROLE_ARN"] == deployed.role_arn
    token_file = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
    assert variables["AWS_WEB_IDENTITY_TOKEN_FILE"] == token_file
    assert variables["AWS_STS_REGIONAL_ENDPOINTS"] == "regional"


def test_the_sdks_default_chain_becomes_the_role(deployed, run):
    create_pod(deployed.kubernetes, "becomes", namespace="apps", service_account="reader")
    role_name = deployed.role_arn.rsplit("/", 1)[1]
    assert f":assumed-role/{role_name}/" in run("becomes").stdout


def test_a_pod_of_another_account_that_names_the_role_is_denied(deployed, run):
    deployed.kubernetes.create_service_account(
        "thief", namespace="apps", annotations={"eks.amazonaws.com/role-arn": deployed.role_arn}
    )
    create_pod(deployed.kubernetes, "thief", namespace="apps", service_account="thief")
    done = run("thief")
    assert done.returncode != 0
    assert "(AccessDenied)" in done.stderr


def test_a_pod_of_an_account_without_a_role_has_no_credentials(deployed, run):
    create_pod(deployed.kubernetes, "plain", namespace="apps", service_account="default")
    assert "NoCredentialsError" in run("plain").stderr


def test_a_pod_older_than_the_annotation_has_nothing_until_it_is_made_again(deployed, run):
    cluster = deployed.kubernetes
    cluster.create_service_account("late", namespace="apps")
    create_pod(cluster, "late", namespace="apps", service_account="late")
    role = f"eks.amazonaws.com/role-arn={deployed.role_arn}"
    cluster.kubectl("annotate", "serviceaccount", "late", "--namespace=apps", role)
    assert "NoCredentialsError" in run("late").stderr
    cluster.kubectl("delete", "pod", "late", "--namespace=apps", "--wait")
    create_pod(cluster, "late", namespace="apps", service_account="late")
    assert container_variables(deployed, "late")["AWS_ROLE_ARN"] == deployed.role_arn


@pytest.fixture(scope="module")
def outputs(deployed):
    return deployed.cdk.outputs()[CLUSTER_STACK]


def test_every_pod_of_aws_node_has_the_role(deployed, outputs):
    path = "{.items[*].spec.containers[0].env[?(@.name=='AWS_ROLE_ARN')].value}"
    roles = deployed.kubernetes.kubectl(
        "get",
        "pods",
        "--namespace=kube-system",
        "--selector=k8s-app=aws-node",
        f"--output=jsonpath={path}",
    )
    assert roles.split() == [outputs["AwsNodeRoleArn"]] * 2


def test_aws_node_may_assume_its_role(deployed, outputs):
    token = deployed.token("aws-node", namespace="kube-system")
    answer = deployed.account.assume_role(outputs["AwsNodeRoleArn"], token)
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:kube-system:aws-node"


def test_the_role_of_aws_node_alone_holds_the_cni_policy(deployed, outputs):
    iam = deployed.account.client("iam")

    def policies(role_arn):
        attached = iam.list_attached_role_policies(RoleName=role_arn.rsplit("/", 1)[1])
        return {policy["PolicyName"] for policy in attached["AttachedPolicies"]}

    assert policies(outputs["AwsNodeRoleArn"]) == {"AmazonEKS_CNI_Policy"}
    assert "AmazonEKS_CNI_Policy" not in policies(outputs["NodeRoleArn"])
