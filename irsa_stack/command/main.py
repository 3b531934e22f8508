"""The command and its subcommands."""

import click

from irsa_stack.command.access import access
from irsa_stack.command.diff import diff
from irsa_stack.command.explain import explain
from irsa_stack.command.review import review
from irsa_stack.command.thumbprint import thumbprint


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="irsa-stack", prog_name="irsa")
def main() -> None:
    """Say who can do what on EKS, why, and what a change would change.

    PATH is a cdk.out, CloudFormation as JSON or YAML, a Terraform plan as JSON, Kubernetes
    manifests, a trust policy, a folder of these, or - for standard input.

    Exit codes: 0 clean; 1 findings at the threshold, or access that is wider; 2 usage; 3 something
    could not be read.
    """


for command in (review, access, explain, diff, thumbprint):
    main.add_command(command)
