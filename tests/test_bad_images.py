"""Images that cannot be used, each reported in one line with exit code 3; and other kinds that are converted."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.engine.cache import Cache
from bench.engine.data import list_photos, load
from bench.engine.decode import as_rgb, decode
from bench.errors import DataError
from bench.plugin.base import Dataset, Photo
from bench.plugin.registry import Plugin
from bench.plugin.spec import DatasetSpec
from tests.test_bad_input import one_line, write_viper

SHADES = np.random.default_rng(0).integers(0, 256, (12, 8, 3)).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be width x height."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def half_transparent() -> Image.Image:
    image = Image.fromarray(SHADES).convert("RGBA")
    image.putalpha(128)
    return image


def transparent_palette() -> bytes:
    image = Image.fromarray(SHADES).quantize(8)
    return encoded(image, transparency=3)


def frames(kind: str) -> bytes:
    pages = [Image.new("RGB", (8, 12), colour) for colour in ("red", "blue")]
    return encoded(pages[0], kind, save_all=True, append_images=pages[1:])


BAD = {
    "EPS": (encoded(Image.fromarray(SHADES), "EPS"), "cannot identify image file"),
    "GIF": (encoded(Image.fromarray(SHADES), "GIF"), "as JPEG, PNG, BMP, TIFF, PPM, WEBP"),
    "animated PNG": (frames("PNG"), "it holds 2 images"),
    "animated WebP": (frames("WEBP"), "it holds 2 images"),
    "TIFF of two pages": (frames("TIFF"), "it holds 2 images"),
    "zero bytes": (b"", "the file is empty"),
    "text": (b"not an image at all", "cannot identify image file"),
    "truncated JPEG": (encoded(Image.fromarray(SHADES), "JPEG")[:-40], "truncated"),
    "truncated PNG": (encoded(Image.fromarray(SHADES))[:-80], "is not a readable image"),
    "1x1": (encoded(Image.new("RGB", (1, 1))), "has 1x1 pixels; an image of a person has at least 4 a side"),
    "a line": (encoded(Image.new("RGB", (3, 100))), "has 3x100 pixels; an image of a person has at least 4 a side"),
    "16-bit grey": (encoded(Image.fromarray(np.full((8, 8), 40000, np.uint16))), "more than 8 bits a channel"),
    "float": (encoded(Image.new("F", (8, 8)), "TIFF"), "more than 8 bits a channel"),
    "alpha": (encoded(half_transparent()), "it has transparent pixels"),
    "palette with a transparent entry": (transparent_palette(), "it has transparent pixels"),
    "decompression bomb": (bomb(20000, 20000), "decompression bomb"),
    "smaller bomb": (bomb(10000, 10000), "decompression bomb"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_an_image_that_cannot_be_used(tmp_path, content, words) -> None:
    root = write_viper(tmp_path, people=4)
    path = root / "VIPeR" / "cam_b" / "002_90.bmp"
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        decode(Photo(path, "2", "b"), "viper")
    assert str(path) in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_ends_with_one_line(bench, tmp_path) -> None:
    root = write_viper(tmp_path)
    path = root / "VIPeR" / "cam_b" / "100_90.bmp"
    path.unlink()
    path.write_bytes(BAD["1x1"][0])
    output = bench("run", "-d", "viper", "-m", "nfst", "--data", root, "--jobs", 1, "--results", tmp_path / "results")
    one_line(output, 3, str(path), "has 1x1 pixels")


class TestConversions:
    @pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr", "RGBX", "LA", "RGBA"])
    def test_any_opaque_8_bit_image_is_its_own_colours(self, tmp_path, mode) -> None:
        grey = Image.fromarray(np.repeat(SHADES[..., :1] // 128 * 255, 3, axis=2))
        source = grey if mode in ("L", "1", "LA") else Image.fromarray(SHADES)
        rgb = as_rgb(source.quantize(96, dither=Image.Dither.NONE) if mode == "P" else source.convert(mode))
        assert rgb.dtype == np.uint8
        assert rgb.shape == SHADES.shape
        tolerance = 3 if mode == "YCbCr" else 0  # truncation of Y, of Cb (times 1.772) and of the result: below 3.8
        assert np.abs(rgb.astype(int) - np.asarray(source)).max() <= tolerance

    def test_16_bit_colour_keeps_its_upper_bits(self, tmp_path) -> None:
        """A PNG of 16 bits a channel, written by hand: Pillow writes none."""
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in SHADES.astype(np.uint16) * 257)
        path = tmp_path / "deep.png"
        content = bomb(8, 12)
        head = content[:8] + content[8:33].replace(b"\x08\x02", b"\x10\x02")
        head = head[:29] + struct.pack(">I", zlib.crc32(head[12:29]))
        data = zlib.compress(rows)
        body = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
        path.write_bytes(head + body + content[-12:])
        assert np.array_equal(decode(Photo(path, "1", "a"), "toy"), SHADES)

    def test_an_array_too_small(self) -> None:
        with pytest.raises(DataError, match="an image of person 7 has 5x1 pixels"):
            decode(Photo(np.zeros((1, 5, 3), np.uint8), "7", "a"), "toy")


class TestOrientation:
    """A camera that was held sideways says so in the EXIF data of its file."""

    UPRIGHT = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: np.rot90(image, -1),
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: np.rot90(image),
    }
    """By the EXIF standard: of the stored image, how its viewer sees it."""

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    @pytest.mark.parametrize("value", UPRIGHT)
    def test_is_applied(self, tmp_path, value, suffix) -> None:
        path = tmp_path / f"x.{suffix}"
        exif = Image.Exif()
        exif[274] = value
        Image.fromarray(SHADES).save(path, exif=exif)
        assert np.array_equal(decode(Photo(path, "1", "a"), "toy"), self.UPRIGHT[value](SHADES))

    def test_of_a_jpeg(self, tmp_path) -> None:
        exif = Image.Exif()
        exif[274] = 6
        Image.fromarray(SHADES).save(tmp_path / "plain.jpg")
        Image.fromarray(SHADES).save(tmp_path / "turned.jpg", exif=exif)
        plain, turned = (decode(Photo(tmp_path / f"{name}.jpg", "1", "a"), "toy") for name in ("plain", "turned"))
        assert np.array_equal(turned, np.rot90(plain, -1))

    def test_damaged_exif_data_are_passed_over(self, tmp_path) -> None:
        Image.fromarray(SHADES).save(tmp_path / "x.png", exif=b"Exif\0\0nonsense")
        assert np.array_equal(decode(Photo(tmp_path / "x.png", "1", "a"), "toy"), SHADES)


class Listed(Dataset):
    """Files as a list names them."""

    name = "listed"
    folder = "listed"
    probe_camera = "a"
    names: tuple[str | Path, ...] = ()

    def read(self, root: Path) -> Iterable[Photo]:
        for i, name in enumerate(self.names):
            yield Photo(root / name, str(i // 2), "ab"[i % 2])


@pytest.fixture
def listed(tmp_path) -> Callable[..., Listed]:
    folder = tmp_path / "listed"
    folder.mkdir()
    for name in ("0.png", "1.png", "../outside.png"):
        Image.fromarray(SHADES).save(folder / name)

    def make(*names: str | Path) -> Listed:
        dataset = Listed()
        dataset.names = names
        return dataset

    return make


class TestPaths:
    @pytest.mark.parametrize("name", ["../outside.png", "sub/../../outside.png", "/etc/hostname"])
    def test_outside_the_folder(self, listed, tmp_path, name) -> None:
        with pytest.raises(DataError, match=r"listed: .* lies outside the data set's folder .*listed; all images must"):
            list_photos(listed("0.png", name), tmp_path)

    def test_not_utf8(self, listed, tmp_path) -> None:
        name = os.fsdecode(b"\xff\xfe.png")
        with pytest.raises(DataError, match=r"the file name '.*\\udcff\\udcfe.png' is not UTF-8; rename the file"):
            list_photos(listed("0.png", name), tmp_path)

    @pytest.mark.parametrize(
        ("target", "words"), [("loop.png", "Too many levels of symbolic links"), ("gone.png", "No such file")]
    )
    def test_links_that_lead_nowhere(self, listed, tmp_path, monkeypatch, target, words) -> None:
        (tmp_path / "listed" / "loop.png").symlink_to(target)
        monkeypatch.setattr(Listed, "names", ("0.png", "loop.png"))
        with pytest.raises(DataError, match=words) as error:
            read_listed(tmp_path)
        assert "loop.png" in str(error.value)

    def test_a_pipe(self, listed, tmp_path, monkeypatch) -> None:
        os.mkfifo(tmp_path / "listed" / "2.png")
        monkeypatch.setattr(Listed, "names", ("0.png", "2.png"))
        with pytest.raises(DataError, match=r"cannot read .*2\.png: it is not a regular file"):
            read_listed(tmp_path)
        with pytest.raises(DataError, match="it is not a regular file"):
            decode(Photo(tmp_path / "listed" / "2.png", "1", "a"), "listed")

    def test_a_folder_under_an_image_name(self, listed, tmp_path, monkeypatch) -> None:
        (tmp_path / "listed" / "2.png").mkdir()
        monkeypatch.setattr(Listed, "names", ("0.png", "2.png"))
        with pytest.raises(DataError, match=r"cannot read .*2\.png: Is a directory"):
            read_listed(tmp_path)


def read_listed(root: Path, cache: Path | None = None):
    plugin = Plugin("listed", "dataset", __name__, "Listed", "", "", {"low_resolution": None})
    return load(DatasetSpec("listed", plugin, {}), root, 0, Cache(cache or root / "cache"))


class TestStampIsRemembered:
    """Bytes are read again only for files of which something has changed."""

    @pytest.fixture
    def read(self, listed, tmp_path, monkeypatch) -> Callable[[], str]:
        monkeypatch.setattr(Listed, "names", ("0.png", "1.png"))
        return lambda: read_listed(tmp_path).digest

    def test_a_second_load_reads_no_byte(self, read, monkeypatch) -> None:
        first = read()
        monkeypatch.setattr("bench.engine.stamp.hash_contents", lambda _: pytest.fail("read again"))
        monkeypatch.setattr("bench.engine.data.decode_all", lambda *_: pytest.fail("decoded again"))
        assert read() == first

    def test_a_change_of_time_reads_again_and_of_content_is_seen(self, read, tmp_path) -> None:
        first, path = read(), tmp_path / "listed" / "0.png"
        os.utime(path, ns=(1, 1))
        assert read() == first
        image = SHADES.copy()
        image[0, 0, 0] ^= 1
        Image.fromarray(image).save(path)
        assert read() != first
