from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from bench.plugin.base import Dataset, Photo
from datasets._layout import named_images


class ILIDS(Dataset):
    """i-LIDS MCTS (Zheng et al., BMVC 2009): 119 people in an airport hall, two to eight images each, no camera labels.

    Images carry no camera, so sides are drawn at random, as in the set's own protocol: by `seed`, half of a person's
    images (one fewer of an odd number) are probes, the others gallery.
    """

    name = "ilids"
    version = 1
    folder = "i-LIDS_Pedestrian"
    other_folders = ("i-LIDS", "iLIDS")
    holds = ("Persons/*.jpg",)
    obtain = (
        "i-LIDS_Pedestrian, the MCTS images cut out at Queen Mary University of London; unpack it so that"
        " i-LIDS_Pedestrian/Persons/0001001.jpg exists"
    )
    terms = "the underlying i-LIDS video is the UK Home Office's and needs its licence; research only"
    note = "no camera labels: sides are drawn at random among each person's images"
    expected = {"images": 476, "identities": 119}

    def __init__(self, seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0) -> None:
        self.seed = seed

    def read(self, root: Path) -> Iterator[Photo]:
        people: dict[str, list[Path]] = defaultdict(list)
        for path, name in named_images(root / "Persons", r"(\d{4})\d{3}\.jpg", "0001001.jpg"):
            people[str(int(name[1]))].append(path)
        for person, paths in people.items():
            order = np.random.default_rng([self.seed, int(person)]).permutation(len(paths))
            for path, position in zip(paths, order, strict=True):
                yield Photo(path, person, camera="unlabelled", probe=bool(position < len(paths) // 2))
