from datasets.ilids import ILIDS


class MLRILIDS(ILIDS):
    """MLR-i-LIDS: i-LIDS MCTS with the randomly drawn probe half of each person's images shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_ilids"
    version = 1
    low_resolution = "simulated"
