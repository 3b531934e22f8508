"""Reports to a file or the terminal: colour and width as it has them."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

STYLES = {
    "critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "blue",
    "certain": "green", "conditional": "yellow", "unknown": "yellow", "denied": "red",
    "gained": "red", "widened": "red", "incomparable": "red", "lost": "green", "narrowed": "green",
    "ok": "green", "broken": "red",
}  # fmt: skip

_WIDTH_IN_FILES = 120


def write(text: str, output: Path | None) -> None:
    """Write *text* to a file or to standard output."""
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    try:
        output.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(
            f"--output must be a file that can be written, got {str(output)!r}: {error.strerror};"
            " name another"
        ) from None


def as_json(report: dict[str, Any]) -> str:
    """Return *report* as JSON text."""
    return json.dumps(report, indent=2)


def write_table(
    sentence: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    output: Path | None,
    *,
    after: str = "",
) -> None:
    """Write a sentence and a table that fits the terminal; a word that has a colour is in it."""
    listed = list(rows)
    if output is not None:
        with output.open("w", encoding="utf-8") as file:
            _print(Console(file=file, width=_WIDTH_IN_FILES), sentence, header, listed, after)
        return
    console = Console(file=sys.stdout, soft_wrap=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_WIDTH_IN_FILES)
    _print(console, sentence, header, listed, after)


def _print(
    console: Console,
    sentence: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    after: str,
) -> None:
    console.print(escape(sentence), highlight=False, soft_wrap=True)
    if rows:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in header:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(_styled(cell) for cell in row))
        console.print()
        console.print(table, highlight=False)
    if after:
        console.print()
        console.print(escape(after), highlight=False, soft_wrap=True)


def _styled(cell: str) -> str:
    style = STYLES.get(cell.partition(":")[0])
    return f"[{style}]{escape(cell)}[/]" if style else escape(cell)
