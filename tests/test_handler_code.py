"""Where the functions' code is found."""

import pytest

from irsa_stack import handler_code


def test_is_the_repositorys_folder_beside_the_package():
    assert (handler_code.handler_code_path() / "custom_resource.py").is_file()


def test_is_missed_with_the_cure_named(monkeypatch, tmp_path):
    monkeypatch.setattr(handler_code, "_PACKAGE", tmp_path)
    with pytest.raises(FileNotFoundError, match="install the irsa-stack wheel again"):
        handler_code.handler_code_path()


def test_an_asset_leaves_the_other_functions_out():
    assert "service_accounts" in handler_code.files_of_others("aws_node.on_event.handle")
    assert "aws_node" not in handler_code.files_of_others("aws_node.on_event.handle")
