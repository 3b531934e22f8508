"""Measure this library beside the stock ones and write `results.md`: `make bench`.

Each synth is a fresh process; the designs take turns, so that a slow minute of the machine hits all
of them, and the least of several rounds counts. CPU seconds and memory are those of Python and Node
together.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import review

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.md"
ACCOUNTS = (1, 10, 50, 100, 200)
MANY = 1_000
COMPARED = ("ours", "stock_v2", "stock_v1")
VARIANTS = ("ours_granted", "stock_v2_bare")
FIXED = ("ours", "ours_chosen", "stock_v2")
RESOURCES_A_STACK = 500
MIB = 1_048_576


@dataclass(frozen=True, order=True)
class Case:
    """One synth to measure."""

    design: str
    accounts: int
    validation: bool = False
    as_cli: bool = False


@dataclass(frozen=True)
class Figures:
    """What one synth made and cost."""

    stacks: int
    resources: int
    custom_resources: int
    bytes: int
    cpu: float
    wall: float
    memory: float

    def least(self, other: "Figures") -> "Figures":
        """Return the better of two runs of one case, figure by figure."""
        return Figures(
            self.stacks,
            self.resources,
            self.custom_resources,
            self.bytes,
            min(self.cpu, other.cpu),
            min(self.wall, other.wall),
            min(self.memory, other.memory),
        )


def measure(case: Case) -> Figures:
    """Run one synth in a process of its own."""
    environment = {
        name: value
        for name, value in os.environ.items()
        # Without bytecode files Python would compile the library anew in each process.
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith(("AWS_", "CDK_"))
    }
    environment["CDK_VALIDATION"] = "true" if case.validation else "false"
    environment["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "20"
    command = [sys.executable, str(FOLDER / "designs.py"), case.design, str(case.accounts)]
    command += ["--as-cli"] if case.as_cli else []
    with tempfile.TemporaryFile() as made, tempfile.TemporaryFile() as told:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=made, stderr=told, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            sys.exit(f"{case} failed:\n{told.read().decode()}")
        made.seek(0)
        counts = json.loads(made.read())
    return Figures(
        counts["stacks"],
        counts["resources"],
        counts["custom_resources"],
        counts["bytes"],
        usage.ru_utime + usage.ru_stime,
        wall,
        # Of a finished tree the kernel tells the largest process: Node.
        (usage.ru_maxrss + counts["python_kib"]) * 1_024 / MIB,
    )


def measure_all(rounds: int) -> dict[Case, Figures]:
    """Measure every case of the report, in turns."""
    timed = [Case(design, accounts) for accounts in ACCOUNTS for design in COMPARED]
    timed += [Case(design, accounts) for accounts in (1, ACCOUNTS[-1]) for design in VARIANTS]
    timed += [Case("app_py", MANY)]
    # What is fixed differs by little, and the machine's noise is more: four times as often.
    timed += 3 * [Case(design, 1) for design in FIXED] + [Case("ours_chosen", 1)]
    # What one more account costs comes from these.
    timed += [Case(design, ACCOUNTS[-1]) for design in ("ours", "stock_v2")]
    validated = [Case(design, 1, validation=True) for design in (*FIXED, "stock_v1")]
    validated.append(Case("app_py", MANY, validation=True))
    counted = [Case(design, accounts, as_cli=True) for accounts in ACCOUNTS for design in COMPARED]
    counted.append(Case("app_py", MANY, as_cli=True))
    found: dict[Case, Figures] = {}
    for number in range(rounds):
        for case in timed + (validated if number < 3 else []) + (counted if number < 1 else []):  # noqa: PLR2004 (the slow ones three times, exact ones once)
            figures = measure(case)
            found[case] = figures.least(found.get(case, figures))
        print(f"round {number + 1} of {rounds} is done", file=sys.stderr)
    return found


def report(found: dict[Case, Figures], rounds: int, seconds: float) -> Iterator[str]:
    """Yield the lines of `results.md`."""
    yield "# This library beside the stock ones"
    yield ""
    yield (
        "Written by `make bench`. Each account is the same work in every column: a role that trusts"
        " `aud` and `sub`, one inline statement, the tags `ServiceAccountName`,"
        " `ServiceAccountNamespace` and `ClusterName`, and a ServiceAccount with two annotations"
        " and a label; the stock constructs are given the same tags, label and annotation. The"
        " cluster, in an imported VPC, is that of `aws_eks_v2` for ours and for stock v2, and that"
        " of `aws_eks` for stock v1. Ours also computes the OIDC provider's thumbprint, which stock"
        " does not. Nothing is deployed."
    )
    yield ""
    yield (
        "Seconds and memory are Python and Node together, built-in validation off unless said, the"
        f" least of {rounds} interleaved rounds of fresh processes. Counts and bytes are exact."
        " Ratios are ours to stock: below 1 is less. Python's garbage collector is off in all of"
        " them: a full collection takes 50 ms, and whether one falls into a synth is chance."
    )
    yield ""
    yield from _versions(seconds)
    yield ""
    yield "## Promised and measured"
    yield ""
    yield from _promises(found)
    yield ""
    yield "## Figure by figure"
    yield ""
    yield from _figures(found)
    yield ""
    yield "## 1,000 accounts"
    yield ""
    yield from _many(found)
    yield ""
    yield from review.report(rounds)


def _versions(seconds: float) -> Iterator[str]:
    packages = ("aws-cdk-lib", "constructs", "jsii", "aws-cdk.lambda-layer-kubectl-v36")
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    parts = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    parts += [
        f"Python {platform.python_version()}",
        f"Node {node.stdout.strip().removeprefix('v')}",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    ]
    yield f"{'; '.join(parts)}; {seconds / 60:.0f} minutes."


def _growth(found: dict[Case, Figures], design: str, figure: str, *, as_cli: bool = False) -> float:
    """Return what one account more costs: from the first to the last of `ACCOUNTS`."""
    first, last = (found[Case(design, accounts, as_cli=as_cli)] for accounts in (1, ACCOUNTS[-1]))
    return float(getattr(last, figure) - getattr(first, figure)) / (ACCOUNTS[-1] - 1)


def _most_accounts(found: dict[Case, Figures], design: str) -> int:
    """Return how many accounts fit into one stack, beside the resource that the CLI adds."""
    fixed = found[Case(design, 1)].resources - _growth(found, design, "resources")
    if design == "stock_v1":
        fixed = found[Case(design, 1)].resources - 4 - _NESTED_V1
    return int((RESOURCES_A_STACK - 1 - fixed) // _growth(found, design, "resources"))


_NESTED_V1 = 29
"""Resources of the two nested stacks of `aws_eks`, which have limits of their own."""


def _promises(found: dict[Case, Figures]) -> Iterator[str]:
    def ratio(figure: str, *, as_cli: bool = False, design: str = "ours") -> float:
        return _growth(found, design, figure, as_cli=as_cli) / _growth(
            found, "stock_v2", figure, as_cli=as_cli
        )

    def fixed(design: str, *, validation: bool) -> float:
        return (
            found[Case(design, 1, validation=validation)].cpu
            / found[Case("stock_v2", 1, validation=validation)].cpu
        )

    bare = _growth(found, "ours", "cpu") / _growth(found, "stock_v2_bare", "cpu")
    bare_bytes = _growth(found, "ours", "bytes") / _growth(found, "stock_v2_bare", "bytes")
    ratios = [
        ("template bytes per account, as the app writes it", 0.45, ratio("bytes")),
        ("template bytes per account, as the CLI deploys it", 0.45, ratio("bytes", as_cli=True)),
        ("synth CPU per account", 0.50, ratio("cpu")),
        *(
            (
                f"fixed CPU of a synth, validation {state}, {work}",
                1.00,
                fixed(design, validation=state == "on"),
            )
            for state in ("off", "on")
            for design, work in (
                ("ours_chosen", "IAM chooses the thumbprint as in stock"),
                ("ours", "and with the thumbprint's function"),
            )
        ),
    ]
    rows = [
        (
            "resources per account",
            "1.0 beside 4.0",
            f"{_growth(found, 'ours', 'resources'):.1f} beside"
            f" {_growth(found, 'stock_v2', 'resources'):.1f}",
        ),
        (
            f"custom resources per deploy, {ACCOUNTS[-1]} accounts",
            "at most 2",
            f"{found[Case('ours', ACCOUNTS[-1])].custom_resources} in all beside"
            f" {found[Case('stock_v2', ACCOUNTS[-1])].custom_resources}",
        ),
        (
            "accounts per stack",
            "at least 400 beside 120",
            f"{_most_accounts(found, 'ours')} beside {_most_accounts(found, 'stock_v2')}",
        ),
        *((figure, f"at most {bound:.2f}", f"{value:.2f}") for figure, bound, value in ratios),
    ]
    yield "| figure | promised | measured |"
    yield "| --- | --- | --- |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
    missed = [
        f"{figure}, {value:.2f} instead of {bound:.2f}"
        for figure, bound, value in ratios
        if round(value, 2) > bound
    ]
    yield f"Missed: {'; '.join(missed) or 'nothing'}."
    yield ""
    yield (
        "Against stock v2 as it comes, without those tags, label and annotation, an account of ours"
        f" (which has them) takes {bare:.2f} of the CPU and {bare_bytes:.2f} of the bytes. With a"
        " grant for each account instead of an inline statement, which is two resources as the"
        " policy stands alone, it takes"
        f" {ratio('cpu', design='ours_granted'):.2f} of the CPU and"
        f" {ratio('bytes', design='ours_granted'):.2f} of the bytes of stock v2."
    )


_FIGURES = (
    ("resources", "resources", "{:.0f}", 1, False),
    ("custom resources", "custom_resources", "{:.0f}", 1, False),
    ("template, KB", "bytes", "{:.1f}", 1_000, False),
    ("template as the CLI deploys it, KB", "bytes", "{:.1f}", 1_000, True),
    ("CPU, s", "cpu", "{:.2f}", 1, False),
    ("wall, s", "wall", "{:.2f}", 1, False),
    ("memory, MiB", "memory", "{:.0f}", 1, False),
)
_GROWTHS = (
    ("resources", "resources", "{:.1f}", 1, False),
    ("custom resources", "custom_resources", "{:.1f}", 1, False),
    ("template, bytes", "bytes", "{:.0f}", 1, False),
    ("template as the CLI deploys it, bytes", "bytes", "{:.0f}", 1, True),
    ("CPU, ms", "cpu", "{:.1f}", 0.001, False),
    ("wall, ms", "wall", "{:.1f}", 0.001, False),
    ("memory, KiB", "memory", "{:.0f}", 1 / 1_024, False),
)


def _figures(found: dict[Case, Figures]) -> Iterator[str]:
    yield "| accounts | figure | ours | stock v2 | ratio | stock v1 | ratio |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for accounts in ACCOUNTS:
        for name, figure, form, unit, as_cli in _FIGURES:
            values = [
                getattr(found[Case(design, accounts, as_cli=as_cli)], figure) / unit
                for design in COMPARED
            ]
            yield _row(f"{accounts}", name, form, values)
        if accounts == 1:
            values = [found[Case(design, 1, validation=True)].cpu for design in COMPARED]
            yield _row("1", "CPU with validation, s", "{:.2f}", values)
    for name, figure, form, unit, as_cli in _GROWTHS:
        values = [_growth(found, design, figure, as_cli=as_cli) / unit for design in COMPARED]
        yield _row("one more", name, form, values)
    yield _row(
        "most in a stack",
        "accounts",
        "{:.0f}",
        [_most_accounts(found, design) for design in COMPARED],
    )


def _row(accounts: str, name: str, form: str, values: Sequence[float]) -> str:
    mine, *stock = values
    cells = [form.format(mine)]
    for value in stock:
        cells += [form.format(value), f"{mine / value:.2f}" if value else ""]
    return f"| {accounts} | {name} | {' | '.join(cells)} |"


def _many(found: dict[Case, Figures]) -> Iterator[str]:
    many, validated = (found[Case("app_py", MANY, validation=on)] for on in (False, True))
    as_cli = found[Case("app_py", MANY, as_cli=True)]
    yield (
        f"The app's stacks, onto an existing cluster: {MANY:,} accounts in {many.stacks} stacks,"
        f" {many.resources:,} resources, {many.custom_resources} custom resources,"
        f" {many.bytes / 1e6:.2f} MB of templates ({as_cli.bytes / 1e6:.2f} as the CLI deploys"
        f" them); {many.cpu:.1f} s of CPU, {many.wall:.1f} s of wall and {many.memory:.0f} MiB,"
        f" with validation {validated.cpu:.1f} s, {validated.wall:.1f} s and"
        f" {validated.memory:.0f} MiB. Stock v2 would need"
        f" {-(-MANY // _most_accounts(found, 'stock_v2'))} stacks and about"
        f" {MANY * _growth(found, 'stock_v2', 'custom_resources'):,.0f} custom resources."
    )


def main(arguments: Iterable[str]) -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each synth (default: 5)")
    rounds = parser.parse_args(list(arguments)).rounds
    started = time.perf_counter()
    found = measure_all(rounds)
    lines = report(found, rounds, time.perf_counter() - started)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
