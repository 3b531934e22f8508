"""`irsa access`: which service account has which role, and what that may do."""

import sys
from pathlib import Path

import click

from irsa_stack.command.output import as_json, write, write_table
from irsa_stack.command.sources import ended, loaded, output_options
from irsa_stack.review.access import grants_of
from irsa_stack.review.reports.html import access_page
from irsa_stack.review.reports.markdown import access_markdown, what_may
from irsa_stack.review.reports.mermaid import mermaid
from irsa_stack.review.reports.objects import access_object


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output_options("text", "json", "markdown", "html", "mermaid")
def access(
    paths: tuple[str, ...], form: str, output: Path | None, parameters: tuple[str, ...]
) -> None:
    """Say which service account has which role, and what that may do."""
    reading, facts = loaded(paths, parameters)
    report = access_object(grants_of(facts), reading.faults, len(reading.sources))
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
        write_table(report["summary"]["sentence"], header, rows, output)
    else:
        written = {
            "json": lambda: as_json(report),
            "markdown": lambda: access_markdown(report),
            "html": lambda: access_page(report),
            "mermaid": lambda: mermaid(report),
        }
        write(written[form](), output)
    sys.exit(ended(reading, found=False))
