"""The wheel as a user installs it: with the functions' code, and enough for an app elsewhere."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
APP = """\
from aws_cdk import App, Stack
from irsa_stack import EksOidcProvider, IrsaRole

app = App()
stack = Stack(app, "Stack")
provider = EksOidcProvider(
    stack, "OidcProvider", issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
)
IrsaRole(stack, "Api", oidc_provider=provider, service_accounts=["apps/api"])
app.synth()
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


@pytest.fixture(scope="module")
def installed_app(wheel, tmp_path_factory):
    """What ten lines synthesise to, in an environment that has the wheel and the CDK."""
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-index",
         "--no-deps", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    # The CDK is 240 MB: it is the one of these tests.
    (site / "cdk.pth").write_text(sysconfig.get_path("purelib"))
    (folder / "app.py").write_text(APP)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [python, "app.py"],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**environment, "CDK_OUTDIR": str(folder / "cdk.out")},
    )
    return folder


def test_an_app_outside_the_repository_synthesises(installed_app):
    template = json.loads((installed_app / "cdk.out" / "Stack.template.json").read_text())
    types = {body["Type"] for body in template["Resources"].values()}
    assert {"AWS::IAM::OIDCProvider", "AWS::IAM::Role", "AWS::Lambda::Function"} <= types


def test_its_assembly_holds_the_functions_code_and_no_other_functions(installed_app):
    [asset] = (installed_app / "cdk.out").glob("asset.*")
    files = {path.name for path in asset.iterdir()}
    assert {"custom_resource.py", "root_ca_thumbprint"} <= files
    assert "service_accounts" not in files


def test_the_app_used_the_wheel_and_not_the_repository(installed_app):
    done = subprocess.run(
        ["venv/bin/python", "-c", "import irsa_stack; print(irsa_stack.__file__)"],
        cwd=installed_app,
        check=True,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert done.stdout.startswith(str(installed_app))
