"""What `make deploy-local` and `make destroy-local` do for a person at a terminal."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal.account import REPOSITORY
from rehearsal.cdk import CLI
from rehearsal.processes import process_ids

READY_SECONDS = 300
ARN = r"arn:aws:iam::111122223333:role/\S+"


class Terminal:
    """A shell in which `up` runs."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self._variables = os.environ | variables
        folder.mkdir()
        self._log = folder / "printed"
        with self._log.open("w") as output:
            self.process = subprocess.Popen(
                self._command("up"),
                stdout=output,
                stderr=output,
                cwd=REPOSITORY,
                env=self._variables,
            )

    @property
    def printed(self) -> str:
        return self._log.read_text()

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while "\nready after" not in self.printed:
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.2)

    def another(self, command: str) -> "subprocess.CompletedProcess[str]":
        """`up` or `down` in a second shell."""
        return subprocess.run(
            self._command(command),
            cwd=REPOSITORY,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )

    def shell(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a script in a shell that has had the printed lines pasted into it, and no more."""
        exports = "\n".join(
            line for line in self.printed.splitlines() if line.startswith("export ")
        )
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return subprocess.run(
            ["bash", "-euc", f"{exports}\n{script}"],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )

    def _command(self, command: str) -> list[str]:
        return [sys.executable, "-m", "rehearsal.local", command, str(self.folder / "local")]


def has_line(terminal: Terminal, pattern: str) -> bool:
    return re.search(f"^{pattern}$", terminal.printed, re.MULTILINE) is not None


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def begin(**variables: str) -> Terminal:
        terminals.append(Terminal(tmp_path_factory.mktemp("terminal") / "of", variables))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.process.kill()
        terminal.process.wait()


@pytest.fixture(scope="module")
def terminal(start: Callable[..., Terminal]) -> Terminal:
    running = start()
    running.await_ready()
    return running


def test_destroy_has_nothing_to_do_before_a_deploy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal.local", "down", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "nothing is deployed; run: make deploy-local\n")


def test_each_step_says_how_long_it_took(terminal):
    steps = re.findall(r"^(.+) \.\.\. [0-9.]+ s$", terminal.printed, re.MULTILINE)
    assert steps == [
        "control plane and account",
        "cdk bootstrap",
        "cdk deploy",
        "token of apps/reader at STS",
    ]


def test_issuer_endpoint_and_roles_are_told(terminal):
    assert has_line(
        terminal, r"issuer +https://oidc\.eks\.us-east-1\.amazonaws\.com/id/[0-9A-F]{32}"
    )
    assert has_line(terminal, r"account +https://127\.77\.\d+\.\d+:4566")
    assert has_line(terminal, r"cluster +https://127\.77\.\d+\.\d+:\d+")
    assert has_line(terminal, rf"rehearsal-local-cluster\.AwsNodeRoleArn +{ARN}")
    assert has_line(terminal, rf"rehearsal-local-service-accounts\.\S+ +{ARN}")


def test_the_printed_lines_lead_kubectl_to_the_cluster(terminal):
    done = terminal.shell("kubectl get serviceaccount reader --namespace apps --output yaml")
    assert re.search(rf"eks\.amazonaws\.com/role-arn: {ARN}", done.stdout), done.stderr


def test_the_printed_lines_lead_an_sdk_to_the_account(terminal):
    ask = "import boto3; print(boto3.client('eks').list_clusters()['clusters'])"
    done = terminal.shell(f'{sys.executable} -c "{ask}"')
    assert done.stdout == "['rehearsal-local']\n", done.stderr


def test_the_printed_diff_finds_no_difference(terminal):
    [line] = [line for line in terminal.printed.splitlines() if line.startswith("npx cdk diff")]
    assert CLI.exists()
    done = terminal.shell(f"{line} --fail")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_one_is_refused(terminal):
    done = terminal.another("up")
    assert done.returncode == 1
    assert done.stderr == (
        "deploy-local runs already in this checkout; end it with make destroy-local\n"
    )


def test_destroy_proves_that_nothing_is_left(terminal):
    done = terminal.another("down")
    assert (done.returncode, done.stdout) == (0, "destroying ... nothing is left\n")
    assert terminal.process.wait(timeout=30) == 0
    assert terminal.printed.endswith("\nstopped\n")
    assert process_ids(terminal.folder) == set()
    assert [path.name for path in (terminal.folder / "local").iterdir()] == ["lock"]


@pytest.fixture
def path_without_go() -> Iterator[str]:
    # Not in /tmp: functions have a /tmp of their own, and programs to run.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for directory in reversed(os.environ["PATH"].split(os.pathsep)):
            for program in Path(directory).glob("*"):
                link = Path(folder) / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program)
        (Path(folder) / "go").unlink()
        yield folder


def test_without_go_it_says_so_and_deploys_the_roles_until_it_is_interrupted(
    start, path_without_go, tmp_path
):
    terminal = start(PATH=path_without_go, XDG_CACHE_HOME=str(tmp_path / "cache"))
    terminal.await_ready()
    assert "go must be on PATH to build" in terminal.printed
    assert "without a control plane, because these are missing:" in terminal.printed
    assert has_line(terminal, rf"rehearsal-local-service-accounts\.\S+ +{ARN}")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(timeout=30) == 0
    assert process_ids(terminal.folder) == set()
    assert [path.name for path in (terminal.folder / "local").iterdir()] == ["lock"]
