"""Pre-train DGD with a part of the ``quick`` schedule: to learn what the length of pre-training is worth.

``python -m tests.benchmarks.pretrain_in_part 1/4 --output FOLDER``, then, with the folder as weights,
``python -m tests.benchmarks.choose_schedule --folds 5 --weights FOLDER 'bicubic+dgd[steps=200]'``

A killed training goes on from its checkpoint when the same command is given again.
"""

import argparse
import time
from fractions import Fraction
from pathlib import Path

import torch

from bench.engine.cache import Cache, cache_folder
from bench.engine.provenance import machine
from bench.learning.pretrain import make_job, reporter, run
from methods.dgd import PRETRAINING
from tests.benchmarks import data_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", type=Fraction)
    parser.add_argument("-d", "--dataset", default="market1501")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()

    whole = PRETRAINING["quick"]
    part = whole.but(steps=round(options.part * whole.steps))
    PRETRAINING["quick"] = part
    print(f"{machine()}, {torch.get_num_threads()} threads")
    job = make_job("dgd", options.dataset, None, data_folder(), Cache(cache_folder()))
    start = time.perf_counter()
    (path,) = run(job, options.output, 0, "quick", "cpu", reporter(60))
    seen = part.steps * part.batch * part.accumulate
    print(f"{path}: {part.steps} updates, {seen:,} images, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
