import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from irsa_stack.environment.environment import Environment
from irsa_stack.environment.environment_file import environment, load_environment, report
from irsa_stack.faults import InvalidInput
from tests.support.environment_files import ABSENT, NEW, changed

REPOSITORY = Path(__file__).parents[2]
SCHEMA = REPOSITORY / "environments" / "schema.json"
ENVIRONMENTS = REPOSITORY / "tests" / "fixtures" / "environments"
NAMES = sorted(path.stem for path in ENVIRONMENTS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_environment_is_right(name):
    assert load_environment(ENVIRONMENTS / f"{name}.yaml").environment


def five_faults():
    changes = {
        "regoin": "eu-west-1",
        "cluster.new.version": "1.29",
        "cluster.new.vpc.cidr": "10.0.0.0/33",
        "service_accounts.0.namespace": "team-*",
        "oidc": {"thumbprints": "exact", "values": [f"{number:040x}" for number in range(6)]},
    }
    return changed(NEW, changes)


def test_five_faults_are_reported_at_once():
    with pytest.raises(InvalidInput) as caught:
        environment(five_faults())
    places = [fault.partition(": ")[0] for fault in caught.value.faults]
    assert sorted(places) == [
        "cluster.new.version",
        "cluster.new.vpc.cidr",
        "oidc",
        "regoin",
        "service_accounts[0].namespace",
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: [", "must be YAML"),
        ("- a\n- b\n", "must hold keys and values, got list"),
        ("", "must hold keys and values, got NoneType"),
        ("text", "must hold keys and values, got str"),
        ("a: b: c", "must be YAML"),
        ("!!python/object:os.system {}", "must be YAML"),
    ],
)
def test_refuses_a_file_that_is_no_environment(tmp_path, text, rule):
    path = tmp_path / "test.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_environment(path)
    [fault] = caught.value.faults
    assert rule in fault
    assert "\n" not in fault


def test_a_missing_file_names_those_that_are_there():
    with pytest.raises(InvalidInput) as caught:
        load_environment(ENVIRONMENTS / "staging.yaml")
    [fault] = caught.value.faults
    assert fault.startswith("environment must be one of china, dev, existing-cluster, local, prod")
    assert fault.endswith("or choose with -c environment=NAME")


def test_a_report_lists_every_fault_on_a_line_of_its_own():
    assert report(Path("environments/dev.yaml"), ["a: x", "b: y"]) == (
        "environments/dev.yaml has 2 faults:\n  - a: x\n  - b: y"
    )


def test_a_report_counts_one_fault_in_the_singular():
    assert report(Path("dev.yaml"), ["a"]).startswith("dev.yaml has 1 fault:")


# The schema that editors read.


def test_the_schema_is_current():
    on_disk = json.loads(SCHEMA.read_text())
    assert on_disk == Environment.model_json_schema(), "run: make schema"


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_accepts_every_shipped_environment(name):
    schema = json.loads(SCHEMA.read_text())
    document = yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text())
    jsonschema.validate(document, schema)


@pytest.mark.parametrize(
    "changes",
    [
        {"regoin": "eu-west-1"},
        {"service_type": ABSENT},
        {"nodes.0.ami_family": "AL2"},
        {"metadata_guard.hop_limit": 0},
    ],
)
def test_the_schema_shows_editors_the_plain_faults(changes):
    schema = json.loads(SCHEMA.read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(NEW, changes), schema)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_environment_points_editors_at_the_schema(name):
    first = (ENVIRONMENTS / f"{name}.yaml").read_text().splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (ENVIRONMENTS / named).resolve() == SCHEMA


# Through app.py, as the CLI runs it.


@pytest.fixture(scope="module")
def app_run(tmp_path_factory):
    """`app.py` beside an environment file with five faults."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copy(REPOSITORY / "app.py", folder)
    (folder / "environments").mkdir()
    (folder / "environments" / "bad.yaml").write_text(yaml.safe_dump(five_faults()))
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "CDK_CONTEXT_JSON": json.dumps({"environment": "bad"}),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_app_fails_on_a_bad_environment_file(app_run):
    assert app_run.returncode == 1


def test_the_app_prints_one_report_of_all_faults(app_run):
    head, *faults = [line for line in app_run.stderr.splitlines() if not line.startswith("b'")]
    assert head.endswith("environments/bad.yaml has 5 faults:")
    assert len(faults) == 5
    assert all(line.startswith("  - ") for line in faults)


def test_the_app_prints_no_traceback(app_run):
    assert "Traceback" not in app_run.stderr
