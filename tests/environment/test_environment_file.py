import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from irsa_stack.environment.document import file_in
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


NO_ENVIRONMENTS = {
    "brackets that do not close": ("a: [", "must be YAML"),
    "a list": ("- a\n- b\n", "must hold keys and values, got list"),
    "nothing": ("", "must hold keys and values, got NoneType"),
    "text": ("text", "must hold keys and values, got str"),
    "two colons": ("a: b: c", "line 1: must have one key a line, got a ':' too many"),
    "a Python object": ("!!python/object:os.system {}", "line 1: must hold text, numbers, lists"),
    "a tab": ("a:\n\tb: c\n", "line 2: must be indented with spaces, got a tab"),
    "a line too far left": ("a:\n  b: c\n d: e\n", "line 3: must be indented like the lines"),
    "a line without a colon": ("a: 1\nb\nc: 2\n", "line 3: must be `key: value`, got no ':'"),
    "two documents": ("a: 1\n---\nb: 1\n", "line 2: must be one document, got a second"),
    "an alias of nothing": ("a: *b\n", "line 1: must name an anchor of this file"),
    "20,000 brackets": ("[" * 20_000, "must be nested like dev.yaml"),
    "3,000 brackets": ("a: " + "[" * 3_000 + "]" * 3_000, "must be nested like dev.yaml"),
    "itself": ("a: &a\n  b: *a\n", "must not hold itself"),
    "a number of 5,000 digits": ("service_type: " + "9" * 5_000, "must be 1-49 lower-case letters"),
    "no date": ("service_type: 2024-13-45", "must be 1-49 lower-case letters"),
    "a key twice": (
        "a: 1\nb: 2\na: 3\n", "line 3: keys must stand once, got 'a' on line 1 too; remove one"
    ),
    "a key twice further in": (
        "service_accounts:\n- name: api\n  statements: []\n  statements: []\n",
        "line 4: keys must stand once, got 'statements' on line 3 too; remove one",
    ),
    "a deploy-time value": (
        "service_type: ${Token[TOKEN.30]}", "service_type: must be what will be deployed, got"
    ),
    "ten to the ninth values": (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "must hold at most 200000 values",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), NO_ENVIRONMENTS.values(), ids=NO_ENVIRONMENTS)
def test_refuses_a_file_that_is_no_environment(tmp_path, text, rule):
    path = tmp_path / "test.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_environment(path)
    fault = next((fault for fault in caught.value.faults if rule in fault), None)
    assert fault, caught.value.faults
    assert "\n" not in fault
    assert "test.yaml" not in fault, "the report names the file, once"
    assert len(fault) < 700


NOTHING_BEHIND_IT = {
    "a controller": (
        "controllers:\n  cluster_autoscaler:\n",
        "controllers.cluster_autoscaler",
        "write {}",
    ),
    "controllers": ("controllers:\n", "controllers", "write {}"),
    "a boundary": ("permissions_boundary:\n", "permissions_boundary", "remove the line"),
    "accounts": ("service_accounts:\n", "service_accounts", "remove the line"),
    "a cluster": ("cluster:\n  new:\n", "cluster.new", "write its keys below it"),
    "an item": ("namespaces:\n-\n", "namespaces[0]", "write one, or remove the line"),
    "what is wanted": ("service_type:\n", "service_type", "remove the line"),
}


@pytest.mark.parametrize(
    ("text", "place", "fix"), NOTHING_BEHIND_IT.values(), ids=NOTHING_BEHIND_IT
)
def test_refuses_a_key_with_nothing_behind_it(tmp_path, text, place, fix):
    """bugs.md F24: `cluster_autoscaler:` made no controller, without a word."""
    path = tmp_path / "test.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_environment(path)
    [fault] = [fault for fault in caught.value.faults if fault.startswith(f"{place}: ")]
    assert "must have a value, got none" in fault
    assert fix in fault


@pytest.mark.parametrize("name", ["../../etc/passwd", "x" * 300, "x\0y", "", "schema"])
def test_an_environment_is_a_file_of_the_folder(tmp_path, name):
    (tmp_path / "dev.yaml").write_text("")
    with pytest.raises(InvalidInput, match="environment must be one of dev, got"):
        file_in(tmp_path, name)


def test_a_folder_is_no_environment(tmp_path):
    (tmp_path / "test.yaml").mkdir()
    with pytest.raises(InvalidInput, match="must be a file"):
        load_environment(tmp_path / "test.yaml")


UNKNOWN = {
    "node_groups at the top": ({"node_groups": []}, "node_groups", "did you mean 'nodes'?"),
    "a key of another place": (
        {"hosted_zones": []},
        "hosted_zones",
        "or choose one of account, cluster,",
    ),
    "a controller that we lack": (
        {"controllers": {"traefik": {}}},
        "controllers.traefik",
        "cluster_autoscaler",
    ),
    "how to do without": (
        {"controllers": {"traefik": {}}},
        "controllers.traefik",
        "under service_accounts, with its own statements",
    ),
    "a note": (
        {"service_accounts": [{"namespace": "a", "name": "b", "reviewnote": "x"}]},
        "service_accounts[0].reviewnote",
        "did you mean 'review_note'?",
    ),
}


@pytest.mark.parametrize(("changes", "place", "fix"), UNKNOWN.values(), ids=UNKNOWN)
def test_suggests_keys_of_that_place(changes, place, fix):
    with pytest.raises(InvalidInput) as caught:
        environment(changed(NEW, changes))
    [fault] = [fault for fault in caught.value.faults if fault.startswith(f"{place}: ")]
    assert fix in fault


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


def test_a_file_of_another_folder_is_named_by_its_absolute_path(tmp_path):
    (tmp_path / "mine.yaml").write_text("service_type: payments")
    assert file_in(Path("environments"), str(tmp_path / "mine")) == tmp_path / "mine.yaml"
