import json
from pathlib import Path

import pytest
from aws_cdk import Duration, Stack

from irsa_stack.handler_code import files_of_others, handler_code_path
from irsa_stack.handler_function import HandlerFunction
from tests.support.templates import app_with_flags, template_of


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


def define(stack, handler):
    HandlerFunction(
        stack,
        "Handler",
        handler=handler,
        description="Does its work",
        timeout=Duration.seconds(60),
    )


def files_in_asset(stack):
    """What Lambda would unpack."""
    template_of(stack)
    folder = Path(stack.node.root.outdir)
    [manifest] = folder.glob("Stack.assets.json")
    [code] = [
        asset["source"]["path"]
        for asset in json.loads(manifest.read_text())["files"].values()
        if asset["source"]["packaging"] == "zip"
    ]
    return {str(path.relative_to(folder / code)) for path in (folder / code).rglob("*.py")}


def test_the_code_lies_in_the_repository():
    assert (handler_code_path() / "custom_resource.py").is_file()


@pytest.mark.parametrize("handler", ["root_ca_thumbprint", "service_accounts", "aws_node"])
def test_an_asset_holds_the_functions_own_code_and_no_other_functions(stack, handler):
    define(stack, f"{handler}.on_event.handle")
    folders = {Path(file).parts[0] for file in files_in_asset(stack)}
    others = {"root_ca_thumbprint", "service_accounts", "aws_node"} - {handler}
    assert "custom_resource.py" in folders
    assert not folders & others
    if (handler_code_path() / handler).is_dir():
        assert handler in folders


def test_the_thumbprints_function_carries_nothing_of_kubernetes():
    assert "kubernetes_api*" in files_of_others("root_ca_thumbprint.on_event.handle")
    assert "kubernetes_api*" not in files_of_others("service_accounts.on_event.handle")


def test_no_compiled_files_change_an_asset():
    assert {"**/__pycache__", "**/*.pyc"} <= set(files_of_others("aws_node.on_event.handle"))
