"""All controllers: found by their files, so that a new one is one file.

`make schema` writes what is generated from them: `__init__.pyi`, which type checkers read, and the
table of the page.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irsa_stack.controllers.spec import ControllerSpec

_FOLDER = Path(__file__).parent
# What is no controller: the shape that all have, and aws-node, which `AwsNodeRebinding` binds.
_SHARED = {"__init__", "catalogue", "scopes", "spec", "statements", "upstream", "vpc_cni"}


@cache
def modules() -> tuple[str, ...]:
    """Return the modules of all controllers, sorted."""
    return tuple(sorted({file.stem for file in _FOLDER.glob("*.py")} - _SHARED))


def names() -> list[str]:
    """Return the classes of all controllers, sorted as their modules are."""
    return [name_of(module) for module in modules()]


def name_of(module: str) -> str:
    """Return the class of a module: `external_dns` holds `ExternalDns`."""
    return "".join(word.capitalize() for word in module.split("_"))


def module_of(name: str) -> str:
    """Return the module of a class."""
    return {name_of(module): module for module in modules()}[name]


def specs() -> dict[str, "type[ControllerSpec]"]:
    """Return the classes of all controllers, by the key that they have in environment files."""
    return {
        module: getattr(import_module(f"irsa_stack.controllers.{module}"), name_of(module))
        for module in modules()
    }


def stub() -> str:
    """Return the text of `__init__.pyi`."""
    lines = [
        f"from irsa_stack.controllers.{module} import {name_of(module)} as {name_of(module)}"
        for module in modules()
    ]
    # "as" makes a name public to type checkers.
    lines.append("from irsa_stack.controllers.vpc_cni import vpc_cni_policy as vpc_cni_policy")
    return "\n".join([*lines, "", f"__all__ = {[*names(), 'vpc_cni_policy']}", ""])


_START, _END = "<!-- generated: make schema -->", "<!-- end -->"


def with_table(page: str) -> str:
    """Return *page* with its table of controllers made anew."""
    before, _, rest = page.partition(_START)
    return f"{before}{_START}\n{_table()}\n{_END}{rest.partition(_END)[2]}"


def _table() -> str:
    heads = ["controller, key in environment files", "options", "service account", "versions"]
    heads += ["chart", "EKS add-on"]
    rows = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for key, kind in specs().items():
        upstream = kind.upstream
        options = ", ".join(f"`{option}`" for option in kind.option_docs())
        rows.append(
            f"| [`{kind.__name__}`]({upstream.policy}) `{key}` | {options} |"
            f" `{kind.namespace}/{kind.service_account}` |"
            f" {upstream.version} of {upstream.released}, from {upstream.minimum}: it"
            f" {upstream.because} | {upstream.chart} {upstream.chart_version} |"
            f" {f'`{kind.addon}`' if kind.addon else 'none'} |"
        )
    return "\n".join(rows)


def write(page: Path) -> None:
    """Write `__init__.pyi` and the table of *page* anew."""
    (_FOLDER / "__init__.pyi").write_text(stub(), encoding="utf-8")
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
