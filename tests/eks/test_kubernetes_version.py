import sys

import pytest

from irsa_stack.eks import kubernetes_version
from irsa_stack.eks.kubernetes_version import layer_minor, version_faults


@pytest.fixture(autouse=True)
def _two_packages(monkeypatch):
    monkeypatch.setattr(kubernetes_version, "_is_installed", lambda minor: minor in (29, 33, 36))


def faults(version, *, create):
    return list(version_faults(version, of="version", create=create))


@pytest.mark.parametrize("version", ["1.32", "1.33", "1.34", "1.35", "1.36"])
def test_accepts_a_version_for_a_new_cluster(version):
    assert not faults(version, create=True)


@pytest.mark.parametrize("version", ["1.28", "1.29", "1.30", "1.32", "1.36", "1.37"])
def test_manages_an_existing_cluster_that_kubectl_serves(version):
    assert not faults(version, create=False)


@pytest.mark.parametrize("version", ["1.31", "1.30", "1.24"])
def test_refuses_to_create_a_version_that_eks_no_longer_creates(version):
    [fault] = faults(version, create=True)
    assert fault == (
        f"version must be 1.32 or newer for a new cluster, got {version!r}; EKS creates no older"
        " ones since 2026-11-26, so name a newer version or import the cluster"
    )


def test_refuses_to_create_a_version_that_eks_does_not_have_yet():
    [fault] = faults("1.37", create=True)
    assert fault == (
        "version must be 1.36 or older for a new cluster, got '1.37'; EKS has no newer one that"
        " this release knows, so name an older one or update irsa-stack"
    )


def test_names_the_package_that_is_not_installed():
    [fault] = faults("1.31", create=False)
    assert fault == (
        "version must have an installed kubectl layer of 1.30 to 1.32, got '1.31';"
        f" {sys.executable} -m pip install aws-cdk.lambda-layer-kubectl-v31, and add it to your"
        " requirements"
    )


@pytest.mark.parametrize("version", ["", "1", "1.3", "v1.36", "1.36.1", "1.36\n", "2.36", "latest"])
def test_refuses_what_is_no_version(version):
    [fault] = faults(version, create=False)
    assert fault == f"version must be such as '1.36', got {version!r}; put it in quotes"


@pytest.mark.parametrize(
    ("version", "minor"),
    [
        ("1.36", 36),
        ("1.28", 29),
        ("1.30", 29),
        ("1.31", None),
        ("1.32", 33),
        ("1.34", 33),
        ("1.35", 36),
        ("1.37", 36),
        (None, 36),
    ],
)
def test_the_layer_is_of_the_same_minor_version_or_within_kubectls_skew(version, minor):
    assert layer_minor(version) == minor


def test_no_package_serves_no_version(monkeypatch):
    monkeypatch.setattr(kubernetes_version, "_is_installed", lambda _: False)
    assert layer_minor(None) is None
