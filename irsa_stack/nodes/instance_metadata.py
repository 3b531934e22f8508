"""The instance metadata service, and who depends on it once it is closed to pods."""

from collections.abc import Iterator, Mapping
from typing import Any

from irsa_stack.faults import refuse
from irsa_stack.kubernetes.identity import namespace_faults

METADATA_IPV4 = "169.254.169.254"
METADATA_IPV6 = "fd00:ec2::254"
"""See: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"""

HOP_LIMITS = range(1, 65)
"""See: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsRequest.html"""

CHART_VALUES_INSTEAD_OF_METADATA: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/aws/cloud.go
    "aws-load-balancer-controller": {"region": ("region",), "VPC id": ("vpcId", "vpcTags")},
    # https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/charts/cluster-autoscaler
    "cluster-autoscaler": {"region": ("awsRegion",)},
    # https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/cmd/main.go
    "aws-ebs-csi-driver": {"region": ("controller.region",)},
    # https://github.com/aws/aws-application-networking-k8s/blob/main/helm/values.yaml
    "aws-gateway-controller-chart": {
        "region": ("awsRegion",),
        "account": ("awsAccountId",),
        "VPC id": ("clusterVpcId",),
        "cluster name": ("clusterName",),
    },
}
"""For each Helm chart, the facts that its controller asks metadata for, and the chart values that
tell it instead; any one of them is enough. A chart that is not listed never asks: external-dns
takes its region from the environment, aws-node runs in the host's network."""


def refuse_untold_controllers(chart_values: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse controllers that would ask metadata for a fact that their chart values leave out.

    Behind a guard that question is not answered, and the controller crashes at its start. With a
    service account role EKS puts the region into the pod's environment as well; it is asked for
    all the same, because Pod Identity does not.

    Args:
        chart_values: Helm values of each controller, by the name of its chart.

    Raises:
        InvalidInput: at least one fact is missing; all are listed.

    Examples:
        >>> refuse_untold_controllers({"cluster-autoscaler": {"awsRegion": "eu-west-1"}})
    """
    refuse(untold_controllers_faults(chart_values))


def untold_controllers_faults(chart_values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which facts the controllers of *chart_values* would ask metadata for."""
    for chart, values in chart_values.items():
        for fact, paths in CHART_VALUES_INSTEAD_OF_METADATA.get(chart, {}).items():
            told = [_at(values, path) for path in paths]
            if not any(told):
                yield (
                    f"{' or '.join(paths)} of chart {chart} must be given, got {told[0]!r}; its"
                    f" controller reads the {fact} from instance metadata, which the guard closes"
                    " to pods"
                )


def deny_instance_metadata(
    namespace: str, *, name: str = "deny-instance-metadata"
) -> dict[str, Any]:
    """Return a NetworkPolicy that lets the pods of a namespace reach anything but metadata.

    A second line only. Policies add up: another policy of the namespace that allows the address
    opens it again, and this one opens what another had closed. It says nothing of pods in the
    host's network, and it counts only where something enforces it: the VPC CNI does from 1.14 with
    `enableNetworkPolicy`, for pods that a controller owns, not on Windows or Fargate, and only for
    the cluster's own IP family. Under Cilium an `ipBlock` never covers the node itself: use a
    `CiliumClusterwideNetworkPolicy` with `egressDeny` there.

    Args:
        namespace: namespace whose pods it selects, all of them.
        name: name of the policy.

    Raises:
        InvalidInput: *namespace* is no namespace name.

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html
    """
    refuse(namespace_faults(namespace))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": [f"{METADATA_IPV4}/32"]}},
                        {"ipBlock": {"cidr": "::/0", "except": [f"{METADATA_IPV6}/128"]}},
                        # Some engines do not count a pod's address as part of an ipBlock.
                        {"namespaceSelector": {}},
                    ]
                }
            ],
        },
    }


def _at(values: Mapping[str, Any], path: str) -> object:
    """Return the value at a dotted *path*, or None."""
    found: object = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
