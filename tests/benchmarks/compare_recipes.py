"""Pre-train DGD by its recipe and by the plain one, crop and mirror, on as many images each: zero-shot figures of both.

``python -m tests.benchmarks.compare_recipes --images 20000 --output FOLDER``

The first images of the whole recipe are meant: at full rate and on small inputs.  A few hundred updates need a shorter
average than thousands do; both have the same.  Killed, it goes on when the same command is given again.
"""

import argparse
import time
from pathlib import Path

from bench.engine.cache import Cache, cache_folder
from bench.engine.provenance import machine
from bench.learning import pretrain, zero_shot
from bench.learning.device import resolve_device
from tests.benchmarks import data_folder

RECIPES = {"recipe": "", "plain": "shrink=0,colour=0,erase=0,label_smoothing=0,balanced=false,"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--average", type=float, default=0.98, help="share that the average keeps an update")
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights that both start from; default: random ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parameters", default="", help="further ones of both, such as lr=0.02")
    parser.add_argument("-d", "--dataset", default="market1501", help="what they are trained on")
    parser.add_argument("--check", metavar="DATASET", help="what they are checked on; default: all that is there")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()

    device, cache = resolve_device(options.device), Cache(cache_folder())
    print(f"{machine()}; {options.images:,} images of {options.dataset}, seed {options.seed}")
    n = options.images
    shared = f"images={n},constant_until={n},small_until={n},average={options.average}"
    for recipe, parameters in RECIPES.items():
        name = f"dgd[{parameters}{shared}{',' if options.parameters else ''}{options.parameters}]"
        start = time.perf_counter()
        job = pretrain.make_job(name, options.dataset, None, data_folder(), cache, options.start)
        with pretrain.live_line() as report:
            (path,) = pretrain.run(job, options.output / recipe, options.seed, "paper", device, report)
        print(f"\n{recipe}: {name}, {time.perf_counter() - start:.0f} s", flush=True)
        found = zero_shot.measure("dgd", path, options.check, data_folder(), options.seed, device, cache)
        for line in zero_shot.as_lines(found):
            print(line, flush=True)


if __name__ == "__main__":
    main()
