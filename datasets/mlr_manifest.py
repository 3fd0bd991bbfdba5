from datasets.manifest import Manifest


class MLRManifest(Manifest):
    """Your own images, as `manifest`, with the probe side shrunk by 1/2, 1/3 or 1/4: mlr_manifest[file=people.csv]."""

    name = "mlr_manifest"
    version = 1
    low_resolution = "simulated"
