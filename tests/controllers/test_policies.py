import subprocess
import sys

import pytest

MODULES = ["aws_load_balancer_controller", "cluster_autoscaler", "external_dns", "vpc_cni"]


@pytest.mark.parametrize("module", MODULES)
def test_is_imported_without_the_cdk(module):
    code = (
        f"import sys, irsa_stack.controllers.{module}\n"
        "sys.exit(any(name in sys.modules for name in ('aws_cdk', 'constructs', 'jsii')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
