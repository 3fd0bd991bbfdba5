from datasets.grid import GRID


class MLRGRID(GRID):
    """MLR-GRID: QMUL GRID with the probe images shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_grid"
    version = 1
    low_resolution = "simulated"
