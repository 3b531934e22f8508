"""Where the functions' code lies: in the repository, or inside the installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_HANDLERS = ("root_ca_thumbprint", "service_accounts", "aws_node")


def handler_code_path() -> Path:
    """Return the folder that is the root of every function's code.

    Raises:
        FileNotFoundError: neither the wheel's copy nor the repository's folder is there.
    """
    for folder in (_PACKAGE / "_lambda", _PACKAGE.parent / "lambda"):
        if (folder / "custom_resource.py").is_file():
            return folder
    raise FileNotFoundError(
        f"the functions' code must lie in {_PACKAGE / '_lambda'} or {_PACKAGE.parent / 'lambda'},"
        " found neither; install the irsa-stack wheel again"
    )


def files_of_others(handler: str) -> list[str]:
    """Return what the asset of one function leaves out: the other functions' folders."""
    others = [name for name in _HANDLERS if name != handler.partition(".")[0]]
    if handler.startswith("root_ca_thumbprint."):
        others.append("kubernetes_api*")
    return [*others, "**/__pycache__", "**/*.pyc"]
