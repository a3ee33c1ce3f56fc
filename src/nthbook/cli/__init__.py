"""The command ``nth``."""
