"""Measured figures: ours beside the limit loops, in one run."""
