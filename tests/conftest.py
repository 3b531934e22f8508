"""What every test needs before the first import of the CDK."""

import os

import hypothesis

# The built-in template validation costs 2.5 s a process; `make synth` and one test a stack have it.
os.environ.setdefault("CDK_VALIDATION", "false")
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
# The tests need no account: whatever a developer has set up must not leak in.
for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_DEFAULT_"))]:
    if name != "AWS_CA_BUNDLE":
        del os.environ[name]

# No example database beside the tests, and no deadline on a busy machine.
hypothesis.settings.register_profile("tests", database=None, deadline=None)
hypothesis.settings.load_profile("tests")
