"""Move the VPC CNI of an existing cluster to a role of its own, and nothing else."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from irsa_stack import AwsNodeRebinding, ImportedCluster, ServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "OrdersAwsNode")

cluster = ImportedCluster(
    name="orders-prod",
    endpoint="https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
    certificate_authority_data="LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    kubernetes_version="1.36",
    issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster)
rebinding = AwsNodeRebinding(
    stack,
    "AwsNode",
    service_accounts=accounts,
    node_roles=[iam.Role.from_role_name(stack, "Nodes", "orders-prod-nodes")],
)

cdk.CfnOutput(stack, "NodesChecked", value=rebinding.nodes_checked)
cdk.CfnOutput(stack, "RoleSeen", value=rebinding.role_seen)
cdk.CfnOutput(stack, "DetachedFrom", value=rebinding.detached_from)

app.synth()
