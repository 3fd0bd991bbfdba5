from datasets.prid450s import PRID450S


class MLRPRID450S(PRID450S):
    """MLR-PRID450S: PRID450S with camera a shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_prid450s"
    version = 1
    low_resolution = "simulated"
