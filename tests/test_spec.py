"""The grammar of methods and data sets, on plug-ins of the test's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DataError, NotApplicable, UsageError
from bench.plugin.base import Dataset, FrontEnd, Method
from bench.plugin.grammar import parse_anchors, split_text
from bench.plugin.registry import Plugin, Registry
from bench.plugin.spec import check_applicable, dataset_spec, method_names, method_spec
from bench.protocol.fusion import ANCHORS


class Forest(Method):
    name = "forest"

    def __init__(
        self,
        trees: Annotated[int, Ge(1)] = 10,
        rate: Annotated[float, Gt(0)] = 0.5,
        split: Literal["gini", "entropy"] = "gini",
        warm: bool = False,
        pruned: bool = True,
        label=None,
    ) -> None:
        if trees == 13:
            raise ValueError("13 trees bring bad luck")
        self.trees, self.rate, self.split, self.warm, self.pruned, self.label = trees, rate, split, warm, pruned, label


class OwnScales(Method):
    name = "own"
    scales = "own"


class Joint(Method):
    name = "joint"
    anchored = False


class Cubic(FrontEnd):
    name = "cubic"

    def __init__(self, sharpness: float = 0.0) -> None:
        self.sharpness = sharpness


class Learned(FrontEnd):
    name = "learned"
    learns = True


class Small(Dataset):
    name = "small"
    low_resolution = "simulated"

    def __init__(self, manifest: Path | None = None) -> None:
        self.manifest = manifest


class Large(Dataset):
    name = "large"


def plugin(kind: str, cls: type) -> Plugin:
    attributes = {k: getattr(cls, k) for k in ("scales", "anchored", "learns", "low_resolution") if hasattr(cls, k)}
    return Plugin(cls.name, kind, __name__, cls.__name__, "", "", attributes)


@pytest.fixture(scope="module", autouse=True)
def toys() -> Iterator[None]:
    kinds = {"method": (Forest, OwnScales, Joint), "frontend": (Cubic, Learned), "dataset": (Small, Large)}
    found = Registry(tuple(plugin(kind, cls) for kind, classes in kinds.items() for cls in classes), ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.plugin.spec.registry", lambda: found)
        yield


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "name", "pairs"),
        [
            ("forest", "forest", {}),
            (" forest ", "forest", {}),
            ("forest[]", "forest", {}),
            ("cubic+forest[trees=3]", "cubic+forest", {"trees": "3"}),
            ("forest[warm,trees=3]", "forest", {"warm": "true", "trees": "3"}),
            ("forest[ trees = 3 , warm ]", "forest", {"trees": "3", "warm": "true"}),
            ("forest[anchors=1/2+1/4]", "forest", {"anchors": "1/2+1/4"}),
            ("forest[label=a=b]", "forest", {"label": "a=b"}),
        ],
    )
    def test_good(self, text, name, pairs) -> None:
        assert split_text(text) == (name, pairs)

    @pytest.mark.parametrize(
        "text", ["", "[trees=3]", "forest[trees=3", "forest]", "forest[a]b", "forest[a][b]", "forest[[a]]"]
    )
    def test_bad_brackets(self, text) -> None:
        with pytest.raises(UsageError, match="not of the form name or name"):
            split_text(text)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("forest[trees=3,trees=4]", "'trees' is given twice"),
            ("forest[warm,warm=false]", "'warm' is given twice"),
            ("forest[trees=]", "'trees=' is not of the form key=value"),
            ("forest[=3]", "'=3' is not of the form key=value"),
        ],
    )
    def test_bad_pairs(self, text, message) -> None:
        with pytest.raises(UsageError, match=message):
            split_text(text)


class TestMethods:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("forest", "forest"),
            ("forest[trees=10]", "forest"),
            ("forest[trees=010,rate=5e-1]", "forest"),
            ("forest[warm=true]", "forest[warm]"),
            ("forest[warm=no,pruned=yes]", "forest"),
            ("forest[pruned=off]", "forest[pruned=false]"),
            ("forest[warm,trees=3,rate=.25]", "forest[rate=0.25,trees=3,warm]"),
            ("cubic+forest[sharpness=1,trees=2]", "cubic+forest[sharpness=1.0,trees=2]"),
            ("cubic+forest[sigma=auto,normalise=false]", "cubic+forest"),
            ("cubic+forest[sigma=0.2,normalise,synthetic_lr]", "cubic+forest[normalise,sigma=0.2,synthetic_lr]"),
            ("forest[anchors=1/4+1/2]", "forest[anchors=1/2+1/4]"),
            ("forest[anchors=1/4+1/3+1/2]", "forest"),
            ("forest[label=plain]", "forest[label=plain]"),
        ],
    )
    def test_canonical_form(self, text, canonical) -> None:
        spec = method_spec(text)
        assert spec.text == canonical
        assert method_spec(canonical) == spec

    def test_each_value_reaches_its_owner(self) -> None:
        spec = method_spec("cubic+forest[trees=3,rate=2,split=entropy,warm,sharpness=0.5,sigma=0.1,anchors=1/3]")
        method, frontend = spec.build(), spec.build_frontend()
        assert (method.trees, method.rate, method.split, method.warm, method.pruned) == (3, 2.0, "entropy", True, True)
        assert frontend.sharpness == 0.5
        assert (spec.options.sigma, spec.anchors) == (0.1, (ANCHORS[1],))
        assert method_spec("forest").build_frontend() is None

    @settings(deadline=None, max_examples=60)
    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "trees": st.integers(1, 12).map(str),
                "rate": st.floats(1e-9, 1e9).map(str),
                "split": st.sampled_from(["gini", "entropy"]),
                "warm": st.sampled_from(["true", "false"]),
                "pruned": st.sampled_from(["true", "false"]),
                "sharpness": st.floats(allow_nan=False).map(str),
                "sigma": st.just("auto") | st.floats(1e-3, 10).map(str),
                "anchors": st.permutations(["1/2", "1/3", "1/4"]).map("+".join),
            },
        ),
        st.randoms(use_true_random=False),
    )
    def test_round_trip_and_order(self, pairs, random) -> None:
        items = [f"{key}={value}" for key, value in pairs.items()]
        spec = method_spec(f"cubic+forest[{','.join(items)}]")
        random.shuffle(items)
        assert method_spec(f"cubic+forest[{','.join(items)}]") == spec
        assert method_spec(spec.text) == spec
        keys = [item.partition("=")[0] for item in split_text(spec.text)[1]]
        assert keys == sorted(keys)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("forst", "no method 'forst': did you mean 'forest'?"),
            ("forst", "there is cubic+forest, cubic+joint, forest, joint, learned+forest, learned+joint, own"),
            ("cubik+forest", "did you mean 'cubic+forest'?"),
            ("cubic+forst", "did you mean 'cubic+forest'?"),
            ("+forest", "no method '+forest'"),
            ("forest[tree=3]", "no parameter of forest 'tree': did you mean 'trees'?"),
            ("forest[sharpness=1]", "no parameter of forest 'sharpness'"),
            ("forest[trees=many]", "the 'trees' parameter of forest must be a valid integer.*got 'many'"),
            ("forest[trees=0]", "the 'trees' parameter of forest must be greater than or equal to 1; got '0'"),
            ("forest[rate=nan]", "the 'rate' parameter of forest must be greater than 0; got 'nan'"),
            ("forest[split=best]", "the 'split' parameter of forest must be 'gini' or 'entropy'; got 'best'"),
            ("forest[warm=maybe]", "the 'warm' parameter of forest must be a valid boolean"),
            ("forest[trees]", "the 'trees' parameter of forest must be"),
            ("forest[trees=13]", "13 trees bring bad luck"),
            ("cubic+forest[sigma=0]", "the 'sigma' parameter of the harness must be greater than or equal to 0.001"),
            ("forest[anchors=1/2+1/2]", "anchors=1/2.1/2: expected different ratios"),
            ("forest[anchors=1/5]", "expected different ratios of 1/2, 1/3, 1/4 joined by +"),
            ("cubic+own", "own deals with resolution itself: run it as 'own'"),
        ],
    )
    def test_errors_say_what_would_be_right(self, text, message) -> None:
        with pytest.raises(UsageError, match=message.replace("?", r"\?").replace("+", r"\+")):
            method_spec(text)

    def test_names(self) -> None:
        composed = ["cubic+forest", "cubic+joint", "learned+forest", "learned+joint"]
        assert method_names() == sorted([*composed, "forest", "joint", "own"])


@pytest.mark.parametrize("text", ["1/2", "1/3+1/4", "1/2+1/3+1/4"])
def test_anchors_come_in_one_order(text) -> None:
    parts = text.split("+")
    assert parse_anchors("+".join(reversed(parts))) == parse_anchors(text)
    assert [str(m) for m in parse_anchors(text)] == parts


class TestDatasets:
    def test_options_and_parameters(self, tmp_path) -> None:
        spec = dataset_spec(f"small[manifest={tmp_path}/m.csv,gallery_draws=3,split_file={tmp_path}/s.csv]")
        assert spec.text == f"small[gallery_draws=3,manifest={tmp_path}/m.csv,split_file={tmp_path}/s.csv]"
        assert spec.build().manifest == tmp_path / "m.csv"
        assert (spec.options.gallery_draws, spec.options.split_file) == (3, tmp_path / "s.csv")
        assert dataset_spec("small[gallery_draws=auto]").text == "small"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("smal", "no data set 'smal': did you mean 'small'"),
            ("small[gallery_draw=1]", "no parameter of small 'gallery_draw': did you mean 'gallery_draws'"),
            (
                "small[gallery_draws=0]",
                "'gallery_draws' parameter of the protocol must be greater than or equal to 1 or",
            ),
            ("small[low_resolution=none]", "no parameter of small 'low_resolution'"),
        ],
    )
    def test_errors(self, text, message) -> None:
        with pytest.raises(UsageError, match=message):
            dataset_spec(text)

    def test_identity_names_files_by_their_content(self, tmp_path) -> None:
        def identity(folder: str, content: str) -> str:
            path = tmp_path / folder / "splits.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
            return dataset_spec(f"small[split_file={path},gallery_draws=2]").identity

        first = identity("here", "one")
        assert first.startswith("small[gallery_draws=2,split_file=sha256:")
        assert identity("there", "one") == first
        assert identity("here", "two") != first
        assert dataset_spec("small[gallery_draws=2]").identity == "small[gallery_draws=2]"

    def test_identity_with_one_path_the_beginning_of_another(self, tmp_path) -> None:
        short, long = tmp_path / "s", tmp_path / "s.csv"
        short.write_text("short")
        identities = set()
        for content in ("a", "b"):
            long.write_text(content)
            identities.add(dataset_spec(f"small[manifest={short},ratio_file={long},split_file={short}]").identity)
        assert len(identities) == 2
        assert not any(str(tmp_path) in identity for identity in identities)

    def test_identity_of_a_missing_file(self, tmp_path) -> None:
        with pytest.raises(DataError, match=r"cannot read .*nowhere\.csv: No such file"):
            _ = dataset_spec(f"small[split_file={tmp_path}/nowhere.csv]").identity


@pytest.mark.parametrize(
    ("method", "dataset", "reason"),
    [
        ("cubic+forest", "small", None),
        ("learned+forest", "small", None),
        ("cubic+joint", "small", None),
        ("own", "small", None),
        ("forest", "large", None),
        ("forest", "small", r"'forest' needs a front-end there, one of cubic\+forest, learned\+forest"),
        ("cubic+forest", "large", "large is at full resolution, there is nothing to up-scale: run 'forest' on it"),
        ("own", "large", "own is for low-resolution probes and large is at full resolution"),
        ("learned+joint", "small", "learned has one model per anchor ratio and joint has no anchors"),
    ],
)
def test_which_method_goes_with_which_data_set(method, dataset, reason) -> None:
    if reason is None:
        check_applicable(method_spec(method), dataset_spec(dataset))
    else:
        with pytest.raises(NotApplicable, match=reason):
            check_applicable(method_spec(method), dataset_spec(dataset))
