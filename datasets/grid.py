from collections.abc import Iterator
from pathlib import Path

from scipy.io import loadmat

from bench.engine.folders import child
from bench.errors import DataError
from bench.plugin.base import Dataset, Photo
from datasets._layout import named_images


class GRID(Dataset):
    """QMUL GRID (Loy et al., CVPR 2009): 250 people in eight underground cameras, one probe and one gallery image each.

    775 more people are in the gallery only (0000 in the names) and so in the gallery of every split.
    """

    name = "grid"
    version = 1
    folder = "underground_reid"
    other_folders = ("GRID", "QMUL_GRID")
    holds = ("probe/*.jpeg", "gallery/*.jpeg")
    obtain = (
        "underground_reid (QMUL GRID) from Chen Change Loy's page; unpack it so that underground_reid/probe, gallery"
        " and features_and_partitions.mat exist"
    )
    terms = "free download for research"
    cameras = 8
    expected = {"images": 1275, "identities": 250}

    def read(self, root: Path) -> Iterator[Photo]:
        for side in ("probe", "gallery"):
            names = named_images(root / side, r"(\d{4})_(\d)_.*\.jpeg", "0001_1_25004_107_32_106_221.jpeg")
            for path, name in names:
                if side == "gallery" and name[1] == "0000":
                    yield Photo(path, identity=f"0000 {path.stem}", camera=name[2], distractor=True)
                else:
                    yield Photo(path, identity=str(int(name[1])), camera=name[2], probe=side == "probe")

    def splits(self, root: Path) -> list[tuple[set[str], set[str]]] | None:
        """The release's ten partitions, 125 people each way; without their file, seeded random halves.

        In ``features_and_partitions.mat``, ``trainIdxAll`` is a cell of one struct per partition, whose third field
        holds the numbers of the training people.
        """
        path = child(root, "features_and_partitions.mat")
        if not path.is_file():
            return None
        people = set(range(1, self.expected["identities"] + 1))
        partitions = []
        try:
            cells = loadmat(path, variable_names=["trainIdxAll"])["trainIdxAll"].ravel()
            train_parts = [{int(number) for number in cell.ravel()[0][2].ravel()} for cell in cells]
        except Exception as error:  # SciPy raises many kinds for damaged files; all mean the same to the user
            reason = " ".join(str(error).split())
            raise DataError(
                f"{self.name}: {path} has no readable trainIdxAll ({reason}); unpack it again, or remove it to split"
                " the people at random"
            ) from error
        for index, train in enumerate(train_parts):
            if not train < people or len(train) * 2 != len(people):
                raise DataError(
                    f"{self.name}: {path}: partition {index} has {len(train)} training people, {len(people) // 2} of"
                    f" 1-{len(people)} expected"
                )
            partitions.append(({str(p) for p in train}, {str(p) for p in people - train}))
        return partitions
