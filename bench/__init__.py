"""bench: a benchmark harness for low-resolution person re-identification."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Dataset", "FrontEnd", "Method", "Photo", "Train", "__version__", "plot", "results"]


def __getattr__(name: str) -> Any:
    """The plug-in classes, `results` and `plot`, imported when first used: ``list`` needs none of their libraries."""
    if name == "results":
        from bench.report.frame import results

        return results
    if name == "plot":
        from bench.figures.plotting import plot

        return plot
    if name in __all__:
        import bench.plugin.base

        return getattr(bench.plugin.base, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
