"""Values that are known only at deploy time, recognised without importing the CDK.

The CDK writes such a value into a string as `${Token[...]}`, and a whole list of them as a list
of one `#{Token[...]}`.

See: https://docs.aws.amazon.com/cdk/v2/guide/tokens.html
"""

import re
from collections.abc import Sequence

TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
_LIST_TOKEN = re.compile(r"#\{Token\[[^\]]*\]\}")

# CloudFormation's pseudo parameters, as `fn_sub` knows them; only it resolves them.
PARTITION = "${Token[AWS.Partition.0]}"
REGION = "${Token[AWS.Region.0]}"
AWS_ACCOUNT_ID = "${Token[AWS.AccountId.0]}"


def is_deploy_time(value: object) -> bool:
    """Whether *value* is text that is, or holds, what only CloudFormation can resolve."""
    return isinstance(value, str) and TOKEN.search(value) is not None


def is_deploy_time_list(values: Sequence[object]) -> bool:
    """Whether *values* is one list that only CloudFormation can resolve, its length included."""
    return (
        len(values) == 1
        and isinstance(values[0], str)
        and _LIST_TOKEN.fullmatch(values[0]) is not None
    )
