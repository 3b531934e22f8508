"""Config -> stacks -> synth. No AWS call, no clock, no network: twice the same, byte for byte."""

import sys
from pathlib import Path

from aws_cdk import App

from irsa_stack.environment.environment_file import load_environment, report
from irsa_stack.faults import InvalidInput
from irsa_stack.stacks import define_stacks, review

ENVIRONMENTS = Path("environments")  # the CLI runs this beside cdk.json

app = App()
for left in Path(app.outdir).glob("*.json"):
    left.unlink()  # of an earlier synth, which another environment may have made
path = ENVIRONMENTS / f"{app.node.try_get_context('environment') or 'dev'}.yaml"
try:
    define_stacks(app, load_environment(path), files=ENVIRONMENTS)
except InvalidInput as error:
    sys.exit(report(path, error.faults))
try:
    review(app)
except InvalidInput as error:
    sys.exit(str(error))
app.synth()
