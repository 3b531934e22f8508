"""The wheel as a user installs it: with the functions' code, and enough for an app elsewhere."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
APP = """\
from aws_cdk import App, Stack
from irsa_stack import *
from irsa_stack.stacks import EksClusterStack, Environment, ServiceAccountsStack

app = App()
stack = Stack(app, "Stack")
provider = EksOidcProvider(
    stack, "OidcProvider", issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
)
IrsaRole(stack, "Api", oidc_provider=provider, service_accounts=["apps/api"])

settings = Environment.model_validate({
    "service_type": "payments",
    "environment": "test",
    "cluster": {"new": {"version": "1.36", "vpc": {"cidr": "10.0.0.0/16"}}},
    "nodes": [{"name": "general", "instance_types": ["m7i.large"]}],
    "service_accounts": [{"namespace": "apps", "name": "api"}],
})
cluster = EksClusterStack(app, "Cluster", settings=settings)
ServiceAccountsStack(app, "ServiceAccounts", settings=settings, cluster=cluster)
app.synth()
"""
REVIEW = """\
from aws_cdk import App
from irsa_stack import stacks

stacks.review(App())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_carries_every_file_of_the_functions(names):
    code = {
        f"irsa_stack/_lambda/{path.relative_to(REPOSITORY / 'lambda')}"
        for path in (REPOSITORY / "lambda").rglob("*.py")
    }
    assert "irsa_stack/_lambda/custom_resource.py" in code
    assert code <= names


def test_the_wheel_carries_every_module_of_the_library(names):
    modules = {
        str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "irsa_stack").rglob("*.py")
    }
    assert modules <= names


def test_the_wheel_says_that_it_is_typed(names):
    assert "irsa_stack/py.typed" in names


def test_the_wheel_carries_nothing_else(names):
    beside = {name for name in names if not name.startswith("irsa_stack/")}
    assert {Path(name).parts[0].endswith(".dist-info") for name in beside} == {True}
    assert not [name for name in names if "test" in name.lower() or name.endswith(".pyc")]


def needed(distribution):
    """The distributions that installing *distribution* brings along, with the one kubectl layer."""
    found = {}
    wanted = [distribution]
    while wanted:
        one = wanted.pop()
        name = canonicalize_name(one.metadata["Name"])
        if name in found:
            continue
        found[name] = one
        requirements = [Requirement(text) for text in one.requires or ()]
        wanted += [
            metadata.distribution(requirement.name)
            for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate({"extra": "kubectl-v36"})
        ]
    return found.values()


@pytest.fixture(scope="module")
def user(wheel, tmp_path_factory):
    """A folder with an environment that has the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-index",
         "--no-deps", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    [ours] = metadata.distributions(name="irsa-stack", path=[str(site)])
    # The CDK is 240 MB: its files are those of these tests.
    for distribution in needed(ours):
        for file in distribution.files if distribution is not ours else ():
            link = site / file
            # Some files belong to two distributions, and scripts lie elsewhere.
            if ".." not in file.parts and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.locate())
    return folder


def run(folder, script):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        ["venv/bin/python", "-c", script],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**environment, "CDK_OUTDIR": str(folder / "cdk.out")},
    )


@pytest.fixture(scope="module")
def installed_app(user):
    """What a short app synthesises to there."""
    done = run(user, APP)
    assert done.returncode == 0, done.stderr
    return user


def test_an_app_outside_the_repository_synthesises(installed_app):
    template = json.loads((installed_app / "cdk.out" / "Stack.template.json").read_text())
    types = {body["Type"] for body in template["Resources"].values()}
    assert {"AWS::IAM::OIDCProvider", "AWS::IAM::Role", "AWS::Lambda::Function"} <= types


def test_the_stacks_need_nothing_but_the_wheel_and_a_layer(installed_app):
    templates = (installed_app / "cdk.out").glob("*.template.json")
    names = {path.name.removesuffix(".template.json") for path in templates}
    assert names == {"Stack", "Cluster", "ServiceAccounts"}


def test_only_the_review_needs_more_and_says_what_to_install(user):
    done = run(user, REVIEW)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "irsa_stack.faults.InvalidInput: cdk-nag must be installed for the review, got none;"
        " pip install 'irsa-stack[app]'"
    )


def test_its_assembly_holds_the_functions_code_and_no_other_functions(installed_app):
    template = json.loads((installed_app / "cdk.out" / "Stack.template.json").read_text())
    [function] = [
        body for body in template["Resources"].values() if body["Type"] == "AWS::Lambda::Function"
    ]
    name = Path(function["Properties"]["Code"]["S3Key"]).stem
    asset = installed_app / "cdk.out" / f"asset.{name}"
    files = {path.name for path in asset.iterdir()}
    assert {"custom_resource.py", "root_ca_thumbprint"} <= files
    assert "service_accounts" not in files


def test_the_app_used_the_wheel_and_not_the_repository(installed_app):
    done = run(installed_app, "import irsa_stack; print(irsa_stack.__file__)")
    assert done.stdout.startswith(str(installed_app))


def command(folder, *arguments):
    """Run the installed command where neither Node nor anything else is to be found."""
    return subprocess.run(
        ["venv/bin/irsa", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": ""},
    )


def test_the_command_reads_what_the_app_synthesised(installed_app):
    done = command(installed_app, "access", "cdk.out", "--reports", ".")
    assert (done.returncode, done.stderr) == (0, "")
    assert "apps/api" in done.stdout
    assert "<table" in (installed_app / "access.html").read_text(encoding="utf-8")


def test_the_command_finds_the_functions_code(user):
    assert "--ca-bundle" in command(user, "thumbprint", "--help").stdout
