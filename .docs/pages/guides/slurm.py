"""A run of bench on a SLURM cluster, by way of Dask: `python slurm.py -m sing -d mlr_viper --profile paper`.

Start it where `sbatch` is, in a virtual environment that the nodes see too, with bench, `dask[distributed]` and
`dask-jobqueue` in it.
"""

import subprocess
import sys

from dask_jobqueue import SLURMCluster
from distributed import Client

WORKERS = 4
"""SLURM jobs at a time; each computes one cell at a time."""


def main(arguments: list[str]) -> int:
    with SLURMCluster(
        queue="gpu",  # the partition
        walltime="02:00:00",
        cores=8,  # threads of a training
        processes=1,  # workers of a job: one, which has the job's GPU to itself
        memory="32GB",  # what `bench run --dry-run` says of the largest cell, and some to spare
        job_extra_directives=["--gres=gpu:1"],
        # Node-local and fast; on a folder that all nodes see trainings go on from the checkpoints of a lost worker.
        job_script_prologue=["export BENCH_CACHE=${TMPDIR:-/tmp}/bench-$USER"],
    ) as cluster:
        # As many at least as at most: a job that ends, or that is lost, is followed by another.
        cluster.adapt(minimum_jobs=WORKERS, maximum_jobs=WORKERS)
        with Client(cluster) as client:
            client.wait_for_workers(1)  # however long the queue is
        run = ["run", *arguments, "--backend", "dask", "--scheduler", cluster.scheduler_address]
        return subprocess.run([sys.executable, "-m", "bench", *run]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
