"""What the review costs, beside cdk-nag in the same run: `review.py APP PLUGIN` is one synth.

APP is `dev` (the shipped environment) or `roles` (1,000 roles written by hand), PLUGIN is `none`,
`ours` or `nag`. Without arguments it measures all of them and prints the section of `results.md`.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
ROLES = 1_000
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
APPS = ("dev", "roles")
PLUGINS = ("none", "ours", "nag")


def trust_policy(position: int) -> dict[str, Any]:
    """Return a trust policy for one account."""
    tests = {
        f"{ISSUER}:aud": "sts.amazonaws.com",
        f"{ISSUER}:sub": f"system:serviceaccount:ns-{position}:account-{position}",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": tests},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def synthesise(app_name: str, plugin: str) -> None:
    """Synthesise once."""
    sys.path.insert(0, str(REPOSITORY))
    import json

    from aws_cdk import App, Stack, Validations, aws_iam

    from irsa_stack import TrustReview

    context = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    app = App(context=context, analytics_reporting=False, outdir=tempfile.mkdtemp())
    if app_name == "dev":
        from irsa_stack.environment.environment_file import load_environment
        from irsa_stack.stacks import define_stacks

        environments = REPOSITORY / "environments"
        define_stacks(app, load_environment(environments / "dev.yaml"), files=environments)
    else:
        # 500 resources are the most that a stack may have.
        stacks = [Stack(app, f"Roles{number}") for number in range(ROLES // 500)]
        for position in range(ROLES):
            aws_iam.CfnRole(
                stacks[position % len(stacks)],
                f"Role{position}",
                assume_role_policy_document=trust_policy(position),
            )
    if plugin == "ours":
        Validations.of(app).add_plugins(timed(TrustReview)())
    elif plugin == "nag":
        from cdk_nag import AwsSolutionsChecks

        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


def timed(plugin: type) -> type:
    """Return *plugin*, made to print the CPU seconds that its review takes.

    A synth of seconds varies by more than the review takes, so the difference of two tells nothing.
    """
    judge = plugin.validate

    def validate(self: object, context: object) -> object:
        started = time.process_time()
        found = judge(self, context)
        print(time.process_time() - started, flush=True)
        return found

    plugin.validate = validate
    return plugin


def cpu(app_name: str, plugin: str) -> tuple[float, float]:
    """Return the CPU seconds of a synth, Python and Node together, and those of our review in it.

    Each synth is a process of its own.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith(("AWS_", "CDK_"))
    }
    environment |= {
        "CDK_VALIDATION": "false",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }
    process = subprocess.Popen(
        [sys.executable, __file__, app_name, plugin],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    printed = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{app_name} with {plugin} failed")
    return usage.ru_utime + usage.ru_stime, float(printed or 0)


def seconds_of_many() -> float:
    """Return the CPU seconds that 1,000 roles take to review, without the CDK."""
    sys.path.insert(0, str(REPOSITORY))
    from irsa_stack.review.template import template_findings

    template = {
        "Resources": {
            f"Role{position}": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": trust_policy(position)},
            }
            for position in range(ROLES)
        }
    }
    started = time.process_time()
    found = list(template_findings(template))
    if found:
        sys.exit(f"the roles must be right, got {found[0]}")
    return time.process_time() - started


def report(rounds: int) -> Iterator[str]:
    """Measure in turns, and yield the lines of the section."""
    least: dict[tuple[str, str], float] = {}
    review: dict[str, float] = {}
    for _ in range(rounds):
        for case in itertools.product(APPS, PLUGINS):
            whole, own = cpu(*case)
            least[case] = min(least.get(case, whole), whole)
            if own:
                review[case[0]] = min(review.get(case[0], own), own)
    many = min(seconds_of_many() for _ in range(rounds))
    yield "## The review"
    yield ""
    yield (
        "CPU seconds of a synth without a validation plugin, what `TrustReview` takes in it, and"
        f" what cdk-nag's `AwsSolutionsChecks` add to it, the least of {rounds} interleaved rounds."
        " Promised: the review adds less than 5 % to the synth of `dev.yaml`, and 1,000 roles take"
        " less than a second."
    )
    yield ""
    yield "| app | without, s | review, s | of the synth | cdk-nag adds, s | ratio |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for app_name, words in zip(APPS, ("`dev.yaml`", f"{ROLES:,} roles by hand"), strict=True):
        without = least[app_name, "none"]
        ours, nag = review[app_name], least[app_name, "nag"] - without
        yield (
            f"| {words} | {without:.2f} | {ours:.3f} | {ours / without:.1%} | {nag:.2f} |"
            f" {ours / nag:.2f} |"
        )
    yield ""
    yield f"{ROLES:,} roles alone, without the CDK: {many:.2f} s of CPU."


if __name__ == "__main__":
    if sys.argv[1:]:
        synthesise(*sys.argv[1:])
    else:
        print("\n".join(report(rounds=3)))
