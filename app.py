"""Config -> stacks -> synth. No AWS call, no clock, no network: twice the same, byte for byte."""

import sys
from pathlib import Path

from aws_cdk import App

from irsa_stack.environment.document import file_in
from irsa_stack.environment.environment_file import load_environment, report
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.stacks import define_stacks, review
from irsa_stack.stacks.review import review_faults

ENVIRONMENTS = Path("environments")  # the CLI runs this beside cdk.json

app = App()
for left in Path(app.outdir).glob("*.json"):
    left.unlink()  # of an earlier synth, which another environment may have made
name = str(app.node.try_get_context("environment") or "dev")
path = ENVIRONMENTS / f"{name}.yaml"
try:
    settings = load_environment(file_in(ENVIRONMENTS, name))
    refuse(review_faults(settings))
    define_stacks(app, settings, files=ENVIRONMENTS)
except InvalidInput as error:
    sys.exit(report(path, error.faults))
try:
    review(app)
except InvalidInput as error:
    sys.exit(str(error))
app.synth()
