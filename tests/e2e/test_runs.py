"""Runs keep to themselves: loopback only, nothing shared between them, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from rehearsal.account import REPOSITORY, account
from rehearsal.inventory import added, inventory
from rehearsal.kubernetes import NEWEST, WITH_LAYER_V29, control_plane
from rehearsal.processes import process_ids
from rehearsal.tokens import sign_token

STAY = """
import sys, time
from pathlib import Path
from rehearsal.account import account
with account(Path(sys.argv[1]), kubernetes=sys.argv[2]):
    print("up", flush=True)
    time.sleep(120)
"""


def listeners(identifiers: set[int]) -> set[str]:
    """Return the addresses that processes listen at."""
    lines = subprocess.run(
        ["ss", "--listening", "--numeric", "--tcp", "--udp", "--processes", "--no-header"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return {
        line.split()[4].rpartition(":")[0]
        for line in lines
        if any(f"pid={identifier}," in line for identifier in identifiers)
    }


@pytest.mark.parametrize("minor", [WITH_LAYER_V29, NEWEST])
def test_the_control_plane_is_the_version_asked_for(tmp_path, minor):
    with control_plane(tmp_path / "run", minor=minor) as cluster:
        assert f"Server Version: v{minor}." in cluster.kubectl("version")


def test_listens_on_its_own_loopback_address_only(bootstrapped):
    assert listeners(process_ids(bootstrapped.folder)) == {bootstrapped.address}


def test_side_by_side_runs_do_not_meet(tmp_path, bootstrapped):
    bootstrapped.kubernetes.create_service_account("reader", namespace="apps")
    token = bootstrapped.kubernetes.token("reader", namespace="apps")
    bootstrapped.client("iam").create_open_id_connect_provider(
        Url=bootstrapped.issuer_url, ClientIDList=["sts.amazonaws.com"]
    )
    before = inventory(bootstrapped)
    with account(tmp_path / "other", kubernetes=NEWEST) as other:
        assert other.address != bootstrapped.address
        other.client("ssm").put_parameter(Name="/other", Value="x", Type="String")
        other.kubernetes.create_service_account("other", namespace="other")
        assert added(before, inventory(bootstrapped)) == {}
        with pytest.raises(ClientError, match="No OpenIDConnect provider found"):
            other.assume_role("arn:aws:iam::111122223333:role/any", token)


@pytest.mark.parametrize("seconds", [0, 0.6])
def test_access_goes_with_its_cluster_even_while_it_is_being_given(bootstrapped, seconds):
    eks = bootstrapped.client("eks")
    principal = bootstrapped.client("iam").list_roles()["Roles"][0]["Arn"]
    before = inventory(bootstrapped)["Kubernetes objects"]
    eks.create_cluster(name="short", roleArn=principal, resourcesVpcConfig={"subnetIds": []})
    eks.create_access_entry(clusterName="short", principalArn=principal)
    eks.associate_access_policy(
        clusterName="short",
        principalArn=principal,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy",
        accessScope={"type": "namespace", "namespaces": ["kube-system"]},
    )
    time.sleep(seconds)
    eks.delete_cluster(name="short")
    time.sleep(2)
    bindings = set(inventory(bootstrapped)["Kubernetes objects"]) - set(before)
    assert not [binding for binding in bindings if "Binding" in binding]


def test_a_run_without_kubernetes_signs_tokens_with_the_clusters_key(tmp_path):
    with account(tmp_path / "run", kubernetes=None) as made:
        token = sign_token(made, subject="system:serviceaccount:apps:reader")
        with pytest.raises(ClientError, match="No OpenIDConnect provider found"):
            made.assume_role("arn:aws:iam::111122223333:role/any", token)


def test_leaves_no_process_and_no_mount(tmp_path):
    mounts = Path("/proc/self/mounts").read_text()
    with account(tmp_path / "run", kubernetes=NEWEST):
        assert process_ids(tmp_path / "run")
    assert process_ids(tmp_path / "run") == set()
    assert Path("/proc/self/mounts").read_text() == mounts


def test_leaves_no_process_even_if_killed(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", STAY, str(tmp_path / "run"), NEWEST],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert run.stdout.readline() == b"up\n"
    started = process_ids(tmp_path / "run")
    assert len(started) > 5
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    deadline = time.monotonic() + 10
    while process_ids(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process_ids(tmp_path / "run") == set()


def test_ends_only_what_it_started(tmp_path):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        with account(tmp_path / "run", kubernetes=None):
            pass
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
