"""``init-method``, ``init-dataset`` and ``features``: for people's own methods and images."""

import shlex
from argparse import Namespace
from collections.abc import Sequence

from bench.errors import DataError, counted, visible


def init_method_command(options: Namespace) -> int:
    from bench.plugin.template import write_template

    path = write_template(options.name, options.front_end, options.plugins)
    where = "".join(f" --plugins {shlex.quote(str(folder))}" for folder in options.plugins)
    print_lines([f"wrote {path}", f"next: python -m bench check {options.name}{where}"])
    return 0


def init_dataset_command(options: Namespace) -> int:
    """Write a list of images by their names, and validate it as ``doctor`` does."""
    from bench.engine.cache import Cache, cache_folder
    from bench.engine.doctor import dataset_lines, examine_dataset
    from bench.engine.listed import as_text, find_images, name_of_list, write_list
    from bench.plugin.spec import dataset_spec

    spec = dataset_spec(name_of_list(options.dataset, options.output))
    found = find_images(options.folder, options.pattern).seen_by(options.min_cameras)
    write_list(found, options.output)
    print_lines([*as_text(found), f"wrote {options.output}"])
    findings = examine_dataset(spec, None, Cache(cache_folder()))
    print_lines(dataset_lines(findings, named=False))
    quoted = shlex.quote(spec.text)
    if not findings["ready"]:
        print_lines([f"next, when it is mended: python -m bench doctor {quoted}"])
        raise DataError(findings["reason"])
    print_lines([f"next: python -m bench run -d {quoted} --dry-run"])
    return 0


def features_command(options: Namespace) -> int:
    """Describe pictures, and write their features and names to a file."""
    from bench.engine.features import describer, find_pictures, write_features
    from bench.plugin.spec import method_spec
    from bench.plugin.weights_files import weights_folder

    pictures = find_pictures(options.images)
    shown = describer(method_spec(options.method), weights_folder(options.weights), options.device)
    width = write_features(options.output, list(pictures), shown.blocks(list(pictures.values())), shown.about)
    print_lines([f"wrote {options.output}: {counted(len(pictures), 'picture')}, {counted(width, 'feature')} each"])
    return 0


def print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        print(visible(line), flush=True)
