"""Every Python block of README, docs and docstrings runs."""

import doctest
import importlib
from pathlib import Path

import pytest
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.sybil import Sybil

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "irsa_stack").rglob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run(page):
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)

    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(module):
    failed, tried = doctest.testmod(importlib.import_module(module))

    assert tried
    assert not failed
