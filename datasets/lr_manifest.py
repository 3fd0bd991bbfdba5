from datasets.manifest import Manifest


class LRManifest(Manifest):
    """Your own images, as `manifest`, with a probe side of genuinely low resolution: lr_manifest[file=people.csv]."""

    name = "lr_manifest"
    version = 1
    low_resolution = "genuine"
