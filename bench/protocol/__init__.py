"""The science, in numpy: splits, low resolution, resizing, what a method sees, scoring, fusion, statistics."""
