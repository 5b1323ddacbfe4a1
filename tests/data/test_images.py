"""Images in folders: divided or not, with the same classes, readable."""

from pathlib import Path

import pytest
from PIL import Image

from dlctl.data.images import divided, read_divided, read_images
from dlctl.errors import ConfigError, NotFoundError


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(folder / name / "0.png")
    return folder


def as_they_are(image: object) -> object:
    return image


def test_one_folder_a_class(tmp_path: Path) -> None:
    images(tmp_path, "cat", "dog")
    (tmp_path / "owl").mkdir()
    assert not divided(tmp_path)
    found = read_images(tmp_path, as_they_are)
    assert found.classes == ["cat", "dog", "owl"]
    assert [target for _, target in found] == [0, 1]


def test_a_folder_divided_by_half_is_told(tmp_path: Path) -> None:
    images(tmp_path, "train/cat", "test/cat")
    with pytest.raises(ConfigError, match="has a folder train, but none val"):
        divided(tmp_path)


def test_classes_have_one_number_in_all_splits(tmp_path: Path) -> None:
    images(tmp_path, "train/cat", "train/dog", "val/cat", "val/dog", "test/dog")
    assert divided(tmp_path)
    with pytest.raises(ConfigError, match="different classes: cat"):
        read_divided(tmp_path, as_they_are)
    (tmp_path / "test/cat").mkdir()
    found = read_divided(tmp_path, as_they_are)
    assert [target for _, target in found["test"]] == [1]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    images(tmp_path, "cat")
    (tmp_path / "cat/0.png").write_bytes(b"no image")
    with pytest.raises(NotFoundError, match=r"cannot read the image .*cat/0.png"):
        read_images(tmp_path, as_they_are)[0]
    (tmp_path / "cat/0.png").unlink()
    with pytest.raises(NotFoundError, match="there are no images in"):
        read_images(tmp_path, as_they_are)
    with pytest.raises(NotFoundError, match="there is no folder"):
        read_images(tmp_path / "none", as_they_are)
