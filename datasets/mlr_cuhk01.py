from datasets.cuhk01 import CUHK01


class MLRCUHK01(CUHK01):
    """MLR-CUHK01: CUHK01 with camera a shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_cuhk01"
    version = 1
    low_resolution = "simulated"
