"""Draws over widths and seeds, kept once finished, and the fits made of them."""
