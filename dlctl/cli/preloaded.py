"""Imported by the process that trials are forked from: they find all that a training needs there."""

import gc
import signal
from contextlib import suppress
from importlib import import_module

# A signal for the whole process group is the search's: it stops the trials and then this process, with which
# they would die. They are blocked when it is started, so that none can come too early.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, ())

# What training imports first, and what it imports when it comes to it.
_NEEDED = (
    "antlr4.LL1Analyzer",
    "dlctl.cli.trial",
    "dlctl.composition.unused",
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
    "omegaconf._impl",
    "psutil",
    "pygments.lexers",
    "pygments.styles",
    "rich._emoji_codes",
    "rich.syntax",
    "rich.tree",
    "rootutils",
    "torch.utils.serialization.config",
)

# A module that fails here, such as one of the standard library that a file of the project hides, fails again
# in the trials, and they report it.
for name in _NEEDED:
    with suppress(Exception):
        import_module(name)
with suppress(Exception):
    import_module("dlctl.runs.record").versions()
# What is there stays: collecting it would copy its pages in every trial.
gc.freeze()
