"""Limits of the kernels as the width grows."""
