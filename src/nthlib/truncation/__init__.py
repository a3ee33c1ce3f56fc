"""The truncated hierarchy."""
