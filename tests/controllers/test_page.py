"""The versions that docs/controllers.md gives are those of the code."""

from pathlib import Path

import pytest

from irsa_stack.controllers import (
    aws_load_balancer_controller,
    cluster_autoscaler,
    external_dns,
    vpc_cni,
)

PAGE = (Path(__file__).parents[2] / "docs" / "controllers.md").read_text()


@pytest.mark.parametrize(
    ("controller", "upstream"),
    [
        ("ExternalDns", external_dns.UPSTREAM),
        ("AwsLoadBalancerController", aws_load_balancer_controller.UPSTREAM),
        ("ClusterAutoscaler", cluster_autoscaler.UPSTREAM),
        ("VpcCni", vpc_cni.UPSTREAM),
    ],
)
def test_gives_the_versions_that_the_policy_serves(controller, upstream):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{controller}` |")]
    versions = (upstream.minimum, upstream.version, f"{upstream.chart} {upstream.chart_version}")
    assert row.split(" | ")[3:] == [*versions[:2], f"{versions[2]} |"]
