"""The emulated AWS account: ministack, and what an IRSA stack needs beyond it."""
