"""`irsa diff`: who gained, lost, has wider or narrower access."""

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from irsa_stack.command.output import as_json, write, write_table
from irsa_stack.command.sources import ended, loaded, output_options
from irsa_stack.review.difference import INCOMPARABLE, WIDENED, difference
from irsa_stack.review.reports.html import diff_page
from irsa_stack.review.reports.markdown import diff_markdown
from irsa_stack.review.reports.objects import diff_object
from irsa_stack.review.sources.reading import Reading


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="OLD NEW")
@output_options("text", "json", "markdown", "html")
@click.option(
    "--against",
    metavar="GIT-REF",
    help="Compare one path with what this commit has of it; nothing is synthesised.",
)
def diff(
    paths: tuple[str, ...],
    form: str,
    output: Path | None,
    parameters: tuple[str, ...],
    against: str | None,
) -> None:
    """Say who gained, lost, has wider or narrower access from OLD to NEW.

    Exit code 1 if access is wider, or neither wider nor narrower.
    """
    wanted = 2 if against is None else 1
    if len(paths) != wanted:
        raise click.UsageError(
            f"diff must have {'OLD and NEW' if against is None else 'one PATH'}, got"
            f" {len(paths)} paths; name {wanted}"
        )
    with _old(paths[0], against) as old:
        before, facts_before = loaded([old], parameters)
    after, facts_after = loaded([paths[-1]], parameters)
    found = difference(facts_before, facts_after)
    both = Reading(
        sources=[*before.sources, *after.sources] if before.sources and after.sources else [],
        faults=[*before.faults, *after.faults],
    )
    report = diff_object(found, both.faults)
    if form == "text":
        rows = [
            (one["kind"], one["subject"], one["role"], one["what"]) for one in report["changes"]
        ]
        sentence = report["summary"]["sentence"]
        write_table(sentence, ("change", "subject", "role", "what"), rows, output)
    else:
        written = {
            "json": lambda: as_json(report),
            "markdown": lambda: diff_markdown(report),
            "html": lambda: diff_page(report),
        }
        write(written[form](), output)
    sys.exit(ended(both, found=found.verdict in (WIDENED, INCOMPARABLE)))


@contextmanager
def _old(path: str, against: str | None) -> Iterator[str]:
    """Return the path to compare with: as given, or as a commit has it."""
    if against is None:
        yield path
        return
    whole = Path(path).resolve()
    folder = whole.parent
    if against.startswith("-"):
        raise click.UsageError(f"--against must be a commit, got {against!r}; name a branch or tag")
    with tempfile.TemporaryDirectory() as there:
        try:
            archive = subprocess.run(  # noqa: S603 (git with a name of a commit that is no option)
                ["git", "-C", str(folder), "archive", "--format=tar", against, whole.name],  # noqa: S607 (as found)
                check=True,
                capture_output=True,
            ).stdout
        except FileNotFoundError:
            raise click.UsageError("--against must have git, got none; install it") from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()
            click.echo(
                f"irsa: --against must be a commit that has {path!r}, got {against!r}: {reason};"
                " commit the cdk.out, or name two paths",
                err=True,
            )
            sys.exit(3)
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(there, filter="data")
        yield str(Path(there) / whole.name)
