from datasets.cuhk03 import CUHK03


class MLRCUHK03(CUHK03):
    """MLR-CUHK03 (Jiao et al., AAAI 2018): CUHK03 with one camera of each pair shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_cuhk03"
    version = 1
    low_resolution = "simulated"
