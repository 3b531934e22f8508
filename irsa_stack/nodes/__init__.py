"""What a node is told: user data, and who reads its instance metadata."""
