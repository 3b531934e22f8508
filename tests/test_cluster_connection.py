import pytest
from aws_cdk import Stack, aws_ec2, aws_eks, aws_eks_v2

from irsa_stack import ClusterConnection, InvalidInput
from tests.support.clusters import connection
from tests.support.templates import app_with_flags


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


@pytest.fixture
def vpc(stack):
    return aws_ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a", "b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )  # fmt: skip


def new_cluster(stack, vpc, **kwargs):
    return aws_eks_v2.Cluster(
        stack, "Cluster", vpc=vpc, version=aws_eks_v2.KubernetesVersion.V1_34,
        default_capacity_type=aws_eks_v2.DefaultCapacityType.NODEGROUP, default_capacity=0,
        vpc_subnets=[aws_ec2.SubnetSelection(subnets=vpc.private_subnets)], **kwargs,
    )  # fmt: skip


def test_a_connection_is_itself():
    cluster = connection()
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
    assert fault.endswith("pass ClusterConnection.from_attributes(...)")


@pytest.mark.parametrize("cluster", ["payments", None, 1])
def test_what_is_no_cluster_is_refused(cluster):
    with pytest.raises(InvalidInput, match="cluster must have a name"):
        ClusterConnection.of(cluster)


def test_empty_attributes_are_refused_all_at_once():
    with pytest.raises(InvalidInput) as caught:
        ClusterConnection.from_attributes(
            cluster_name="", endpoint="", certificate_authority_data=""
        )
    assert len(caught.value.faults) == 3


def test_a_vpc_needs_the_groups_that_the_endpoint_lets_in(vpc):
    with pytest.raises(InvalidInput, match="security_groups must be given with vpc"):
        connection(vpc=vpc)


def test_groups_need_a_vpc(stack):
    group = aws_ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")
    with pytest.raises(InvalidInput, match="vpc must be given with security_groups"):
        connection(security_groups=[group])
