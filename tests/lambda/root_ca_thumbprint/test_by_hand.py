from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from root_ca_thumbprint import by_hand
from tests.support.issuer_cases import QUICK

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "lambda" / "root_ca_thumbprint" / "by_hand.py"


def the(name):
    (case,) = [case for case in QUICK if case.name == name]
    return case


@pytest.fixture
def run(resolver, tmp_path, capsys):
    """Runs the script's own `main` for a case; gives status, standard output and error."""

    def run_case(name, *options):
        with the(name).served(resolver) as issuer:
            arguments = [issuer.url, "--allow-private", *options]
            if issuer.ca_bundle:
                bundle = tmp_path / "ca.pem"
                bundle.write_text(issuer.ca_bundle)
                arguments += ["--ca-bundle", str(bundle)]
            status = by_hand.main(arguments)
        printed = capsys.readouterr()
        return issuer, status, printed.out, printed.err

    return run_case


def test_prints_one_json_object(run):
    issuer, status, out, err = run("keys_on_another_host")
    assert (status, err) == (0, "")
    printed = json.loads(out)
    assert printed == {
        "thumbprint": issuer.thumbprints[0],
        "thumbprints": issuer.thumbprints,
        "subject": "C=US, O=Amazon, CN=Amazon Root CA 1",
        "not_after": printed["not_after"],
        "warnings": [],
    }


def test_prints_strings_only_for_terraform(run):
    issuer, status, out, _ = run("keys_on_another_host", "--terraform")
    printed = json.loads(out)
    assert status == 0
    assert printed["thumbprints"] == ",".join(issuer.thumbprints)
    assert all(isinstance(value, str) for value in printed.values())


def test_says_in_one_line_why_it_cannot(run):
    _, status, out, err = run("not_found")
    assert (status, out) == (1, "")
    assert re.fullmatch("https://not-found.test/.* must answer 200, got 404\n", err)


def test_the_timeout_counts_for_everything(run):
    _, status, _, err = run("served_at_the_third_attempt", "--timeout", "0.3")
    assert status == 1
    assert re.fullmatch(r".* (tried for|gave up after) 0 s\n", err)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_bundle_that_cannot_be_read_is_one_line(content, tmp_path, capsys):
    bundle = tmp_path / "ca.pem"
    if content:
        bundle.write_bytes(content)
    assert by_hand.main(["https://a.test", "--ca-bundle", str(bundle)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_runs_as_a_script_from_anywhere(tmp_path):
    ran = subprocess.run(
        [sys.executable, SCRIPT, "http://a.test"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == (
        "the issuer URL must start with https://, got 'http://a.test'; copy it from the cluster\n"
    )


def test_computes_the_thumbprint_of_a_real_host_on_port_443():
    """No stand-in at all: a network of its own, `localhost`, and port 443."""
    if not shutil.which("unshare"):
        pytest.skip("a network namespace needs Linux")
    ran = subprocess.run(
        [
            *("unshare", "--net", "--map-root-user"),
            *(sys.executable, "-m", "tests.support.by_hand_on_443", SCRIPT),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if "unshare failed" in ran.stderr:
        pytest.skip(f"no network namespace here: {ran.stderr.strip()}")
    assert ran.stderr == ""
    printed, by_the_book = ran.stdout.rsplit("\n", 1)
    assert json.loads(printed)["thumbprint"] == by_the_book
