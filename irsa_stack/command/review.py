"""`irsa review`: what is wrong with access, where, and what to do."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from irsa_stack.command.output import as_json, write, write_table
from irsa_stack.command.sources import ended, loaded, output_options
from irsa_stack.review.judgement import NONE, Ignored, judged
from irsa_stack.review.reports.html import review_page
from irsa_stack.review.reports.markdown import review_markdown
from irsa_stack.review.reports.objects import review_object
from irsa_stack.review.reports.sarif import sarif
from irsa_stack.review.rules import HIGH, RULES, SEVERITIES

_IGNORED = re.compile(r"(IRSA\d{3}|\*):([^=]+)=(.*\S.*)")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output_options("text", "json", "sarif", "markdown", "html")
@click.option(
    "--fail-on",
    type=click.Choice([*SEVERITIES, NONE]),
    default=HIGH,
    show_default=True,
    help="Least severity that gives exit code 1.",
)
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Earlier report as JSON; its findings are known, and not said again.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="ID:RESOURCE=REASON",
    help="Finding that is meant, and why; RESOURCE may hold *. Repeat for more.",
)
def review(  # noqa: PLR0917 (click calls it by name)
    paths: tuple[str, ...],
    form: str,
    output: Path | None,
    parameters: tuple[str, ...],
    fail_on: str,
    baseline: Path | None,
    ignore: tuple[str, ...],
) -> None:
    """Say what is wrong with access, with file, line and cure."""
    meant = [_ignored(one) for one in ignore]
    known = _known(baseline)
    reading, facts = loaded(paths, parameters)
    judgement = judged(reading, facts, ignored=meant, baseline=known)
    report = review_object(judgement, reading.faults, len(reading.sources))
    if form == "text":
        rows = [
            (
                one["severity"],
                one["id"],
                f"{one['path']}:{one['line'] or ''}".rstrip(":"),
                one["resource"],
                f"{one['message']}; {one['fix']}",
            )
            for one in report["findings"]
        ]
        header = ("severity", "rule", "where", "resource", "finding and cure")
        write_table(report["summary"]["sentence"], header, rows, output)
    else:
        written = {
            "json": lambda: as_json(report),
            "sarif": lambda: as_json(sarif(judgement)),
            "markdown": lambda: review_markdown(report),
            "html": lambda: review_page(report),
        }
        write(written[form](), output)
    sys.exit(ended(reading, found=judgement.reaches(fail_on)))


def _ignored(text: str) -> Ignored:
    found = _IGNORED.fullmatch(text)
    if found is None or (found[1] != "*" and found[1] not in RULES):
        raise click.UsageError(
            f"--ignore must be ID:RESOURCE=REASON, got {text!r}; write one such as"
            " IRSA105:BuildRole='build jobs have generated names'"
        )
    return Ignored(id=found[1], resource=found[2], reason=found[3])


def _known(baseline: Path | None) -> Sequence[Mapping[str, Any]]:
    if baseline is None:
        return ()
    try:
        report = json.loads(baseline.read_text(encoding="utf-8"))
        found: list[Mapping[str, Any]] = report["findings"]
    except (OSError, ValueError, TypeError, KeyError):
        raise click.UsageError(
            f"--baseline must be a report of `irsa review --format json`, got {str(baseline)!r};"
            " write one with --output"
        ) from None
    return found
