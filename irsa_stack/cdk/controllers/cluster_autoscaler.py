"""cluster-autoscaler: keeps the number of nodes."""

from collections.abc import Mapping
from typing import Unpack

from constructs import Construct

from irsa_stack.cdk.controllers.controller import (
    AccountOptions,
    Controller,
    name_of_cluster,
    place_of,
)
from irsa_stack.cdk.service_accounts import ServiceAccounts
from irsa_stack.controllers import cluster_autoscaler as policies
from irsa_stack.kubernetes.service_account_request import Ownership


class ClusterAutoscaler(Controller):
    """Define the account and the role of cluster-autoscaler, held to the groups of one cluster.

    Synthesises one `AWS::IAM::Role` with one inline policy, and binds the account. The chart values
    make the controller discover exactly the groups that the policy lets it size.

    Args:
        service_accounts: the service accounts of the cluster.
        cluster_name: name of the cluster. Default: that of *service_accounts*.
        node_group_tags: tags that an Auto Scaling group must have, all of them, to be sized.
            Default: `k8s.io/cluster-autoscaler/NAME: owned`, which managed node groups have.
        namespace: namespace of the account. Default: `kube-system`.
        service_account: name of the account. Default: `cluster-autoscaler`.
        ownership: whose object the account is. Default: ours, `CREATE`.
        account: more options of `ServiceAccounts.add`.

    Raises:
        InvalidInput: a scope is empty, or a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import ImportedCluster, ServiceAccounts
        >>> from irsa_stack.controllers import ClusterAutoscaler
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
        >>> autoscaler = ClusterAutoscaler(stack, "ClusterAutoscaler", service_accounts=accounts)
        >>> autoscaler.chart_values["rbac"]["serviceAccount"]
        {'create': False, 'name': 'cluster-autoscaler'}

    See:
        https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-1.36.1/cluster-autoscaler/cloudprovider/aws/README.md
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: ServiceAccounts,
        cluster_name: str | None = None,
        node_group_tags: Mapping[str, str] | None = None,
        namespace: str = "kube-system",
        service_account: str = "cluster-autoscaler",
        ownership: Ownership = Ownership.CREATE,
        **account: Unpack[AccountOptions],
    ) -> None:
        cluster = name_of_cluster(service_accounts, cluster_name)
        place = place_of(service_accounts)
        super().__init__(
            scope,
            id,
            upstream=policies.UPSTREAM,
            service_accounts=service_accounts,
            namespace=namespace,
            service_account=service_account,
            ownership=ownership,
            documents=policies.policy_documents(
                place=place, cluster_name=cluster, node_group_tags=node_group_tags
            ),
            wildcards=policies.WILDCARDS,
            chart_values={
                "cloudProvider": "aws",
                "awsRegion": place.region,
                "autoDiscovery": {
                    "clusterName": cluster,
                    "tags": policies.discovery_tags(cluster, node_group_tags),
                },
            },
            helm_values_path="rbac.serviceAccount",
            # https://github.com/kubernetes/autoscaler/blob/cluster-autoscaler-chart-9.59.0/cluster-autoscaler/charts/cluster-autoscaler/templates/serviceaccount.yaml
            quote_annotations=True,
            names={cluster: "ClusterName"},
            **account,
        )
