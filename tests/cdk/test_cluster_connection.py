import pytest
from aws_cdk import Stack, aws_ec2, aws_eks, aws_eks_v2, aws_iam
from aws_cdk.assertions import Annotations, Match
from aws_cdk.lambda_layer_kubectl_v29 import KubectlV29Layer

from irsa_stack import AwsNodeRebinding, ImportedCluster, InvalidInput
from irsa_stack.cdk.cluster_connection import ClusterConnection
from tests.support.clusters import connection, service_accounts
from tests.support.templates import app_with_flags, properties_of, types_of


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def vpc(stack):
    return aws_ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )  # fmt: skip


def new_cluster(stack, vpc, subnets=None, **kwargs):
    return aws_eks_v2.Cluster(
        stack, "Cluster", vpc=vpc, version=aws_eks_v2.KubernetesVersion.V1_34,
        default_capacity_type=aws_eks_v2.DefaultCapacityType.NODEGROUP, default_capacity=0,
        vpc_subnets=[aws_ec2.SubnetSelection(subnets=subnets or vpc.private_subnets)], **kwargs,
    )  # fmt: skip


def old_cluster(stack, vpc, **kwargs):
    return aws_eks.Cluster(
        stack, "Cluster", vpc=vpc, version=aws_eks.KubernetesVersion.V1_34, default_capacity=0,
        kubectl_layer=KubectlV29Layer(stack, "Layer"),
        vpc_subnets=[aws_ec2.SubnetSelection(subnets=vpc.private_subnets)], **kwargs,
    )  # fmt: skip


def test_a_connection_is_itself():
    cluster = connection().connection
    assert ClusterConnection.of(cluster) is cluster


def test_a_cluster_of_aws_eks_v2_is_read(stack, vpc):
    found = ClusterConnection.of(new_cluster(stack, vpc))
    assert stack.resolve(found.endpoint)["Fn::GetAtt"][1] == "Endpoint"
    certificate = stack.resolve(found.certificate_authority_data)
    assert certificate["Fn::GetAtt"][1] == "CertificateAuthorityData"
    assert found.network is None


def test_a_private_endpoint_is_reached_from_the_vpc(stack, vpc):
    cluster = new_cluster(stack, vpc, endpoint_access=aws_eks_v2.EndpointAccess.PRIVATE)
    network = ClusterConnection.of(cluster).network
    assert network is not None
    assert len(network.security_groups) == 1


EVERYBODY = aws_eks_v2.EndpointAccess.PUBLIC_AND_PRIVATE
OFFICE = "203.0.113.0/24"


def test_a_public_endpoint_for_named_addresses_is_reached_from_the_vpc(stack, vpc):
    cluster = new_cluster(stack, vpc, endpoint_access=EVERYBODY.only_from(OFFICE))
    assert ClusterConnection.of(cluster).network is not None


@pytest.mark.parametrize(
    "access",
    [EVERYBODY, EVERYBODY.only_from(OFFICE, "0.0.0.0/0"), aws_eks_v2.EndpointAccess.PUBLIC],
    ids=["everybody", "everybody, spelt out", "public only"],
)
def test_a_public_endpoint_for_everybody_needs_no_vpc(stack, vpc, access):
    assert ClusterConnection.of(new_cluster(stack, vpc, endpoint_access=access)).network is None


@pytest.mark.parametrize("access", ["PRIVATE", "PUBLIC_AND_PRIVATE", "only_from"])
def test_a_private_endpoint_of_aws_eks_is_reached_where_its_own_kubectl_runs(stack, vpc, access):
    kinds = aws_eks.EndpointAccess
    cluster = old_cluster(
        stack,
        vpc,
        endpoint_access=(
            kinds.PUBLIC_AND_PRIVATE.only_from(OFFICE)
            if access == "only_from"
            else getattr(kinds, access)
        ),
    )
    network = ClusterConnection.of(cluster).network
    assert network is not None
    assert [subnet.subnet_id for subnet in network.subnets.subnets] == ["subnet-1", "subnet-2"]
    assert len(network.security_groups) == 1


def test_a_public_endpoint_of_aws_eks_needs_no_vpc(stack, vpc):
    cluster = old_cluster(stack, vpc, endpoint_access=aws_eks.EndpointAccess.PUBLIC)
    assert ClusterConnection.of(cluster).network is None


def test_an_import_of_aws_eks_is_reached_where_its_kubectl_is_said_to_run(stack, vpc):
    def imported(id, **kwargs):
        return aws_eks.Cluster.from_cluster_attributes(
            stack, id, cluster_name="payments", cluster_endpoint="https://x.example",
            cluster_certificate_authority_data="LS0t", kubectl_private_subnet_ids=["subnet-1"],
            kubectl_security_group_id="sg-1", **kwargs,
        )  # fmt: skip

    assert ClusterConnection.of(imported("Whole", vpc=vpc)).network is not None
    assert ClusterConnection.of(imported("NoVpc")).network is None


