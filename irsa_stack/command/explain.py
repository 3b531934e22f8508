"""`irsa explain`: why a service account may, or may not, assume its role."""

import sys
from pathlib import Path

import click

from irsa_stack.command.output import as_json, write, write_table
from irsa_stack.command.sources import ended, loaded, output_options
from irsa_stack.faults import InvalidInput
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.review.explanation import BROKEN, explained, first_broken
from irsa_stack.review.reports.markdown import explain_markdown
from irsa_stack.review.reports.objects import explain_object


@click.command()
@click.argument("account", metavar="NAMESPACE/NAME")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output_options("text", "json", "markdown")
def explain(
    account: str,
    paths: tuple[str, ...],
    form: str,
    output: Path | None,
    parameters: tuple[str, ...],
) -> None:
    """Say why a service account may, or may not, assume its role, link by link.

    Exit code 1 if a link is broken.
    """
    try:
        identity = ServiceAccountIdentity.parse(account)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None
    reading, facts = loaded(paths, parameters)
    links = explained(facts, identity.namespace, identity.name)
    report = explain_object(account, links, reading.faults)
    if form == "text":
        rows = [
            (one["state"], one["name"], one["presented"], one["configured"], one["fix"])
            for one in report["links"]
        ]
        header = ("state", "link", "presented", "configured", "cure")
        write_table(report["summary"]["sentence"], header, rows, output)
    else:
        write(as_json(report) if form == "json" else explain_markdown(report), output)
    first = first_broken(links)
    sys.exit(ended(reading, found=first is not None and first.state == BROKEN))
