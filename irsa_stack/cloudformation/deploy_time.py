"""Values that are known only at deploy time, recognised without importing the CDK.

The CDK writes such a value into a string as `${Token[...]}`, and a whole list of them as a list
of one `#{Token[...]}`.

See: https://docs.aws.amazon.com/cdk/v2/guide/tokens.html
"""

import re
from collections.abc import Sequence

# What a lookup of the CDK answers on the first pass of its CLI, which then looks up and runs the
# app again: Vpc, HostedZone, and any of a context provider, such as StringParameter.
# https://docs.aws.amazon.com/cdk/v2/guide/context.html
_PLACEHOLDER = re.compile(r"vpc-12345|DUMMY|.*dummy-value-for-.*", re.DOTALL)
TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
_LIST_TOKEN = re.compile(r"#\{Token\[[^\]]*\]\}")

# CloudFormation's pseudo parameters, as `fn_sub` knows them; only it resolves them.
PARTITION = "${Token[AWS.Partition.0]}"
REGION = "${Token[AWS.Region.0]}"
AWS_ACCOUNT_ID = "${Token[AWS.AccountId.0]}"


def is_deploy_time(value: object) -> bool:
    """Whether *value* is text that is, or holds, what is not known yet.

    Either only CloudFormation can resolve it, or the CDK's CLI has still to look it up.
    """
    return isinstance(value, str) and (TOKEN.search(value) is not None or is_placeholder(value))


def is_placeholder(value: object) -> bool:
    """Whether *value* stands for what the CDK's CLI has still to look up."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def is_deploy_time_list(values: Sequence[object]) -> bool:
    """Whether *values* is one list that only CloudFormation can resolve, its length included."""
    return (
        len(values) == 1
        and isinstance(values[0], str)
        and _LIST_TOKEN.fullmatch(values[0]) is not None
    )
