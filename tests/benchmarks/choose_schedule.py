"""Compare training schedules on held-out training people: how a ``quick`` schedule is chosen.

``python -m tests.benchmarks.choose_schedule -d mlr_viper 'bicubic+dgd[steps=100]' 'bicubic+dgd[steps=200]'``

Of one split's training people one part of ``--parts``, a fifth, is held out; each method is trained on the others, one
model for one anchor ratio, and asked to match the held-out people.  No test person is looked at.  ``--folds 5`` holds
out each of five parts in turn and ends with the mean.  With ``--workspace FOLDER`` a killed training goes on from its
checkpoint when the same command is given again, and a finished one is not repeated.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import Data, load
from bench.engine.fusing import make_trial
from bench.engine.identity import depends_of, short_hash
from bench.engine.matching import fit_and_match
from bench.engine.plan import initial_weights
from bench.engine.provenance import machine
from bench.engine.view import Setup, build_view
from bench.files import write_atomically
from bench.plugin.spec import DatasetSpec, dataset_spec, method_spec
from bench.plugin.weights_files import weights_folder
from bench.protocol.images import digest
from bench.protocol.splits import folds
from tests.benchmarks import data_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("-d", "--dataset", default="mlr_viper")
    parser.add_argument("--split", type=int, default=0)
    parser.add_argument("--ratio", type=Fraction, default=Fraction(1, 2))
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--parts", type=int, default=5, help="that the training people are cut into")
    parser.add_argument("--folds", type=int, default=1, help="how many of the parts are held out, in turn")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="instead of BENCH_WEIGHTS")
    parser.add_argument("--workspace", type=Path, metavar="FOLDER")
    options = parser.parse_args()

    dataset = dataset_spec(options.dataset)
    data = load(dataset, data_folder(), 0, Cache(cache_folder()))
    parts = folds(data.split(options.split, 0).train, options.parts, 0, options.split)[: options.folds]
    print(f"{machine()}, {torch.get_num_threads()} threads")
    sizes = [f"{len(train)} people in training, {len(held_out)} held out" for train, held_out in parts]
    print(f"{options.dataset}, split {options.split}: {'; '.join(dict.fromkeys(sizes))}")
    for text in options.methods:
        scores = []
        for fold, (train, held_out) in enumerate(parts):
            scores.append(measure(text, data, dataset, train, held_out, fold, options))
            print(f"{text}, fold {fold}: {as_text(scores[-1])}", flush=True)
        if len(scores) > 1:
            print(f"{text}, mean of {len(scores)} folds: {as_text(np.mean(scores, axis=0))}", flush=True)


def measure(
    text: str,
    data: Data,
    dataset: DatasetSpec,
    train: np.ndarray,
    held_out: np.ndarray,
    fold: int,
    options: argparse.Namespace,
) -> list[float]:
    """Rank 1, 5, 10, 20 and mAP, percent, on the held-out people, and the seconds since the start or the resumption."""
    spec = method_spec(text)
    weights = options.weights or weights_folder()
    initial = initial_weights(spec, weights, options.profile)
    question = (spec.text, data.digest, options.split, options.parts, fold, options.ratio, options.profile, initial)
    workspace = options.workspace and options.workspace / digest(
        *question, short_hash(depends_of(spec.text, dataset.identity))
    )
    finished = workspace and workspace / "result.json"
    if finished and finished.exists():
        return json.loads(finished.read_text())
    setup = Setup(options.profile, "cpu", weights, initial, workspace and workspace / "checkpoints")
    cache = Cache(cache_folder())
    start = time.perf_counter()
    with threadpool_limits(1, user_api="blas"):
        view = build_view(data, spec, cache, 0, options.split, train, setup, (options.ratio,))
        model = fit_and_match(view, options.ratio, train, held_out, 1)
    seconds = time.perf_counter() - start
    score = make_trial(view, held_out).score(model.distances)
    result = [*(100 * score.cmc[min(k, len(score.cmc)) - 1] for k in (1, 5, 10, 20)), 100 * score.mean_ap, seconds]
    if finished:
        with write_atomically(finished) as file:
            file.write(json.dumps(result).encode())
        shutil.rmtree(finished.with_name("checkpoints"), ignore_errors=True)
    return result


def as_text(result: Sequence[float]) -> str:
    *ranks, mean_precision, seconds = result
    return f"rank 1/5/10/20 {'/'.join(f'{r:.1f}' for r in ranks)}, mAP {mean_precision:.1f}, {seconds:.0f} s"


if __name__ == "__main__":
    main()
