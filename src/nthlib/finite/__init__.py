"""Kernels of a draw, at finite width."""
