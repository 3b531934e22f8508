"""The real CDK CLI against an emulated account."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.account import ACCOUNT_ID, REGION, REPOSITORY, Account

CLI = REPOSITORY / "node_modules" / ".bin" / "cdk"

_SECONDS = 570

_NOT_A_TEST_OF_THE_CLI = ("--no-notices", "--no-version-reporting")


@dataclass
class Cdk:
    """The product's app in one account.

    Args:
        account: where it deploys.
        environment: an environment file.
        validation: whether the CDK validates templates itself, which takes seconds a command.
        seconds: how long each command took.
    """

    account: Account
    environment: Path
    validation: bool = False
    seconds: list[tuple[str, float]] = field(default_factory=list)

    def run(self, *arguments: str, folder: Path = REPOSITORY) -> "subprocess.CompletedProcess[str]":
        """Run `cdk` with *arguments* in *folder* and return whatever happened."""
        started = time.monotonic()
        done = subprocess.run(
            [
                str(CLI),
                *arguments,
                *_NOT_A_TEST_OF_THE_CLI,
                # The app takes an environment's name; without a suffix a path is one, too.
                f"--context=environment={self.environment.with_suffix('')}",
                f"--output={self.account.folder / 'cdk.out'}",
            ],
            cwd=folder,
            env=self._variables(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        self.seconds.append((arguments[0], time.monotonic() - started))
        return done

    def succeed(self, *arguments: str, folder: Path = REPOSITORY) -> str:
        """Run `cdk` and return what it prints.

        Raises:
            AssertionError: it failed; with what it printed.
        """
        done = self.run(*arguments, folder=folder)
        printed = done.stdout + done.stderr
        if done.returncode:
            raise AssertionError(f"cdk {' '.join(arguments)} exits {done.returncode}:\n{printed}")
        return printed

    def bootstrap(self) -> str:
        """Prepare the account, once."""
        # Elsewhere, because in the app's folder the CLI runs the app first.
        return self.succeed("bootstrap", f"aws://{ACCOUNT_ID}/{REGION}", folder=self.account.folder)

    def deploy(self) -> str:
        """Deploy all stacks."""
        return self.succeed("deploy", "--all", "--require-approval=never", *self._outputs())

    def try_deploy(self) -> "subprocess.CompletedProcess[str]":
        """Deploy all stacks and return whatever happened."""
        return self.run("deploy", "--all", "--require-approval=never", *self._outputs())

    def destroy(self) -> str:
        """Destroy all stacks."""
        return self.succeed("destroy", "--all", "--force")

    def outputs(self) -> dict[str, dict[str, str]]:
        """Return the outputs of the last deploy, by stack."""
        found: dict[str, dict[str, str]] = json.loads(self._outputs_path.read_text())
        return found

    @property
    def _outputs_path(self) -> Path:
        return self.account.folder / "outputs.json"

    def _outputs(self) -> tuple[str, ...]:
        return (f"--outputs-file={self._outputs_path}",)

    def _variables(self) -> dict[str, str]:
        # A minimal environment: nothing of the user's AWS set-up leaks in.
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.account.folder),
            "CDK_HOME": str(self.account.folder / "cdk-home"),
            "CDK_DEFAULT_ACCOUNT": ACCOUNT_ID,
            "CDK_DEFAULT_REGION": REGION,
            "CDK_DISABLE_VERSION_CHECK": "1",
            "CDK_VALIDATION": str(self.validation).lower(),
            "CI": "1",
            "NO_COLOR": "1",
            "NODE_NO_WARNINGS": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            **self.account.exports(),
        }
