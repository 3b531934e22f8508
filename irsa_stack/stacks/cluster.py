"""A new cluster: control plane, OIDC provider, `aws-node` on its own role, nodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Aws, CfnOutput, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from irsa_stack.aws_node import AwsNodeAddon, AwsNodeRebinding
from irsa_stack.cluster_connection import ClusterConnection, is_restricted
from irsa_stack.config import EndpointSettings, Environment, NewCluster
from irsa_stack.deploy_time import is_deploy_time
from irsa_stack.faults import InvalidInput
from irsa_stack.handler_function import FunctionNetwork
from irsa_stack.oidc_provider import EksOidcProvider
from irsa_stack.service_accounts import IrsaServiceAccounts
from irsa_stack.stacks.network import define_vpc
from irsa_stack.stacks.nodes import NodeGroups, define_node_role
from irsa_stack.stacks.review import acknowledge
from irsa_stack.stacks.settings import (
    apply_settings,
    checked,
    function_settings,
    log_retention,
    stack_arguments,
)

_LOG_TYPES = {
    "api": eks.ClusterLoggingTypes.API,
    "audit": eks.ClusterLoggingTypes.AUDIT,
    "authenticator": eks.ClusterLoggingTypes.AUTHENTICATOR,
    "controllerManager": eks.ClusterLoggingTypes.CONTROLLER_MANAGER,
    "scheduler": eks.ClusterLoggingTypes.SCHEDULER,
}


_ZONES_AT_MOST = 6


class EksClusterStack(Stack):
    """Define a new cluster whose pods get their roles from service accounts only.

    Synthesises the VPC (or imports one), the cluster with its logs, the IAM OIDC provider with the
    computed thumbprint, `aws-node` on a role of its own, and then the nodes: without the CNI policy
    and with a closed metadata service.

    Args:
        settings: the environment, as `Environment` or as what its file holds; its `cluster.new`
            must be given.
        files: folder that files named in *settings* are relative to. Default: the current one.
        kwargs: properties of the CDK's `Stack`. Default: account, region and tags of *settings*.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack.stacks import EksClusterStack
        >>> stack = EksClusterStack(
        ...     cdk.App(),
        ...     "payments-dev-cluster",
        ...     settings={
        ...         "service_type": "payments",
        ...         "environment": "dev",
        ...         "cluster": {"new": {"version": "1.36", "vpc": {"cidr": "10.0.0.0/16"}}},
        ...         "nodes": [{"name": "general", "instance_types": ["m7i.large"]}],
        ...     },
        ... )

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Environment | Mapping[str, Any],
        files: Path | None = None,
        **kwargs: Any,  # noqa: ANN401 (the CDK's StackProps)
    ) -> None:
        settings = checked(settings)
        new = settings.cluster.new
        if new is None:
            raise InvalidInput(
                [
                    "settings must have cluster.new, got cluster.existing of"
                    f" {settings.cluster_name!r}; use ServiceAccountsStack alone"
                ]
            )
        super().__init__(scope, id, **{**stack_arguments(settings), **kwargs})
        key = _define_key(self, new)
        functions = function_settings(self, settings, default_key=key)
        self.log_key: kms.IKey | None = functions.encryption_key
        """KMS key of logs and functions."""

        self.vpc: ec2.IVpc = define_vpc(self, "Vpc", new.vpc, functions)
        """VPC of the cluster."""
        self.cluster: eks.Cluster = self._define_cluster(settings, new, key)
        """The cluster."""
        self.oidc_provider = EksOidcProvider(
            self,
            "OidcProvider",
            issuer_url=self.cluster.cluster_open_id_connect_issuer_url,
            thumbprints=settings.oidc.source,
            refresh=settings.oidc.refresh,
            ca_bundle=settings.oidc.ca_bundle(files or Path()),
            allow_private=settings.oidc.allow_private,
            settings=functions,
        )
        """IAM OIDC provider of the cluster."""
        self.connection = ClusterConnection(
            cluster_name=self.cluster.cluster_name,
            endpoint=self.cluster.cluster_endpoint,
            certificate_authority_data=self.cluster.cluster_certificate_authority_data,
            network=_network(new.endpoint, self.vpc, self.cluster),
            kubernetes_version=new.version,
        )
        """How functions reach the cluster."""
        accounts = IrsaServiceAccounts(
            self,
            "ServiceAccounts",
            cluster=self.connection,
            oidc_provider=self.oidc_provider,
            settings=functions,
        )
        # Before the nodes: they have no CNI policy, and would never become ready without this.
        aws_node: AwsNodeRebinding | AwsNodeAddon
        if settings.vpc_cni_mode == "addon":
            aws_node = AwsNodeAddon(
                self, "AwsNode", service_accounts=accounts, removal_policy=RemovalPolicy.DESTROY
            )
        else:
            aws_node = AwsNodeRebinding(self, "AwsNode", service_accounts=accounts)
        self.node_role: iam.IRole = define_node_role(self, "NodeRole", path=settings.role_path)
        """Role of the nodes."""
        NodeGroups(
            self,
            "Nodes",
            cluster_name=self.cluster.cluster_name,
            vpc=self.vpc,
            groups=settings.nodes,
            role=self.node_role,
            guard=settings.metadata_guard,
            after=[aws_node.binding],
        )
        apply_settings(self, settings)
        acknowledge(self, settings)
        self._define_outputs(settings, aws_node)

    @property
    def exported_vpc_id(self) -> str:
        """Id of the VPC for another stack.

        Exported here and not when it is used, so that its name is known to those who say why a
        policy names it.
        """
        vpc_id = self.vpc.vpc_id
        return str(self.export_value(vpc_id)) if is_deploy_time(vpc_id) else vpc_id

    @property
    def availability_zones(self) -> list[str]:
        """Zones by position: asking which there are would need an account at synth."""
        return [Fn.select(position, Fn.get_azs()) for position in range(_ZONES_AT_MOST)]

    def _define_cluster(self, settings: Environment, new: NewCluster, key: kms.IKey) -> eks.Cluster:
        # EKS would make the group itself, and keep the logs for ever.
        log_group = logs.LogGroup(
            self,
            "ControlPlaneLogs",
            log_group_name=f"/aws/eks/{settings.cluster_name}/cluster",
            retention=log_retention(settings),
            encryption_key=self.log_key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        cluster = eks.Cluster(
            self,
            "Cluster",
            cluster_name=settings.cluster_name,
            version=eks.KubernetesVersion.of(new.version),
            vpc=self.vpc,
            vpc_subnets=_subnets(self.vpc),
            cluster_logging=[_LOG_TYPES[name] for name in new.log_types],
            endpoint_access=_endpoint_access(new.endpoint),
            secrets_encryption_key=key,
            role=iam.Role(
                self,
                "ClusterRole",
                assumed_by=iam.ServicePrincipal("eks.amazonaws.com"),
                path=settings.role_path,
                managed_policies=[
                    iam.ManagedPolicy.from_aws_managed_policy_name("AmazonEKSClusterPolicy")
                ],
            ),
            default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
            default_capacity=0,
            output_config_command=False,
        )
        cluster.node.add_dependency(log_group)
        for position, role_arn in enumerate(new.administrators):
            cluster.grant_cluster_admin(f"Administrator{position}", role_arn)
        return cluster

    def _define_outputs(
        self, settings: Environment, aws_node: AwsNodeRebinding | AwsNodeAddon
    ) -> None:
        outputs = {
            "ClusterName": self.cluster.cluster_name,
            "IssuerUrl": self.cluster.cluster_open_id_connect_issuer_url,
            "OidcProviderArn": self.oidc_provider.provider_arn,
            "AwsNodeRoleArn": aws_node.role.role_arn,
            "NodeRoleArn": self.node_role.role_arn,
            "UpdateKubeconfig": (
                f"aws eks update-kubeconfig --name {settings.cluster_name} --region {Aws.REGION}"
            ),
        }
        computed = self.oidc_provider.root_ca_thumbprint
        if computed is not None:
            outputs |= {
                "Thumbprints": Fn.join(",", computed.thumbprints),
                "CertificateSubject": computed.certificate_subject,
                "CertificateNotAfter": computed.not_after,
            }
        if isinstance(aws_node, AwsNodeRebinding):
            outputs |= {
                "AwsNodeNodesChecked": aws_node.nodes_checked,
                "AwsNodeRoleSeen": aws_node.role_seen,
            }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


def _define_key(scope: Construct, new: NewCluster) -> kms.IKey:
    """Return the key of secrets and logs: the user's, or one that outlives the cluster."""
    if new.secrets_encryption_key is not None:
        return kms.Key.from_key_arn(scope, "Key", new.secrets_encryption_key)
    key = kms.Key(
        scope,
        "Key",
        description="Secrets and logs of the EKS cluster",
        enable_key_rotation=True,
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}")],
            actions=[
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": (
                        f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:*"
                    )
                }
            },
        )
    )
    return key


def _subnets(vpc: ec2.IVpc) -> list[ec2.SubnetSelection]:
    """Return where the control plane meets the VPC, which may have private subnets only."""
    kinds = [ec2.SubnetType.PUBLIC] if vpc.public_subnets else []
    return [
        ec2.SubnetSelection(subnet_type=kind)
        for kind in (*kinds, ec2.SubnetType.PRIVATE_WITH_EGRESS)
    ]


def _endpoint_access(endpoint: EndpointSettings) -> eks.EndpointAccess:
    if not endpoint.public:
        return eks.EndpointAccess.PRIVATE
    access = (
        eks.EndpointAccess.PUBLIC_AND_PRIVATE if endpoint.private else eks.EndpointAccess.PUBLIC
    )
    return access.only_from(*endpoint.public_cidrs) if endpoint.public_cidrs else access


def _network(
    endpoint: EndpointSettings, vpc: ec2.IVpc, cluster: eks.Cluster
) -> FunctionNetwork | None:
    """Return where functions run: in the VPC, unless the endpoint lets everybody's requests in."""
    if not endpoint.private or (endpoint.public and not is_restricted(endpoint.public_cidrs)):
        return None
    return FunctionNetwork(vpc=vpc, security_groups=[cluster.cluster_security_group])
