"""Compare training schedules on held-out training people: how a ``quick`` schedule is chosen.

``python -m tests.benchmarks.choose_schedule -d mlr_viper 'bicubic+dgd[steps=100]' 'bicubic+dgd[steps=200]'``

Of one split's training people one fifth is held out; each method is trained on the others, one model for one anchor
ratio, and asked to match the held-out people.  No test person is looked at.  With ``--workspace FOLDER`` a killed
training goes on from its checkpoint when the same command is given again, and a finished one is not repeated.
"""

import argparse
import os
import shutil
import time
from fractions import Fraction
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from bench.cache import Cache, cache_folder
from bench.cell import Means, View, fit_and_match, test_side
from bench.data import load
from bench.images import digest
from bench.protocol import folds
from bench.provenance import machine
from bench.runner import code_of, initial_weights
from bench.spec import dataset_spec, method_spec
from bench.weights import weights_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("-d", "--dataset", default="mlr_viper")
    parser.add_argument("--split", type=int, default=0)
    parser.add_argument("--ratio", type=Fraction, default=Fraction(1, 2))
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--workspace", type=Path, metavar="FOLDER")
    options = parser.parse_args()

    dataset = dataset_spec(options.dataset)
    data = load(dataset, Path(os.environ["BENCH_DATA"]), 0, Cache(cache_folder()))
    train, held_out = folds(data.split(options.split, 0).train, 5, 0, options.split)[0]
    print(f"{machine()}, {torch.get_num_threads()} threads")
    print(f"{options.dataset}, split {options.split}: {len(train)} people in training, {len(held_out)} held out")
    for text in options.methods:
        spec = method_spec(text)
        initial = initial_weights(spec, weights_folder(), options.profile)
        question = (spec.text, data.sha256, options.split, options.ratio, options.profile, initial)
        workspace = options.workspace and options.workspace / digest(*question, code_of(spec, dataset))
        line = workspace and workspace / "result.txt"
        if line and line.exists():
            print(line.read_text(), flush=True)
            continue
        resumed = bool(workspace and workspace.exists())
        means = Means(options.profile, "cpu", weights_folder(), initial, workspace and workspace / "checkpoints")
        view = View(data, spec, Cache(cache_folder()), 0, options.split, means)
        start = time.perf_counter()
        with threadpool_limits(1, user_api="blas"):
            view.fit_frontend(options.ratio, train)
            distances, _ = fit_and_match(view, options.ratio, train, held_out, 1, {})
        seconds = time.perf_counter() - start
        score = test_side(view, held_out, "auto").score(distances)
        ranks = "/".join(f"{100 * score['cmc'][k - 1]:.1f}" for k in (1, 5, 10, 20))
        duration = f"{seconds:.0f} s{' since it was resumed' if resumed else ''}"
        result = f"{text}: rank 1/5/10/20 {ranks}, mAP {100 * score['map']:.1f}, {duration}"
        print(result, flush=True)
        if line:
            line.parent.mkdir(parents=True, exist_ok=True)
            line.write_text(result)
            shutil.rmtree(line.with_name("checkpoints"), ignore_errors=True)


if __name__ == "__main__":
    main()
