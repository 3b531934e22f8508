"""The VPC CNI, `aws-node`: gives addresses to pods."""

from typing import Any, Unpack

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from irsa_stack.cdk.controllers.controller import (
    AccountOptions,
    Controller,
    name_of_cluster,
    place_of,
)
from irsa_stack.cdk.service_accounts import ServiceAccounts
from irsa_stack.cloudformation.policy_document import trust_document
from irsa_stack.controllers import vpc_cni as policies
from irsa_stack.controllers.statements import Place
from irsa_stack.faults import refuse
from irsa_stack.kubernetes.service_account_request import Ownership


class VpcCni(Controller):
    """Define the role of the VPC CNI, and annotate the account that EKS made for it.

    Synthesises one `AWS::IAM::Role`, and binds `kube-system/aws-node`. The nodes keep their own
    permissions: to take those away, verified and reversible, use `AwsNodeRebinding`, and give it
    `vpc_cni_policy` for a scope like the one here.

    Args:
        service_accounts: the service accounts of the cluster.
        ip_family: `ipv4` or `ipv6`. Default: `ipv4`.
        cluster_scoped: whether to hold it to one cluster instead of the whole account. `aws-node`
            must have `CLUSTER_NAME` set, as the chart values do. Default: no; for IPv4 AWS's
            managed policy serves, which follows the releases of the VPC CNI.
        cluster_name: name of the cluster. Default: that of *service_accounts*.
        vpc_id: VPC of the cluster; needed with *cluster_scoped*.
        vpc_owner: account of the VPC, if it is shared with the cluster's. Default: the cluster's.
        namespace: namespace of the account. Default: `kube-system`.
        service_account: name of the account. Default: `aws-node`.
        ownership: whose object the account is: not ours, so that removing us keeps it. Default:
            `ADOPT`.
        account: more options of `ServiceAccounts.add`. Default: *restart* restarts the
            DaemonSet when its role changes.

    Raises:
        InvalidInput: a scope is empty, or a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import ImportedCluster, ServiceAccounts
        >>> from irsa_stack.controllers import VpcCni
        >>> stack = cdk.Stack()
        >>> accounts = ServiceAccounts(
        ...     stack,
        ...     "ServiceAccounts",
        ...     cluster=ImportedCluster(
        ...         name="payments-prod",
        ...         endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        ...         certificate_authority_data="LS0tLS1CRUdJTi...",
        ...         issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ...     ),
        ... )
        >>> cni = VpcCni(stack, "VpcCni", service_accounts=accounts)
        >>> str(cni.identity)
        'kube-system/aws-node'

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/cni-iam-role.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: ServiceAccounts,
        ip_family: str = policies.IPV4,
        cluster_scoped: bool = False,
        cluster_name: str | None = None,
        vpc_id: str | None = None,
        vpc_owner: str | None = None,
        namespace: str = "kube-system",
        service_account: str = "aws-node",
        ownership: Ownership = Ownership.ADOPT,
        **account: Unpack[AccountOptions],
    ) -> None:
        ownership = Ownership(ownership)
        if ownership is Ownership.CREATE:
            refuse(
                [
                    f"ownership must not be {ownership} for {namespace}/{service_account}, got it;"
                    " EKS made the account and pods lose their network without it, so ADOPT it"
                ]
            )
        cluster = name_of_cluster(service_accounts, cluster_name)
        documents = policies.policy_documents(
            place=place_of(service_accounts, vpc_owner=vpc_owner),
            ip_family=ip_family,
            cluster_scoped=cluster_scoped,
            cluster_name=cluster,
            vpc_id=vpc_id,
        )
        if ownership is Ownership.ADOPT:
            account.setdefault("restart", [f"daemonset/{service_account}"])
        super().__init__(
            scope,
            id,
            upstream=policies.UPSTREAM,
            service_accounts=service_accounts,
            namespace=namespace,
            service_account=service_account,
            ownership=ownership,
            documents=documents,
            wildcards=policies.WILDCARDS,
            chart_values={"env": _environment(cluster, ip_family)},
            attached=() if documents else (_managed_policy(),),
            names={cluster: "ClusterName", str(vpc_id): "VpcId"},
            **account,
        )


def vpc_cni_policy(
    ip_family: str = policies.IPV6,
    *,
    cluster_name: str | None = None,
    vpc_id: str | None = None,
    vpc_owner: str | None = None,
) -> dict[str, Any]:
    """Return the VPC CNI's policy, for `AwsNodeRebinding(cni_policy=...)` and `AwsNodeAddon`.

    Args:
        ip_family: `ipv4` or `ipv6`. For IPv4 a cluster and a VPC are needed: else AWS's managed
            policy is the better one.
        cluster_name: cluster to hold it to; `aws-node` must have `CLUSTER_NAME` set. Default: none.
        vpc_id: VPC of that cluster.
        vpc_owner: account of the VPC, if it is shared with the cluster's. Default: the cluster's.

    Returns:
        The document, for the account and region of the stack that it is used in.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.
    """
    documents = policies.policy_documents(
        place=Place(
            partition=Aws.PARTITION,
            region=Aws.REGION,
            account=Aws.ACCOUNT_ID,
            vpc_owner=vpc_owner,
        ),
        ip_family=ip_family,
        cluster_scoped=cluster_name is not None,
        cluster_name=cluster_name,
        vpc_id=vpc_id,
    )
    if not documents:
        refuse(
            [
                "cluster_name must be given with ip_family='ipv4', got none; without one, leave"
                " cni_policy out and AWS's managed policy is attached"
            ]
        )
    names = {str(cluster_name): "ClusterName", str(vpc_id): "VpcId"}
    return trust_document(documents["VpcCni"], names)


def _environment(cluster_name: str, ip_family: str) -> dict[str, str]:
    environment = {"CLUSTER_NAME": cluster_name}
    if ip_family == policies.IPV6:
        # https://github.com/aws/amazon-vpc-cni-k8s/blob/v1.23.0/README.md#enable_ipv6-v1100
        environment |= {
            "ENABLE_IPv4": "false",
            "ENABLE_IPv6": "true",
            "ENABLE_PREFIX_DELEGATION": "true",
        }
    return environment


def _managed_policy() -> iam.IManagedPolicy:
    return iam.ManagedPolicy.from_aws_managed_policy_name(policies.MANAGED_POLICY)
