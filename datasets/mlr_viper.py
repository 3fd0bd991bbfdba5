from datasets.viper import VIPeR


class MLRVIPeR(VIPeR):
    """MLR-VIPeR (Jiao et al., AAAI 2018): VIPeR with camera a shrunk by 1/2, 1/3 or 1/4."""

    name = "mlr_viper"
    version = 1
    low_resolution = "simulated"
