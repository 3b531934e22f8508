"""`irsa access`: which service account has which role, and what that may do."""

import sys
from pathlib import Path
from typing import Any

import click

from irsa_stack.command.output import as_json, write, write_table
from irsa_stack.command.sources import ended, loaded, output_options
from irsa_stack.review.access import grants_of
from irsa_stack.review.facts import Facts
from irsa_stack.review.judgement import judged
from irsa_stack.review.reports.html import access_page
from irsa_stack.review.reports.markdown import access_markdown, what_may
from irsa_stack.review.reports.mermaid import mermaid
from irsa_stack.review.reports.objects import access_object, finding_object
from irsa_stack.review.sources.reading import Reading


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output_options("text", "json", "markdown", "html", "mermaid")
@click.option(
    "--reports",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder to write access.html, access.json and access.md to, too.",
)
def access(
    paths: tuple[str, ...],
    form: str,
    output: Path | None,
    parameters: tuple[str, ...],
    reports: Path | None,
) -> None:
    """Say which service account has which role, and what that may do."""
    reading, facts = loaded(paths, parameters)
    report = access_object(grants_of(facts), reading.faults, len(reading.sources))
    after = "" if reports is None else _reported(reports, report, reading, facts)
    if form == "text":
        rows = [
            (
                one["subject"],
                one["cluster"],
                ", ".join(one["bound"]),
                one["role"],
                what_may(one),
                one["certainty"] + (f": {one['why']}" if one["why"] else ""),
            )
            for one in report["grants"]
        ]
        header = ("service account", "cluster", "bound by", "role", "may", "certainty")
        write_table(report["summary"]["sentence"], header, rows, output, after=after)
    else:
        written = {
            "json": lambda: as_json(report),
            "markdown": lambda: access_markdown(report),
            "html": lambda: access_page(report),
            "mermaid": lambda: mermaid(report),
        }
        write(written[form](), output)
    sys.exit(ended(reading, found=False))


def _reported(folder: Path, report: dict[str, Any], reading: Reading, facts: Facts) -> str:
    """Write the reports that people look at, and say where they are."""
    findings = [finding_object(one) for one in judged(reading, facts).findings]
    page = folder / "access.html"
    write(access_page(report, findings), page)
    write(as_json(report), folder / "access.json")
    write(access_markdown(report), folder / "access.md")
    return f"{page} is the page of it, with access.json and access.md beside."
