"""Imported by the process that trials are forked from, so that they find torch and Lightning there."""

from contextlib import suppress

import dlctl.cli.trial
import dlctl.pipeline.train

# What the packaged configs build.
with suppress(ImportError):
    import optuna  # noqa: F401

    import dlctl.data.mnist_datamodule
    import dlctl.models.mnist_module
    import dlctl.utils.csv_logger
    import dlctl.utils.progress  # noqa: F401
