"""Imported by the process that trials are forked from: they find all that a training needs there."""

import gc
from contextlib import suppress
from importlib import import_module

# What training imports first, and what it imports when it comes to it.
_NEEDED = (
    "dlctl.cli.trial",
    "dlctl.pipeline.train",
    "dlctl.sweep.job",
    "dlctl.utils.csv_logger",
    "dlctl.utils.progress",
    "dlctl.utils.rich_utils",
    "dlctl.data.mnist_datamodule",
    "dlctl.models.mnist_module",
    "dlctl.models.components.simple_dense_net",
    "dotenv",
    "faulthandler",
    "fsspec.implementations.chained",
    "lightning.pytorch.callbacks",
    "psutil",
    "pygments.lexers",
    "pygments.styles",
    "rich.syntax",
    "rich.tree",
    "rootutils",
    "torch.utils.serialization.config",
)

for name in _NEEDED:
    with suppress(ImportError):
        import_module(name)
with suppress(ImportError):
    import_module("dlctl.runs.record").versions()
# What is there stays: collecting it would copy its pages in every trial.
gc.freeze()
