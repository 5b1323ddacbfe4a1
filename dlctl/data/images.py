"""Images in folders, one folder a class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import default_loader

from dlctl.data.splits import SPLITS, Split
from dlctl.errors import ConfigError, NotFoundError


def divided(folder: Path) -> bool:
    """Whether a folder holds train, val and test and not the classes.

    Raises:
        ConfigError: it holds one or two of them.
    """
    there = [name for name in SPLITS if (folder / name).is_dir()]
    if there and len(there) < len(SPLITS):
        missing = next(name for name in SPLITS if name not in there)
        raise ConfigError(
            f"{folder} has a folder {there[0]}, but none {missing}",
            hint="train, val and test together; or only folders of classes, which are divided for you",
        )
    return bool(there)


def read_images(folder: Path, transform: Callable[[Any], Any]) -> ImageFolder:
    """The images of a folder, which are read when they are needed; a class may have none.

    Raises:
        NotFoundError: there are none; later, an image cannot be read.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", hint="data.data_dir=FOLDER")
    try:
        images = ImageFolder(folder, transform, loader=_load, allow_empty=True)
    except FileNotFoundError:
        images = None
    if not images:
        hint = "one folder of images for each class: data.data_dir=FOLDER"
        raise NotFoundError(f"there are no images in {folder}", hint=hint)
    return images


def read_divided(folder: Path, transform: Callable[[Any], Any]) -> dict[Split, ImageFolder]:
    """The images of the folders train, val and test, which have the same classes.

    Raises:
        NotFoundError: there are none in one of them.
        ConfigError: the classes differ, so that one number would stand for two of them.
    """
    found = {name: read_images(folder / name, transform) for name in SPLITS}
    for name, images in found.items():
        other = set(images.classes) ^ set(found["train"].classes)
        if other:
            raise ConfigError(
                f"{folder / name} and {folder / 'train'} have different classes: {min(other)}",
                hint="a folder for every class in each of them; one without images is empty",
            )
    return found


def _load(path: str) -> Any:
    try:
        return default_loader(path)
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of them
        raise NotFoundError(f"cannot read the image {path}", hint="mend or remove it") from error
