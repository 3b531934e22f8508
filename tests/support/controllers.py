"""The controllers as their tests see them: one cluster, three partitions, and each test's specs.

A test file of a controller has `SPECS`: what the linters, the construct's tests and the page run
over. Each is a spec, or a function of a location that returns one.
"""

import functools
import importlib.util
from pathlib import Path

from irsa_stack.controllers.catalogue import modules
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location

CLUSTER = Cluster(
    name="payments-prod",
    vpc_id="vpc-0123456789abcdef0",
    endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
)
OTHER = Cluster(name="payments-dev", vpc_id="vpc-0fedcba9876543210")
LONGEST = Cluster(name="c" * 100, vpc_id="vpc-0123456789abcdef0", endpoint="https://e")
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
IRELAND = Location(partition="aws", region="eu-west-1", aws_account=ACCOUNT)
LOCATIONS = {
    "aws": IRELAND,
    "aws-cn": Location(partition="aws-cn", region="cn-north-1", aws_account=ACCOUNT),
    "aws-us-gov": Location(partition="aws-us-gov", region="us-gov-west-1", aws_account=ACCOUNT),
}

OURS = {"aws:ResourceTag/kubernetes.io/cluster/payments-prod": "owned"}
THEIRS = {"aws:ResourceTag/kubernetes.io/cluster/payments-dev": "owned"}
ASK_OURS = {"aws:RequestTag/kubernetes.io/cluster/payments-prod": "owned"}
ASK_THEIRS = {"aws:RequestTag/kubernetes.io/cluster/payments-dev": "owned"}

_TESTS = Path(__file__).parents[1] / "controllers"


def documents(spec: ControllerSpec, location: Location = IRELAND, cluster: Cluster = CLUSTER):
    """The policies of *spec*."""
    return list(spec.documents(cluster, location).values())


def arn(service: str, resource: str, *, region="eu-west-1", account=ACCOUNT) -> str:
    """An ARN of our region and account, or of another."""
    return f"arn:aws:{service}:{region}:{account}:{resource}"


@functools.cache
def table(module: str):
    """The test file of a controller."""
    path = _TESTS / f"test_{module}.py"
    loaded = importlib.util.spec_from_file_location(f"tables.{module}", path)
    found = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(found)
    return found


def spec_at(spec, location: Location) -> ControllerSpec:
    """A spec of a table, with its ARNs in *location*."""
    return spec(location) if callable(spec) else spec


def all_specs():
    """Every spec of every table: name, and the spec or its function."""
    return {
        f"{module}, {variant}": spec
        for module in modules()
        for variant, spec in table(module).SPECS.items()
    }