def test_functions_run_in_isolated_subnets_where_there_are_no_others(stack):
    vpc = aws_ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"],
        isolated_subnet_ids=["subnet-1", "subnet-2"],
    )  # fmt: skip
    cluster = new_cluster(
        stack, vpc, subnets=vpc.isolated_subnets, endpoint_access=aws_eks_v2.EndpointAccess.PRIVATE
    )
    service_accounts(stack, cluster=cluster).add("apps/api")
    assert properties_of(stack, "AWS::Lambda::Function")["VpcConfig"]["SubnetIds"] == [
        "subnet-1",
        "subnet-2",
    ]


def test_a_vpc_without_private_subnets_is_refused_with_the_way_out(stack):
    vpc = aws_ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"],
        public_subnet_ids=["subnet-1", "subnet-2"],
    )  # fmt: skip
    group = aws_ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
    accounts = service_accounts(stack, cluster=connection(vpc=vpc, security_groups=[group]))
    with pytest.raises(InvalidInput, match=r"ImportedCluster\(subnets=\.\.\.\)"):
        accounts.add("apps/api")


def warnings(stack, cluster, **kwargs):
    accounts = service_accounts(stack, cluster=cluster, **kwargs)
    accounts.add("apps/api")
    AwsNodeRebinding(stack, "AwsNode", service_accounts=accounts)
    return Annotations.from_stack(stack).find_warning(
        "*", Match.string_like_regexp("cluster must take access entries")
    )


MODES = aws_eks.AuthenticationMode


@pytest.mark.parametrize("mode", [None, MODES.CONFIG_MAP])
def test_a_cluster_without_access_entries_gets_a_warning_with_the_cure(stack, vpc, mode):
    found = warnings(stack, old_cluster(stack, vpc, authentication_mode=mode))
    assert [one.id for one in found] == ["/Stack/ServiceAccounts", "/Stack/AwsNode"]
    assert "API_AND_CONFIG_MAP" in found[0].entry.data


@pytest.mark.parametrize("mode", [MODES.API, MODES.API_AND_CONFIG_MAP])
def test_a_cluster_with_access_entries_gets_no_warning(stack, vpc, mode):
    assert not warnings(stack, old_cluster(stack, vpc, authentication_mode=mode))


def test_a_role_handed_in_needs_no_access_entry_and_no_warning(stack, vpc):
    role = aws_iam.Role(
        stack, "Handler", assumed_by=aws_iam.ServicePrincipal("lambda.amazonaws.com")
    )
    assert not warnings(stack, old_cluster(stack, vpc), handler_role=role)
    assert "AWS::EKS::AccessEntry" not in types_of(stack)


@pytest.mark.parametrize("eks", [aws_eks, aws_eks_v2])
def test_an_import_does_not_tell_and_gets_no_warning(stack, eks):
    cluster = eks.Cluster.from_cluster_attributes(
        stack, "Cluster", cluster_name="payments", cluster_endpoint="https://x.example",
        cluster_certificate_authority_data="LS0t",
    )  # fmt: skip
    assert not warnings(stack, cluster)


@pytest.mark.parametrize("eks", [aws_eks, aws_eks_v2])
def test_an_imported_cluster_with_all_attributes_is_read(stack, eks):
    cluster = eks.Cluster.from_cluster_attributes(
        stack,
        "Cluster",
        cluster_name="payments",
        cluster_endpoint="https://x.example",
        cluster_certificate_authority_data="LS0t",
    )
    found = ClusterConnection.of(cluster)
    assert (found.cluster_name, found.endpoint) == ("payments", "https://x.example")


@pytest.mark.parametrize("eks", [aws_eks, aws_eks_v2])
def test_an_import_that_lacks_an_attribute_is_refused(stack, eks):
    cluster = eks.Cluster.from_cluster_attributes(stack, "Cluster", cluster_name="payments")
    with pytest.raises(InvalidInput) as caught:
        ClusterConnection.of(cluster)
    [fault] = caught.value.faults
    assert fault.startswith("cluster must have a name, an endpoint and a certificate authority")
    assert fault.endswith("pass ImportedCluster(...)")


@pytest.mark.parametrize("cluster", ["payments", None, 1])
def test_what_is_no_cluster_is_refused(cluster):
    with pytest.raises(InvalidInput, match="cluster must have a name"):
        ClusterConnection.of(cluster)


def test_empty_attributes_are_refused_all_at_once():
    with pytest.raises(InvalidInput) as caught:
        ImportedCluster(name="", endpoint="", certificate_authority_data="", issuer_url="")
    assert len(caught.value.faults) == 4


def test_a_function_gets_a_group_of_its_own_where_none_is_given(stack, vpc):
    accounts = service_accounts(stack, cluster=connection(vpc=vpc))
    accounts.add("apps/api")
    group = properties_of(stack, "AWS::EC2::SecurityGroup")
    assert group["VpcId"] == "vpc-1"
    assert len(properties_of(stack, "AWS::Lambda::Function")["VpcConfig"]["SecurityGroupIds"]) == 1


def test_subnets_need_a_vpc():
    with pytest.raises(InvalidInput, match="vpc must be given with subnets"):
        connection(subnets=aws_ec2.SubnetSelection(subnet_group_name="private"))


def test_groups_need_a_vpc(stack):
    group = aws_ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
    with pytest.raises(InvalidInput, match="vpc must be given with security_groups"):
        connection(security_groups=[group])
