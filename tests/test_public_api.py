import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import irsa_stack

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "irsa_stack"
PURE = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in ("cdk", "stacks")
    and not path.stem.startswith("__")
)


def loaded_by(statement):
    script = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def loaded_by_pure_modules():
    return loaded_by("\n".join(f"import irsa_stack.{module}" for module in PURE))


@pytest.mark.parametrize("module", PURE)
def test_the_rules_are_loaded_without_the_cdk(loaded_by_pure_modules, module):
    assert f"irsa_stack.{module}" in loaded_by_pure_modules
    assert not {"aws_cdk", "jsii", "constructs"} & loaded_by_pure_modules


def test_asking_for_a_rule_by_its_public_name_starts_no_node():
    loaded = loaded_by("from irsa_stack import ServiceAccountIdentity, trust_policy, Thumbprints")
    assert not {"aws_cdk", "jsii"} & loaded


def test_an_imported_cluster_costs_no_import_of_eks():
    loaded = loaded_by("from irsa_stack import IrsaRole, ServiceAccounts, AwsNodeRebinding")
    assert "aws_cdk" in loaded
    assert not {"aws_cdk.aws_eks", "aws_cdk.aws_eks_v2"} & loaded


@pytest.mark.parametrize("name", irsa_stack.__all__)
def test_every_public_name_is_there(name):
    assert getattr(irsa_stack, name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "AwsNodeRebinding",
        "EksOidcProvider",
        "ImportedCluster",
        "InstanceMetadataGuard",
        "IrsaRole",
        "Ownership",
        "RootCaThumbprint",
        "ServiceAccountIdentity",
        "ServiceAccounts",
        "Thumbprints",
        "Trust",
        "controllers",
        "stacks",
        "trust_policy",
    ],
)
def test_the_names_of_the_contract_are_public(name):
    assert name in irsa_stack.__all__


def test_public_names_are_sorted_and_all_that_is_offered():
    assert irsa_stack.__all__ == sorted(irsa_stack.__all__)
    assert dir(irsa_stack) == irsa_stack.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'irsa_stack' has no attribute 'IrsaRoles'"):
        _ = irsa_stack.IrsaRoles


# A user's file, as their type checker reads it.


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What mypy says of a file that imports every public name, and a misspelt one of each kind."""
    folder = tmp_path_factory.mktemp("checked")
    lines = [
        "from irsa_stack import IrsaRoel",
        "from irsa_stack.controllers import ExternalDNS",
        f"from irsa_stack import {', '.join(irsa_stack.__all__)}",
        f"from irsa_stack.controllers import {', '.join(irsa_stack.controllers.__all__)}",
        "reveal_type(IrsaRole)",
        "reveal_type(controllers.ExternalDns)",
        "reveal_type(stacks.EksClusterStack)",
    ]
    (folder / "user.py").write_text("\n".join(lines))
    # Reading all of the CDK takes a minute.
    (folder / "mypy.ini").write_text(
        "[mypy]\nfollow_imports = silent\nno_implicit_reexport = True\n"
        "[mypy-aws_cdk.*,jsii.*,constructs.*]\nfollow_imports = skip\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", folder, "user.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("name", ["IrsaRoel", "ExternalDNS"])
def test_a_misspelt_name_is_an_error_to_type_checkers(checked, name):
    assert f'has no attribute "{name}"' in checked


def test_only_misspelt_names_are(checked):
    assert "Found 2 errors" in checked, checked


@pytest.mark.parametrize(
    "name",
    [
        "cdk.role.IrsaRole",
        "controllers.external_dns.ExternalDns",
        "stacks.cluster.EksClusterStack",
    ],
)
def test_type_checkers_see_what_a_name_stands_for(checked, name):
    assert f"-> irsa_stack.{name}" in checked


@pytest.mark.parametrize("name", sorted(set(irsa_stack.__all__) - {"controllers", "stacks"}))
def test_every_public_name_says_what_it_defines(name):
    assert getattr(irsa_stack, name).__doc__


def test_no_module_is_named_after_a_pattern():
    names = {path.stem for path in (REPOSITORY / "irsa_stack").rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "constants", "base"}


def test_the_functions_know_nothing_of_the_library():
    for path in (REPOSITORY / "lambda").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            assert not [name for name in names if name.split(".")[0] == "irsa_stack"], path
