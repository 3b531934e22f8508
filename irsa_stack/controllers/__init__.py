"""Controllers that clusters run, each with the least that it needs of AWS: one module a controller.

A module's name says its class: `external_dns` holds `ExternalDns`. Names are loaded when first
used. Type checkers read `__init__.pyi`, which `make schema` writes.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from irsa_stack.controllers.catalogue import module_of, names

__all__ = [*names(), "vpc_cni_policy"]  # noqa: PLE0604 (names are text)

if not TYPE_CHECKING:  # a type checker would take every name, misspelt ones too

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'irsa_stack.controllers' has no attribute {name!r}")
        module = "vpc_cni" if name == "vpc_cni_policy" else module_of(name)
        return getattr(import_module(f"irsa_stack.controllers.{module}"), name)


def __dir__() -> list[str]:
    return __all__
