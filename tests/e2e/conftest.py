"""The runs that the tests share: accounts with a real control plane, and the product in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.account import Account, account
from rehearsal.cdk import Cdk
from rehearsal.environments import write_environment
from rehearsal.kubernetes import NEWEST
from rehearsal.product import Product


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that deploy: none of the many others is left to the end alone."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product, deployed once for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("deployed")
    with account(folder / "run", kubernetes=NEWEST) as made:
        product = Product(Cdk(made, write_environment(folder)))
        product.cdk.bootstrap()
        product.cdk.deploy()
        yield product


@pytest.fixture(scope="module")
def bootstrapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A bootstrapped account of a module's own."""
    folder = tmp_path_factory.mktemp("bootstrapped")
    with account(folder / "run", kubernetes=NEWEST) as made:
        Cdk(made, write_environment(folder)).bootstrap()
        yield made


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment file of a test's own."""
    return write_environment(tmp_path)
