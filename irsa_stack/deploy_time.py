"""Values that are known only at deploy time, recognised without importing the CDK.

The CDK writes such a value into a string as `${Token[...]}`.

See: https://docs.aws.amazon.com/cdk/v2/guide/tokens.html
"""

import re

TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")


def is_deploy_time(value: object) -> bool:
    """Whether *value* is, or holds, something that only CloudFormation can resolve."""
    return not isinstance(value, str) or TOKEN.search(value) is not None
