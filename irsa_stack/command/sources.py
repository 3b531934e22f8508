"""What every subcommand reads, and how it ends."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from irsa_stack.review.facts import Facts
from irsa_stack.review.sources.collection import facts_of
from irsa_stack.review.sources.reading import Reading, read

CLEAN, FOUND, USAGE, UNREAD = 0, 1, 2, 3

_Function = TypeVar("_Function", bound=Callable[..., Any])


def output_options(*formats: str) -> Callable[[_Function], _Function]:
    """Return the options of a report: its format, its file, parameters of templates.

    Args:
        formats: the formats; the first is the default.
    """

    def added(function: _Function) -> _Function:
        for option in (
            click.option(
                "--parameters",
                "-p",
                multiple=True,
                metavar="NAME=VALUE",
                help="Value of a CloudFormation parameter; repeat for more.",
            ),
            click.option(
                "--output",
                "-o",
                type=click.Path(dir_okay=False, path_type=Path),
                help="File to write the report to. Default: standard output.",
            ),
            click.option(
                "--format",
                "-f",
                "form",
                type=click.Choice(formats),
                default=formats[0],
                show_default=True,
                help="How the report is written.",
            ),
        ):
            function = option(function)
        return function

    return added


def loaded(paths: Sequence[str], parameters: Sequence[str]) -> tuple[Reading, Facts]:
    """Read *paths*, and say on standard error what could not be read."""
    reading = read(paths)
    facts = facts_of(reading, named(parameters, "--parameters"))
    for fault in reading.faults:
        click.echo(f"irsa: {fault}", err=True)
    return reading, facts


def named(values: Sequence[str], option: str) -> Mapping[str, str]:
    """Return `NAME=VALUE` texts by name.

    Raises:
        click.UsageError: one is not of that form.
    """
    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not re.fullmatch(r"\w+", name):
            raise click.UsageError(f"{option} must be NAME=VALUE, got {value!r}; correct it")
        found[name] = text
    return found


def ended(reading: Reading, *, found: bool) -> int:
    """Return the exit code: what could not be read weighs most, because the rest may hide there."""
    if reading.faults or not reading.sources:
        return UNREAD
    return FOUND if found else CLEAN
