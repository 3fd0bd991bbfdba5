from datasets.sysu import SYSU


class MLRSYSU(SYSU):
    """MLR-SYSU (Jiao et al., AAAI 2018): SYSU with camera 0 shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_sysu"
    version = 1
    low_resolution = "simulated"
