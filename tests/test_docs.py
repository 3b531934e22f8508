"""Every Python block of README, docs and docstrings runs."""

from pathlib import Path

import pytest
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.sybil import Sybil

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run(page):
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)

    for example in document.examples():
        example.evaluate()
