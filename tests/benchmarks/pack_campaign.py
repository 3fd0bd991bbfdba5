"""Pack a campaign for a machine without a network: code, wheels, images, weights, and `go.py` that runs it.

    python -m tests.benchmarks.pack_campaign FOLDER [--campaign gpu] [-d DATASET ...] [--have torch==2.11.0 ...]

The machine must have Python and what `--have` names; wheels of all else that pyproject.toml asks for come along.
FOLDER holds images: it must not lie in a git work tree, unless git ignores it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.cli.steps import Step, check_names, find_campaign, read_campaign
from bench.engine import contract
from bench.engine.cache import Cache, cache_folder
from bench.engine.data import list_photos
from bench.engine.decode import SUFFIXES
from bench.engine.folders import folder_of
from bench.engine.isolation import isolated
from bench.engine.plan import expand, profile_for
from bench.errors import BenchError, DataError, UsageError
from bench.plugin.registry import ROOT, registry
from bench.plugin.spec import MethodSpec, dataset_spec, method_names, method_spec
from bench.plugin.weights_files import found_weights, weights_folder

HAVE = ("torch", "torchvision", "numpy", "scipy", "pandas", "scikit-learn", "h5py", "safetensors", "tqdm", "filelock")
FOR_TESTS = ("pytest", "hypothesis")
GLIBC = (39, 35, 34, 31, 28, 27, 24, 17)
"""Of manylinux tags that a machine with a current system takes; pip matches each by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--campaign", default="gpu", help="its name or file")
    parser.add_argument("-d", "--dataset", action="append", help="sets to take along (default: all of the campaign's)")
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_DATA") or None)
    parser.add_argument("--weights", type=Path, help="folder of the weights that are not in the clone")
    parser.add_argument("--have", action="append", default=list(HAVE), metavar="NAME[==VERSION]")
    parser.add_argument("--python", default="3.12", help="of the machine")
    options = parser.parse_args(arguments)
    try:
        pack(options)
    except BenchError as error:
        print(f"pack_campaign: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def pack(options: argparse.Namespace) -> None:
    folder = options.folder.resolve()
    refuse_in_git(folder)
    steps = read_campaign(find_campaign(options.campaign))
    check_names(steps)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("go.py"), folder / "go.py")
    pack_code(folder / "code.tar.gz", options.campaign)
    pack_marks(folder / "marks.tar.gz", methods_of(steps))
    pack_tree(folder / "weights.tar.gz", "weights", weights_of(steps, weights_folder(options.weights)))
    pack_tree(folder / "data.tar.xz", "data", images_of(steps, options.dataset, options.data))
    tests = any(step.options is None for step in steps)
    pack_wheels(folder / "wheels", options.have, options.python, FOR_TESTS if tests else ())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size / 2**20:6.1f} MiB  {path.relative_to(folder)}")
    print(f"{sum(p.stat().st_size for p in folder.rglob('*') if p.is_file()) / 2**20:6.1f} MiB in all")


