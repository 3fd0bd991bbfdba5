"""Every case, a group a module."""

from tests.benchmarks.speed import descriptors, harness, images, metrics, reading, scoring, start, training

GROUPS = (descriptors, metrics, images, scoring, training, harness, reading, start)
CASES = tuple(case for group in GROUPS for case in group.CASES)
