"""`python -m irsa_stack` is `irsa`."""

from irsa_stack.command.main import main

main()
