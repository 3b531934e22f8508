"""What EKS itself puts into a new cluster that our stacks meet: `aws-node`."""

from typing import Any

from rehearsal.kubernetes import Cluster

NAMESPACE = "kube-system"
AWS_NODE = "aws-node"

_SECONDS = 60


def install_aws_node(cluster: Cluster) -> None:
    """Install the VPC CNI's service account and DaemonSet as self-managed, and wait for its pods.

    See: https://docs.aws.amazon.com/eks/latest/userguide/managing-vpc-cni.html
    """
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": AWS_NODE, "namespace": NAMESPACE},
        },
        _daemon_set(),
    )
    cluster.kubectl(
        "rollout",
        "status",
        f"daemonset/{AWS_NODE}",
        f"--namespace={NAMESPACE}",
        f"--timeout={_SECONDS}s",
    )


def _daemon_set() -> dict[str, Any]:
    labels = {"k8s-app": AWS_NODE}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": AWS_NODE, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": AWS_NODE,
                    "hostNetwork": True,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {"name": AWS_NODE, "image": "registry.invalid/amazon-k8s-cni:1"}
                    ],
                },
            },
        },
    }