def refuse_in_git(folder: Path) -> None:
    """UsageError for a folder of a git work tree, where images could be committed, that git does not ignore."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    inside = run_git("rev-parse", "--is-inside-work-tree", cwd=there).stdout.strip() == "true"
    if inside and run_git("check-ignore", "-q", str(folder), cwd=there).returncode:
        raise UsageError(f"{folder} lies in a git work tree, and what is packed holds images; choose a folder outside")


def run_git(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True)


def pack_code(archive: Path, campaign: str) -> None:
    """A shallow clone of HEAD: with it, results say which commit they are of.  A campaign of one's own goes in too."""
    if run_git("status", "--porcelain", "--untracked-files=no", cwd=ROOT).stdout:
        print("pack_campaign: HEAD is packed; changes that are not committed stay behind", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "repo"
        done = run_git("clone", "-q", "--depth", "1", f"file://{ROOT}", str(clone), cwd=ROOT)
        if done.returncode:
            raise UsageError(f"the code cannot be cloned: {done.stderr.strip()}")
        path = find_campaign(campaign)
        known = clone / "results" / "campaigns" / path.name
        if not known.exists():
            shutil.copy(path, known)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(clone, "repo")


def pack_marks(archive: Path, methods: Iterable[MethodSpec]) -> None:
    """What says that each method keeps the contract, checked here rather than on borrowed time."""
    cache = Cache(cache_folder())
    with tarfile.open(archive, "w:gz") as tar:
        for spec in methods:
            if problems := contract.ensure(spec, cache):
                print(f"pack_campaign: {spec.text} breaks the contract: {problems[0]}", file=sys.stderr)
                continue
            mark = contract.mark(spec, cache)
            tar.add(mark, Path("cache") / mark.relative_to(cache.folder))


def methods_of(steps: Sequence[Step]) -> list[MethodSpec]:
    runs = [step.runs for step in steps if step.runs]
    texts = dict.fromkeys(text for run in runs for text in expand(run.method or ["*"], method_names()))
    return [method_spec(text) for text in texts]


def sets_of(step: Step) -> dict[str, bool]:
    """The data sets that a step is about, each with whether it is given by its name."""
    given = getattr(step.options, "dataset", None) or (["*"] if step.runs else [])
    return expand([given] if isinstance(given, str) else given, registry().names("dataset"))


def weights_of(steps: Sequence[Step], folder: Path | None) -> dict[Path, Path]:
    """File -> its place below the folder, of all that the methods start from; those in the clone are there anyway."""
    found: dict[Path, Path] = {}
    for step in steps:
        if step.runs and folder:
            profiles = {profile_for(dataset_spec(text), step.runs) for text in sets_of(step)}
            for spec in methods_of([step]):
                for part in filter(None, (spec.build_frontend(), spec.build())):
                    files = [file for profile in profiles for file in found_weights(part, folder, profile).values()]
                    found |= {file: file.relative_to(folder) for file in files if file and file.is_relative_to(folder)}
    return found


def images_of(steps: Sequence[Step], chosen: Sequence[str] | None, root: Path | None) -> dict[Path, Path]:
    """File -> its place below the data root, of every chosen set; of sets for pre-training alone, their training part.

    Of a set's folder: the images that are used, and whatever is no image.
    """
    found: dict[Path, Path] = {}
    for (text, training), named in datasets_of(steps).items():
        spec = dataset_spec(text)
        dataset = spec.build()
        if dataset.folder is None or (chosen is not None and spec.dataset.name not in chosen and text not in chosen):
            continue
        try:
            folder, photos = folder_of(dataset, root), list_photos(dataset, root, training=training)
        except DataError as error:
            if named:
                raise
            print(f"pack_campaign: left out: {error}", file=sys.stderr)
            continue
        used = {photo.image for photo in photos if isinstance(photo.image, Path)}
        others = {path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() not in SUFFIXES}
        above = root if root and folder != root else folder.parent
        found |= {path: path.relative_to(above) for path in sorted(used if training else used | others)}
    return found


def datasets_of(steps: Sequence[Step]) -> dict[tuple[str, bool], bool]:
    """The data sets of a campaign, and whether each is for pre-training: whether it is given by its name."""
    found: dict[tuple[str, bool], bool] = {}
    for step in steps:
        for text, named in sets_of(step).items():
            key = text, step.options is not None and step.options.command == "pretrain"
            found[key] = named or found.get(key, False)
    return found


def pack_tree(archive: Path, name: str, files: dict[Path, Path]) -> None:
    archive.unlink(missing_ok=True)
    if files:
        with tarfile.open(archive, f"w:{archive.suffix[1:]}") as tar:
            for path, place in files.items():
                tar.add(path, Path(name) / place)


def pack_wheels(folder: Path, have: Sequence[str], python: str, more: Sequence[str]) -> None:
    """Wheels of all that is needed and not there, as they go with the versions that are."""
    there = {canonicalize_name(Requirement(text).name): text for text in have}
    needed = [text for text in (*dependencies(), *more) if canonicalize_name(Requirement(text).name) not in there]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if not needed:
        return
    where = ["--python-version", python, "--implementation", "cp", "--only-binary=:all:"]
    where += [word for glibc in GLIBC for word in ("--platform", f"manylinux_2_{glibc}_x86_64")]
    where += ["--platform", "manylinux2014_x86_64"]
    with tempfile.TemporaryDirectory() as temporary:
        pins, report = Path(temporary) / "pins.txt", Path(temporary) / "report.json"
        # Another version of what decodes or resizes images may make other data of them: those of this machine go along.
        here = [f"{name}=={version(name)}" for name in (Requirement(text).name for text in needed)]
        pins.write_text("\n".join([*here, *(text for text in there.values() if "==" in text)]))
        resolve = ["install", "--dry-run", "--ignore-installed", "--target", temporary, "--report", str(report)]
        pip(*resolve, *where, "-c", str(pins), *needed)
        found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    exact = [f"{d['name']}=={d['version']}" for d in found if canonicalize_name(d["name"]) not in there]
    pip("download", "--no-deps", "-d", str(folder), *where, *exact)


def dependencies() -> list[str]:
    """What pyproject.toml asks for."""
    try:
        import tomllib
    except ImportError:  # Python 3.10
        from pip._vendor import tomli as tomllib
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"pip cannot get the wheels: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    with isolated():
        code = main()
    sys.exit(code)
