"""The constructs, one module each. Only this room and `stacks` know the CDK."""
