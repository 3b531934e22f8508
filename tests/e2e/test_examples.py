"""The examples whose clusters the rehearsal can have: deployed and destroyed as they stand."""

import shlex
from pathlib import Path

import pytest

from tests.e2e.harness.account import REPOSITORY, Account
from tests.e2e.harness.cdk import Cdk

PYTHON = REPOSITORY / ".venv" / "bin" / "python"
# The others cannot be had here as they stand: the endpoints of their clusters are elsewhere;
# `minimal` rightly trusts no issuer on loopback; the function by which `aws_eks` makes a cluster
# can be told no endpoint; `cross_account` wants two accounts.
DEPLOYABLE = ("gitops", "multi_cluster_role")


@pytest.mark.parametrize("name", DEPLOYABLE)
def test_is_deployed_and_destroyed(name: str, bootstrapped: Account, environment: Path) -> None:
    cdk = Cdk(bootstrapped, environment)
    folder = REPOSITORY / "examples" / name
    app = f"--app=env PYTHONPATH={shlex.quote(str(REPOSITORY))} {shlex.quote(str(PYTHON))} app.py"
    printed = cdk.succeed("deploy", "--all", "--require-approval=never", app, folder=folder)
    assert "✅" in printed
    cdk.succeed("destroy", "--all", "--force", app, folder=folder)
