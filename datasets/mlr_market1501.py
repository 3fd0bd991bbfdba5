from datasets.market1501 import Market1501


class MLRMarket1501(Market1501):
    """MLR-Market-1501: Market-1501 with one randomly chosen camera of each person shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_market1501"
    version = 1
    low_resolution = "simulated"
    note = "single-shot, one LR camera per person: published MLR-Market-1501 figures are multi-shot"
