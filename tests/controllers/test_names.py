import subprocess
import sys
from dataclasses import fields

import pytest

from irsa_stack import controllers
from irsa_stack.controllers import catalogue
from irsa_stack.controllers.spec import ControllerSpec
from tests.support.controllers import CLUSTER, IRELAND, documents, spec_at, table


@pytest.mark.parametrize("name", controllers.__all__)
def test_each_public_name_is_there(name):
    assert getattr(controllers, name).__name__ == name


def test_lists_its_public_names():
    assert dir(controllers) == controllers.__all__


def test_says_which_name_it_lacks():
    with pytest.raises(AttributeError, match=r"'irsa_stack\.controllers' has no attribute 'Karp"):
        _ = controllers.Karpentr


@pytest.mark.parametrize("module", catalogue.modules())
def test_each_controller_is_a_spec_with_a_docstring_for_every_option(module):
    kind = catalogue.specs()[module]
    assert issubclass(kind, ControllerSpec)
    assert kind.__doc__
    assert "Examples:" in kind.__doc__
    assert kind.option_docs().keys() == {option.name for option in fields(kind)}


@pytest.mark.parametrize("module", catalogue.modules())
def test_each_controller_has_a_table_of_calls(module):
    assert table(module).SPECS
    for spec in table(module).SPECS.values():
        assert documents(spec_at(spec, IRELAND))
        assert isinstance(spec_at(spec, IRELAND).chart_values(CLUSTER, IRELAND), dict)


def test_is_imported_without_the_cdk():
    code = (
        "import sys, irsa_stack.controllers.catalogue as c; c.specs()\n"
        "sys.exit(any(name in sys.modules for name in ('aws_cdk', 'constructs', 'jsii')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
