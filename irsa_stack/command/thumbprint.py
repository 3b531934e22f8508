"""`irsa thumbprint`: what the custom resource would compute for an issuer."""

import sys
from importlib import import_module

import click

from irsa_stack.handler_code import handler_code_path


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    options_metavar="ISSUER [--ca-bundle FILE] [--allow-private] [--timeout SECONDS] [--terraform]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def thumbprint(arguments: tuple[str, ...]) -> None:
    """Say the thumbprint that IAM wants of an OIDC issuer; reads its certificate chain."""
    sys.path.insert(0, str(handler_code_path()))
    by_hand = import_module("root_ca_thumbprint.by_hand")
    sys.exit(by_hand.main(list(arguments)))
