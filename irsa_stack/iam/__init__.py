"""IAM as it is: globs, conditions, statements."""
