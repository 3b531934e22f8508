"""AWS Load Balancer Controller, once called alb-ingress-controller."""

from collections.abc import Sequence
from typing import Unpack

from constructs import Construct

from irsa_stack.cdk.controllers.controller import (
    AccountOptions,
    Controller,
    name_of_cluster,
    place_of,
)
from irsa_stack.cdk.service_accounts import ServiceAccounts
from irsa_stack.controllers import aws_load_balancer_controller as policies
from irsa_stack.kubernetes.service_account_request import Ownership


class AwsLoadBalancerController(Controller):
    """Define the account and the role of the controller, held to one cluster and its VPC.

    Synthesises one `AWS::IAM::Role` and four `AWS::IAM::ManagedPolicy`, and binds the account. The
    chart values hold region and VPC, so that it needs no instance metadata.

    Args:
        service_accounts: the service accounts of the cluster.
        vpc_id: VPC of the cluster.
        cluster_name: name of the cluster. Default: that of *service_accounts*.
        vpc_owner: account of the VPC, if it is shared with the cluster's. Default: the cluster's.
        region: region of the cluster. Default: that of the stack.
        target_groups: ARNs of target groups made elsewhere, for `TargetGroupBinding`s. Default:
            only those that the controller makes.
        waf: whether it associates web ACLs of WAF. Default: yes, but not in China.
        shield: whether it protects load balancers with Shield Advanced. Default: yes, but not in
            China.
        namespace: namespace of the account. Default: `kube-system`.
        service_account: name of the account. Default: `aws-load-balancer-controller`.
        ownership: whose object the account is. Default: ours, `CREATE`.
        account: more options of `ServiceAccounts.add`.

    Raises:
        InvalidInput: a scope is empty, or a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import ImportedCluster, ServiceAccounts
        >>> from irsa_stack.controllers import AwsLoadBalancerController
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
        >>> controller = AwsLoadBalancerController(
        ...     stack,
        ...     "LoadBalancers",
        ...     service_accounts=accounts,
        ...     vpc_id="vpc-0123456789abcdef0",
        ... )
        >>> controller.chart_values["vpcId"]
        'vpc-0123456789abcdef0'

    See:
        https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation/
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: ServiceAccounts,
        vpc_id: str,
        cluster_name: str | None = None,
        vpc_owner: str | None = None,
        region: str | None = None,
        target_groups: Sequence[str] = (),
        waf: bool | None = None,
        shield: bool | None = None,
        namespace: str = "kube-system",
        service_account: str = "aws-load-balancer-controller",
        ownership: Ownership = Ownership.CREATE,
        **account: Unpack[AccountOptions],
    ) -> None:
        cluster = name_of_cluster(service_accounts, cluster_name)
        place = place_of(service_accounts, region=region, vpc_owner=vpc_owner)
        # The partition is known at deploy only; the region mostly at synth.
        protected = not place.region.startswith("cn-")
        waf = protected if waf is None else waf
        shield = protected if shield is None else shield
        super().__init__(
            scope,
            id,
            upstream=policies.UPSTREAM,
            service_accounts=service_accounts,
            namespace=namespace,
            service_account=service_account,
            ownership=ownership,
            documents=policies.policy_documents(
                place=place,
                cluster_name=cluster,
                vpc_id=vpc_id,
                target_groups=target_groups,
                waf=waf,
                shield=shield,
            ),
            wildcards=policies.WILDCARDS,
            chart_values={
                "clusterName": cluster,
                "region": place.region,
                "vpcId": vpc_id,
                "enableShield": shield,
                # WAF Classic, which has ended; the policy has none of its actions.
                # https://docs.aws.amazon.com/waf/latest/developerguide/classic-waf-chapter.html
                "enableWaf": False,
                "enableWafv2": waf,
            },
            as_managed_policies=True,
            **account,
        )
