"""Our constructs beside a cluster of the older `aws_eks` module."""

import aws_cdk as cdk
from aws_cdk import aws_eks as eks
from aws_cdk.lambda_layer_kubectl_v36 import KubectlV36Layer

from irsa_stack import ServiceAccounts

app = cdk.App()
stack = cdk.Stack(app, "OlderModule")

layer = KubectlV36Layer(stack, "Kubectl")
cluster = eks.Cluster(
    stack,
    "Cluster",
    version=eks.KubernetesVersion.of("1.36"),
    kubectl_layer=layer,
    authentication_mode=eks.AuthenticationMode.API_AND_CONFIG_MAP,
)
accounts = ServiceAccounts(stack, "ServiceAccounts", cluster=cluster, kubectl_layer=layer)
api = accounts.add("default/api")

# A workload of the same stack waits until its account has the role.
workload = cluster.add_manifest(
    "Workload",
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "api", "namespace": "default"},
        "spec": {
            "serviceAccountName": "api",
            "containers": [{"name": "api", "image": "public.ecr.aws/docker/library/busybox"}],
        },
    },
)
workload.node.add_dependency(api)

app.synth()
