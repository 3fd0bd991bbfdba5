"""What a number depends on: versions and resolved options count, text and layout do not."""

import subprocess
import sys
from dataclasses import replace

import pytest

from bench.engine import identity
from bench.engine.freshness import as_now, current, stale
from bench.engine.identity import Cell, changes, depends_of
from bench.engine.store import Result, Store
from bench.errors import MissingPart, UsageError
from bench.plugin.registry import Registry, registry
from tests.cells import cell, fill, record


def with_plugin(monkeypatch: pytest.MonkeyPatch, kind: str, name: str, **change: object) -> None:
    """Let a plug-in be another than it is."""
    changed = tuple(replace(p, **change) if (p.kind, p.name) == (kind, name) else p for p in registry().plugins)
    monkeypatch.setattr(identity, "registry", lambda: Registry(changed, ()))
    current.cache_clear()


@pytest.fixture(autouse=True)
def fresh_cache():
    yield
    current.cache_clear()


@pytest.fixture
def stored(tmp_path) -> list[Result]:
    fill(tmp_path, "bicubic+xqda", "mlr_viper", [0.5, 0.6])
    fill(tmp_path, "bicubic+nfst", "caviar", [0.5])
    return Store(tmp_path).read_all()[0]


def stale_rows(results: list[Result]) -> set[str]:
    return {f"{r.cell.method} {r.cell.dataset}" for r in results if stale(r)}


def test_every_option_is_there_with_its_value() -> None:
    depends = depends_of("bicubic+xqda[sigma=0.5,solver=eigh]", "mlr_viper[gallery_draws=3]")
    assert depends["method"]["options"] == {"retinex": "msrcp", "ridge": "0.001", "solver": "eigh"}
    assert depends["harness"]["sigma"] == "0.5"
    assert depends["harness"]["anchors"] == "1/2+1/3+1/4"
    assert depends["protocol"]["gallery_draws"] == "3"
    assert depends["front_end"]["name"] == "bicubic"


def test_steps_that_are_not_on_the_way_do_not_count() -> None:
    full, genuine, simulated = (set(depends_of("l2", d)["parts"]) for d in ("viper", "caviar", "mlr_viper"))
    assert simulated - genuine == {"lowres"}
    assert genuine - full == {"fusion"}


def test_nothing_is_stale_as_it_is(stored) -> None:
    assert stale_rows(stored) == set()


def test_another_version_of_a_method(stored, monkeypatch) -> None:
    plugin = registry().get("method", "xqda")
    with_plugin(monkeypatch, "method", "xqda", attributes={**plugin.attributes, "version": 2})
    assert stale_rows(stored) == {"bicubic+xqda mlr_viper"}
    assert stale(next(r for r in stored if "xqda" in r.cell.method)) == ["version of xqda 1, now 2"]


def test_another_default_of_a_method(stored, monkeypatch) -> None:
    plugin = registry().get("method", "nfst")
    with_plugin(monkeypatch, "method", "nfst", defaults={**plugin.defaults, "retinex": "none"})
    assert stale_rows(stored) == {"bicubic+nfst caviar"}


def test_a_given_option_does_not_follow_the_default(tmp_path, monkeypatch) -> None:
    fill(tmp_path, "bicubic+nfst[retinex=none]", "caviar", [0.5])
    plugin = registry().get("method", "nfst")
    with_plugin(monkeypatch, "method", "nfst", defaults={**plugin.defaults, "retinex": "none"})
    assert stale_rows(Store(tmp_path).read_all()[0]) == set()


@pytest.mark.parametrize(("option", "value"), [("sigma", "0.25"), ("normalise", "true"), ("gallery_draws", "10")])
def test_another_default_of_the_harness(stored, monkeypatch, option, value) -> None:
    before = identity.defaults

    def after(kind: type) -> dict[str, str]:
        return {key: value if key == option else text for key, text in before(kind).items()}

    monkeypatch.setattr(identity, "defaults", after)
    current.cache_clear()
    assert stale_rows(stored) == {"bicubic+xqda mlr_viper", "bicubic+nfst caviar"}


def test_another_version_of_a_step(stored, monkeypatch) -> None:
    after = {**identity.parts(), "lowres": 2}
    monkeypatch.setattr(identity, "parts", lambda *_: after)
    current.cache_clear()
    assert stale_rows(stored) == {"bicubic+xqda mlr_viper"}


def test_what_no_number_depends_on(stored, monkeypatch) -> None:
    plugin = registry().get("method", "xqda")
    attributes = {**plugin.attributes, "note": "another note", "unused": 3}
    with_plugin(monkeypatch, "method", "xqda", attributes=attributes, summary="Other words.", module="methods.moved",
                class_name="Renamed")  # fmt: skip
    assert stale_rows(stored) == set()


def test_a_plugin_that_is_gone_makes_nothing_stale(stored, monkeypatch) -> None:
    monkeypatch.setattr(identity, "registry", lambda: Registry((), ()))
    current.cache_clear()
    assert stale_rows(stored) == set()
    with pytest.raises(UsageError, match="no method 'xqda'"):
        depends_of("bicubic+xqda", "mlr_viper")


def test_a_part_that_is_gone_is_an_error_and_never_looks_current(stored, monkeypatch) -> None:
    plugin = registry().get("method", "xqda")
    with_plugin(monkeypatch, "method", "xqda", attributes={**plugin.attributes, "uses": ("lomo", "gone")})
    with pytest.raises(MissingPart, match="no module is the part 'gone'"):
        stale_rows(stored)


def test_changes_are_said_in_words() -> None:
    a, b = depends_of("bicubic+xqda", "viper"), depends_of("bicubic+xqda[solver=eigh]", "viper[images_per_view=2]")
    assert changes(a, b) == ["the protocol's images_per_view none, now 2", "xqda's solver svd, now eigh"]
    assert changes(a, a) == []


def test_an_option_that_is_new_makes_nothing_stale_and_parts_no_row(tmp_path, monkeypatch) -> None:
    fill(tmp_path, "l2", "viper", [0.5])
    plugin = registry().get("method", "l2")
    with_plugin(monkeypatch, "method", "l2", defaults={**plugin.defaults, "mirror": False})
    Store(tmp_path).put(cell("l2", "viper", split=1), record([0.5]), {})
    results = Store(tmp_path).read_all()[0]
    assert stale_rows(results) == set()
    assert len({r.cell.row for r in results}) == 2
    assert len({as_now(r).row for r in results}) == 1


def test_a_fingerprint_is_of_everything_and_a_row_of_all_but_the_split() -> None:
    one, two = cell("l2", "viper"), cell("l2", "viper", split=1)
    assert one.fingerprint != two.fingerprint
    assert one.row == two.row
    assert one.row != cell("l2", "viper", weights=("a" * 64,)).row
    assert Cell(**vars(one)).fingerprint == one.fingerprint


def test_no_plugin_and_no_heavy_library_is_imported() -> None:
    code = (
        "import sys; from bench.engine.freshness import current; current('bicubic+xqda', 'mlr_viper');"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'sklearn', 'methods', 'datasets', 'pandas'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
