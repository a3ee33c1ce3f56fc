"""Ratios against rivals, measured in one run on one machine; never timed tests."""
