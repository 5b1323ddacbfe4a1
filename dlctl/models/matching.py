"""Whether a model and the data that it is to learn go together."""

from typing import Any

from lightning import LightningModule

from dlctl.errors import ConfigError


def data_for(module: LightningModule, *, classes: bool) -> Any:
    """The data module that a network is built for, once it is known to suit the model.

    Args:
        module: the model, with its trainer.
        classes: whether it tells classes apart, or learns numbers.

    Raises:
        ConfigError: the inputs have no one shape, or the targets are of the other sort.
    """
    data: Any = module.trainer.datamodule  # type: ignore[attr-defined]
    name, model = type(data).__name__, type(module).__name__
    if not hasattr(data, "input_shape") or not hasattr(data, "classes"):
        raise ConfigError(
            f"{model} cannot learn {name}, whose samples are no inputs of one shape with a target",
            hint="a tagger learns treebanks: model=tagger",
            key="model",
        )
    if classes and not data.classes:
        hint = "a regressor learns numbers; of a table, data.classify=true makes classes of them"
        raise ConfigError(f"the targets of {name} are numbers, and {model} learns classes", hint=hint)
    if classes and len(data.classes) == 1:
        raise ConfigError(f"{name} has one class only, '{data.classes[0]}': there is nothing to learn")
    if not classes and data.classes:
        hint = "a classifier learns classes"
        raise ConfigError(f"the targets of {name} are classes, and {model} learns numbers", hint=hint)
    return data


def sentences_for(module: LightningModule) -> Any:
    """The data module of a tagger, once it is known to have sentences.

    Raises:
        ConfigError: it has none.
    """
    data: Any = module.trainer.datamodule  # type: ignore[attr-defined]
    if not hasattr(data, "vocabulary"):
        raise ConfigError(
            f"{type(module).__name__} tags the words of sentences, and {type(data).__name__} has none",
            hint="treebanks have: data=conllu; a classifier or a regressor learns other data",
            key="data",
        )
    return data
