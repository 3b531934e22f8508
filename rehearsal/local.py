"""`make deploy-local` and `make destroy-local`: the product in an account on this machine."""

import argparse
import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rehearsal.account import REPOSITORY, account
from rehearsal.cdk import Cdk
from rehearsal.environments import without_kubernetes
from rehearsal.inventory import Inventory, added, inventory
from rehearsal.kubernetes import NEWEST, find_programs
from rehearsal.product import ACCOUNTS_STACK, Product
from rehearsal.tokens import sign_token

_SUBJECT = "system:serviceaccount:apps:reader"
_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Place:
    """Where `up` and `down` meet."""

    folder: Path

    @property
    def run(self) -> Path:
        """All that a run writes; it goes with the run."""
        return self.folder / "run"

    @property
    def lock(self) -> Path:
        """Held by the one `up` that a place may have."""
        return self.folder / "lock"

    @property
    def request(self) -> Path:
        """With it `down` asks for the stacks to be destroyed."""
        return self.folder / "destroy"

    @property
    def report(self) -> Path:
        """With it `up` answers what they left."""
        return self.folder / "destroyed"

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            BlockingIOError: another `up` holds it.
        """
        with self.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    @property
    def is_taken(self) -> bool:
        """Whether an `up` holds the lock."""
        try:
            with self.taken():
                return False
        except BlockingIOError:
            return True

    def clear(self) -> None:
        """Remove what a run that was killed has left."""
        shutil.rmtree(self.run, ignore_errors=True)
        for path in (self.request, self.report):
            path.unlink(missing_ok=True)


@dataclass
class Progress:
    """A line a step, with the seconds it took."""

    started: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say *name*, and when the block ends how long it took."""
        began = time.monotonic()
        say(f"{name} ... ", end="")
        yield
        say(f"{time.monotonic() - began:.1f} s")

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.started


def main() -> None:
    """Run `up` or `down`."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.local", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / ".local")
    asked = parser.parse_args()
    try:
        {"up": up, "down": down}[asked.command](Place(asked.folder.resolve()))
    except (AssertionError, RuntimeError) as error:
        # What failed says why in full; where in this file it was called helps nobody.
        sys.exit(f"\n{error}")


def up(place: Place) -> None:
    """Deploy, print how to use it, and stay until Ctrl-C or `make destroy-local`."""
    # `kill` ends it as Ctrl-C does, in a shell's background too, and leaves as little.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    place.folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as ending:
        try:
            ending.enter_context(place.taken())
        except BlockingIOError:
            sys.exit("deploy-local runs already in this checkout; end it with make destroy-local")
        ending.enter_context(contextlib.suppress(KeyboardInterrupt))
        place.clear()
        try:
            _deploy_and_wait(place)
        finally:
            shutil.rmtree(place.run, ignore_errors=True)
            place.request.unlink(missing_ok=True)
            say("\nstopped")


def down(place: Place) -> None:
    """Ask the running `up` to destroy the stacks, and tell what they left."""
    place.folder.mkdir(exist_ok=True)
    if not place.is_taken:
        place.clear()
        sys.exit("nothing is deployed; run: make deploy-local")
    place.request.touch()
    say("destroying ... ", end="")
    running = True
    while not place.report.exists():
        if not running:
            sys.exit("deploy-local ended before everything was destroyed; it printed the reason")
        time.sleep(_POLL_SECONDS)
        # Before the next look at the report: it is written before the lock is left.
        running = place.is_taken
    report = place.report.read_text()
    place.report.unlink()
    say(report)
    sys.exit(0 if report.startswith("nothing is left") else 1)


def _deploy_and_wait(place: Place) -> None:
    progress = Progress()
    kubernetes = available_kubernetes()
    with contextlib.ExitStack() as running:
        with progress.step("control plane and account" if kubernetes else "account"):
            made = running.enter_context(account(place.run, kubernetes=kubernetes))
        environment = REPOSITORY / "environments" / "local.yaml"
        if kubernetes is None:
            environment = without_kubernetes(place.run, computed_thumbprint=os.geteuid() == 0)
        product = Product(Cdk(made, environment, validation=True))
        with progress.step("cdk bootstrap"):
            product.cdk.bootstrap()
        before = inventory(made)
        with progress.step("cdk deploy"):
            product.cdk.deploy()
        role_arn = product.cdk.outputs()[ACCOUNTS_STACK].popitem()[1]
        with progress.step("token of apps/reader at STS"):
            token = product.token() if kubernetes else sign_token(made, subject=_SUBJECT)
            session = made.assume_role(role_arn, token)["AssumedRoleUser"]["Arn"]
        _introduce(product, environment, session)
        say(f"\nready after {progress.seconds:.0f} s; Ctrl-C stops it, make destroy-local destroys")
        while not place.request.exists():
            time.sleep(_POLL_SECONDS)
        product.cdk.destroy()
        place.report.write_text(_report(added(before, inventory(made))))


def available_kubernetes() -> str | None:
    """Return the version to run, or nothing after saying what is missing."""
    missing = []
    if os.geteuid() != 0:
        missing.append("root, which may serve AWS's host names on port 443")
    try:
        find_programs(NEWEST)
    except RuntimeError as error:
        missing.append(str(error))
    if not missing:
        return NEWEST
    say(f"without a control plane, because these are missing: {'; '.join(missing)}")
    return None


def _introduce(product: Product, environment: Path, session: str) -> None:
    made = product.account
    say(f"\naccount  {made.endpoint}")
    say(f"issuer   {made.issuer_url}")
    if made.kubernetes is not None:
        say(f"cluster  {made.kubernetes.endpoint}")
    for stack, outputs in product.cdk.outputs().items():
        for name, value in outputs.items():
            if name.startswith("ExportsOutput"):  # what one stack hands the other
                continue
            say(f"{stack}.{name}  {value}")
    say(f"apps/reader became {session}")
    say("\nIn another shell:")
    variables = made.exports()
    if made.kubernetes is not None:
        variables["KUBECONFIG"] = str(made.kubernetes.admin_kubeconfig)
        kubectl = made.kubernetes.programs["kubectl"]
        variables["PATH"] = f"{kubectl.parent}:$PATH"
    for name, value in variables.items():
        say(f'export {name}="{value}"')
    say(f"npx cdk diff -c environment={shlex.quote(str(environment.with_suffix('')))}")


def _report(left: Inventory) -> str:
    if not left:
        return "nothing is left"
    return "\n".join(["left:", *(f"  {kind}: {', '.join(left[kind])}" for kind in left)])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(line: str, end: str = "\n") -> None:
    """Print at once."""
    sys.stdout.write(line + end)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
