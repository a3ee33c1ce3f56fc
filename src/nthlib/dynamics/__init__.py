"""The exact dynamics: losses, integration, flow and descent."""
