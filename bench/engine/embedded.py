"""What a plug-in is checked on: which method behind which front-end, and a small data set that needs no files."""

import numpy as np
from scipy.spatial.distance import cdist

from bench.errors import NotApplicable
from bench.plugin.base import Method
from bench.plugin.grammar import split_text
from bench.plugin.registry import Plugin, registry
from bench.plugin.spec import DatasetSpec, MethodSpec, check_applicable, dataset_spec, frontend_parameters, method_spec
from bench.protocol.images import Images


class Pixels(Method):
    """Euclidean distance of pixels, which front-ends are checked with: it shows all that they do."""

    name = "(pixels)"

    def distances(self, probe: Images, gallery: Images) -> np.ndarray:
        a, b = (images.array().reshape(len(images), -1).astype(np.float64) for images in (probe, gallery))
        return cdist(a, b)


def runnable_spec(text: str) -> MethodSpec:
    """The method as it is named: a bare one that needs a front-end behind the first there is, a front-end before
    `Pixels`."""
    plugins = registry()
    name = split_text(text)[0]
    if name in plugins.names("frontend") and name not in plugins.names("method"):
        method = Plugin(Pixels.name, "method", __name__, Pixels.__name__, "", "", {})
        given = frontend_parameters(text)
        return MethodSpec(f"{name}+{method.name}", method, {}, plugins.get("frontend", name), given)
    return behind_a_frontend(method_spec(text))


def behind_a_frontend(spec: MethodSpec) -> MethodSpec:
    """The method itself; one that needs a front-end, if not on full resolution, behind the first there is."""
    if spec.frontend is None and spec.method.attributes.get("scales", "front-end") == "front-end":
        return method_spec(f"{registry().names('frontend')[0]}+{spec.text}")
    return spec


def embedded_dataset(spec: MethodSpec) -> DatasetSpec:
    """A small data set that needs no files and that the method applies to."""
    for plugin in registry().plugins:
        small = plugin.attributes.get("small") if plugin.kind == "dataset" else None
        if isinstance(small, str):
            found = dataset_spec(f"{plugin.name}[{small}]")
            try:
                check_applicable(spec, found)
            except NotApplicable:
                continue
            return found
    raise NotApplicable(f"no embedded data set goes with {spec.text}")
