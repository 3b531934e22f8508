"""One construct a controller; `irsa_stack.controllers` offers them by name."""
