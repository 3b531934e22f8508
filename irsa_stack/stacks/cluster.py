"""A new cluster: control plane, OIDC provider, `aws-node` on its own role, nodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from aws_cdk import Annotations, Aws, CfnOutput, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from irsa_stack.cdk.aws_node import AwsNodeAddon, AwsNodeRebinding
from irsa_stack.cdk.cluster_connection import ClusterConnection, is_restricted
from irsa_stack.cdk.handler_function import FunctionNetwork
from irsa_stack.cdk.oidc_provider import EksOidcProvider
from irsa_stack.cdk.role_options import RoleDefaults
from irsa_stack.cdk.service_accounts import ServiceAccounts
from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.environment.cluster import EndpointSettings, NewCluster
from irsa_stack.environment.environment import Environment
from irsa_stack.faults import InvalidInput
from irsa_stack.stacks.network import ZONES_AT_MOST, define_vpc
from irsa_stack.stacks.nodes import NodeGroups, define_node_role
from irsa_stack.stacks.review import acknowledge
from irsa_stack.stacks.settings import (
    apply_settings,
    checked,
    function_options,
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


_CONTROL_PLANE_ZONES = 2


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
        self.key: kms.IKey = _define_key(self, new)
        """KMS key of the cluster's secrets."""
        roles = RoleDefaults(path=settings.role_path)
        functions = function_options(self, settings, default_key=self.key)
        self.log_key: kms.IKey | None = functions.encryption_key
        """KMS key of logs and functions."""

        self.vpc: ec2.IVpc = define_vpc(
            self, "Vpc", new.vpc, functions=functions, role_path=settings.role_path
        )
        """VPC of the cluster."""
        self.cluster: eks.Cluster = self._define_cluster(settings, new)
        """The cluster."""
        self.function_group = ec2.SecurityGroup(
            self,
            "FunctionGroup",
            vpc=self.vpc,
            description="Functions that reach the private endpoint",
        )
        """Security group of functions in the VPC."""
        let_in = ec2.CfnSecurityGroupIngress(
            self,
            "FunctionsToCluster",
            group_id=self.cluster.cluster_security_group_id,
            source_security_group_id=self.function_group.security_group_id,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="Functions that bind service accounts",
        )
        self.oidc_provider = EksOidcProvider(
            self,
            "OidcProvider",
            issuer_url=self.cluster.cluster_open_id_connect_issuer_url,
            thumbprints=settings.oidc.source,
            refresh=settings.oidc.refresh,
            ca_bundle=settings.oidc.ca_bundle(files or Path()),
            allow_private=settings.oidc.allow_private,
            functions=functions,
            roles=roles,
        )
        """IAM OIDC provider of the cluster."""
        self.connection = ClusterConnection(
            cluster_name=self.cluster.cluster_name,
            endpoint=self.cluster.cluster_endpoint,
            certificate_authority_data=self.cluster.cluster_certificate_authority_data,
            network=self._define_network(new.endpoint),
            kubernetes_version=new.version,
        )
        """How functions reach the cluster."""
        accounts = ServiceAccounts(
            self,
            "ServiceAccounts",
            cluster=self.connection,
            oidc_provider=self.oidc_provider,
            refresh=settings.service_account_refresh,
            functions=functions,
            roles=roles,
        )
        # Before the nodes: they have no CNI policy, and would never become ready without this.
        aws_node: AwsNodeRebinding | AwsNodeAddon
        if settings.vpc_cni_mode == "addon":
            # Not "AwsNode": CloudFormation gives no logical id another type in an update.
            aws_node = AwsNodeAddon(
                self,
                "AwsNodeAddon",
                service_accounts=accounts,
                removal_policy=RemovalPolicy.DESTROY,
            )
        else:
            aws_node = AwsNodeRebinding(self, "AwsNode", service_accounts=accounts)
            aws_node.binding.node.add_dependency(let_in)
        self.node_role: iam.IRole = define_node_role(self, "NodeRole", path=settings.role_path)
        """Role of the nodes."""
        NodeGroups(
            self,
            "Nodes",
            cluster_name=self.cluster.cluster_name,
            version=new.version,
            vpc=self.vpc,
            groups=settings.nodes,
            role=self.node_role,
            guard=settings.metadata_guard,
            after=[aws_node.binding],
        )
        apply_settings(self, settings)
        acknowledge(self, settings)
        self._define_outputs(settings, aws_node)
        self._export_what_others_may_import()

    @property
    def exported_vpc_id(self) -> str:
        """Id of the VPC for another stack.

        Exported here and not when it is used, so that its name is known to those who say why a
        policy names it.
        """
        vpc_id = self.vpc.vpc_id
        return str(self.export_value(vpc_id)) if is_deploy_time(vpc_id) else vpc_id

    def _export_what_others_may_import(self) -> None:
        """Export all that the stacks of service accounts may import, whether they do or not.

        CloudFormation refuses to drop an export that is in use, and this stack is deployed first.
        An export that came and went with a setting would bar the way back.
        """
        cluster = self.cluster
        values = [
            self.vpc.vpc_id,
            *(subnet.subnet_id for subnet in self.function_subnets),
            self.function_group.security_group_id,
            cluster.cluster_name,
            cluster.cluster_endpoint,
            cluster.cluster_certificate_authority_data,
            cluster.cluster_open_id_connect_issuer_url,
            self.oidc_provider.provider_arn,
            self.key.key_arn,
        ]
        for value in values:
            if is_deploy_time(value):
                self.export_value(value)

    def _define_network(self, endpoint: EndpointSettings) -> FunctionNetwork | None:
        """Return where functions run: in the VPC, unless the endpoint lets everybody in.

        Their group is not the cluster's own: EKS could not delete that one while the functions'
        network interfaces stay, which is for minutes after the functions are gone.
        """
        if not endpoint.private or (endpoint.public and not is_restricted(endpoint.public_cidrs)):
            return None
        return FunctionNetwork(
            vpc=self.vpc,
            security_groups=[self.function_group],
            subnets=ec2.SubnetSelection(subnets=self.function_subnets),
        )

    @property
    def function_subnets(self) -> list[ec2.ISubnet]:
        """Where functions run in the VPC: two zones, which every environment has."""
        return self.vpc.private_subnets[:_CONTROL_PLANE_ZONES]

    @property
    def availability_zones(self) -> list[str]:
        """Zones by position: asking which there are would need an account at synth."""
        return [Fn.select(position, Fn.get_azs()) for position in range(ZONES_AT_MOST)]

    def _define_cluster(self, settings: Environment, new: NewCluster) -> eks.Cluster:
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
            vpc_subnets=_control_plane_subnets(self.vpc),
            cluster_logging=[_LOG_TYPES[name] for name in new.log_types],
            endpoint_access=_endpoint_access(new.endpoint),
            secrets_encryption_key=self.key,
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
        # Always written: CloudFormation refuses an update that leaves it out once it was there.
        # https://github.com/aws/aws-cdk/issues/37926
        resource = cast("eks.CfnCluster", cluster.node.default_child)
        resource.add_property_override(
            "ResourcesVpcConfig.PublicAccessCidrs", new.endpoint.public_cidrs or ["0.0.0.0/0"]
        )
        cluster.node.add_dependency(log_group)
        # EKS writes on while the cluster is deleted, and makes its group again if that is gone. The
        # VPC takes minutes to delete; only then goes the group.
        self.vpc.node.add_dependency(log_group)
        if new.vpc.id is not None:
            Annotations.of(cluster).acknowledge_warning(
                "@aws-cdk/aws-eks:clusterMustManuallyTagSubnet",
                "said once for all subnets, as a note: no key of an environment file could answer",
            )
            Annotations.of(self).add_info(
                "The subnets are not ours to tag. For load balancers in them, tag the private ones"
                " kubernetes.io/role/internal-elb=1 and the public ones kubernetes.io/role/elb=1"
            )
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


def _control_plane_subnets(vpc: ec2.IVpc) -> list[ec2.SubnetSelection]:
    """Return where the control plane meets the VPC, which may have private subnets only.

    Two zones, however many the nodes have: EKS takes no other zones than the first ones later.

    See: https://github.com/aws/containers-roadmap/issues/2330
    """
    kinds = [vpc.public_subnets] if vpc.public_subnets else []
    return [
        ec2.SubnetSelection(subnets=subnets[:_CONTROL_PLANE_ZONES])
        for subnets in (*kinds, vpc.private_subnets)
    ]


def _endpoint_access(endpoint: EndpointSettings) -> eks.EndpointAccess:
    if not endpoint.public:
        return eks.EndpointAccess.PRIVATE
    return eks.EndpointAccess.PUBLIC_AND_PRIVATE if endpoint.private else eks.EndpointAccess.PUBLIC
