"""What is generated from the controllers is current."""

from pathlib import Path

from irsa_stack.controllers import catalogue

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    page = (ROOT / "docs" / "controllers.md").read_text()
    assert page == catalogue.with_table(page), "run: make schema"


def test_type_checkers_know_every_controller():
    stub = (ROOT / "irsa_stack" / "controllers" / "__init__.pyi").read_text()
    assert stub == catalogue.stub(), "run: make schema"
