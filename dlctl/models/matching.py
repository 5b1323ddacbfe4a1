"""Whether a model and the data that it is to learn go together."""

from typing import Any

from dlctl.errors import ConfigError


def data_for(datamodule: Any, *, classes: bool) -> Any:
    """The data module of a trainer, once it is known to suit a model that is built for its data.

    Args:
        datamodule: the trainer's, which has been set up.
        classes: whether the model tells classes apart, or learns numbers.

    Raises:
        ConfigError: the inputs have no one shape, or the targets are of the other sort.
    """
    name = type(datamodule).__name__
    if not hasattr(datamodule, "input_shape") or not hasattr(datamodule, "classes"):
        raise ConfigError(
            f"this model cannot learn {name}, whose samples are no inputs of one shape with a target",
            hint="a tagger learns treebanks: model=tagger",
            key="model",
        )
    if classes and not datamodule.classes:
        hint = "a regressor learns numbers; of a table, data.classify=true makes classes of them"
        raise ConfigError(f"the targets of {name} are numbers, and this model learns classes", hint=hint)
    if classes and len(datamodule.classes) == 1:
        only = datamodule.classes[0]
        raise ConfigError(f"{name} has one class only, '{only}': there is nothing to learn")
    # Digits are classes and numbers.
    if not classes and not all(str(each).isdecimal() for each in datamodule.classes):
        hint = "a classifier learns classes"
        raise ConfigError(f"the targets of {name} are classes, and this model learns numbers", hint=hint)
    return datamodule


def sentences_for(datamodule: Any) -> Any:
    """The data module of a trainer, once it is known to have sentences.

    Raises:
        ConfigError: it has none.
    """
    if not hasattr(datamodule, "vocabulary"):
        raise ConfigError(
            f"a tagger tags the words of sentences, and {type(datamodule).__name__} has none",
            hint="treebanks have: data=conllu; a classifier or a regressor learns other data",
            key="data",
        )
    return datamodule
