"""A new cluster and one service account that may read one bucket."""

import aws_cdk as cdk
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_s3 as s3

from irsa_stack import ServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "IrsaMinimal")

cluster = eks.Cluster(stack, "Cluster", version=eks.KubernetesVersion.V1_36)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster, kubernetes_version="1.36")

api = accounts.add("default/api")
s3.Bucket(stack, "Receipts", block_public_access=s3.BlockPublicAccess.BLOCK_ALL).grant_read(api)

cdk.CfnOutput(stack, "RoleArn", value=api.role_arn)

app.synth()
