"""What dlctl needs of Lightning that it does not offer: the only use of its private names for resuming."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import Tensor, nn

_SCHEDULED = ("accumulate_grad_batches", "gradient_clip_val")


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """The callbacks, in the order in which they are called."""
    found: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return found


def datamodule_of(trainer: Trainer) -> Any:
    """The data module; None where the module brings its own loaders."""
    return trainer.datamodule  # type: ignore[attr-defined]


def trainer_settings(trainer: Trainer) -> dict[str, Any]:
    """What callbacks change of a Trainer when an epoch begins."""
    return {name: getattr(trainer, name) for name in _SCHEDULED}


def set_trainer_settings(trainer: Trainer, settings: dict[str, Any]) -> None:
    """Change those again."""
    for name in _SCHEDULED:
        if name in settings:
            setattr(trainer, name, settings[name])


def training_loaders(trainer: Trainer) -> list[Any]:
    """The training loaders, in order; none before Lightning has them."""
    combined = trainer.fit_loop._combined_loader
    # Not its truth: that would ask for a length, which not all loaders have.
    return [] if combined is None else list(combined.flattened)


def fetched_ahead(trainer: Trainer) -> int:
    """How many batches Lightning has fetched that are not trained on yet."""
    return len(getattr(trainer.fit_loop._data_fetcher, "batches", ()))


def exhausted_loaders(trainer: Trainer) -> list[bool]:
    """Which of several loaders have been read to their end in this epoch, and begun again."""
    combined = trainer.fit_loop._combined_loader
    return list(getattr(getattr(combined, "_iterator", None), "_consumed", ()))


def set_exhausted_loaders(trainer: Trainer, exhausted: list[bool]) -> None:
    """Go on with an epoch in which some loaders have been read to their end."""
    combined = trainer.fit_loop._combined_loader
    iterator = getattr(combined, "_iterator", None)
    if exhausted and len(getattr(iterator, "_consumed", ())) == len(exhausted):
        iterator._consumed = list(exhausted)  # type: ignore[union-attr]


def loading_epoch(trainer: Trainer) -> float:
    """The epoch in which the training loaders were made; minus infinity before."""
    return float(trainer.fit_loop._last_train_dl_reload_epoch)


def set_loading_epoch(trainer: Trainer, epoch: float) -> None:
    """Count from this epoch when the loaders are to be made again."""
    trainer.fit_loop._last_train_dl_reload_epoch = epoch


def unsaved_buffers(module: nn.Module) -> dict[str, Tensor]:
    """The buffers of a module itself that its ``state_dict`` leaves out."""
    names = module._non_persistent_buffers_set
    return {name: value for name, value in module._buffers.items() if name in names and value is not None}


def evaluated_modes(trainer: Trainer) -> dict[str, bool]:
    """During a validation: which modules were in training mode before it."""
    return dict(trainer.fit_loop.epoch_loop.val_loop._module_mode.mode)


def has_summed_values(trainer: Trainer) -> bool:
    """Whether numbers have been logged in this epoch that Lightning sums up itself."""
    return bool(trainer.fit_loop.epoch_loop._results)


def accumulates(trainer: Trainer) -> bool:
    """Whether the gradients of the batch before wait for those of the next."""
    return trainer.fit_loop.epoch_loop._should_accumulate()


def validates_now(trainer: Trainer) -> bool:
    """Whether a validation belongs to the batch before."""
    fetcher: Any = trainer.fit_loop._data_fetcher
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def begin_new_epoch(trainer: Trainer) -> None:
    """Go on with the next epoch after a checkpoint of the end of one.

    With ``max_steps`` Lightning would end that epoch a second time.
    """
    loop: Any = trainer.fit_loop
    if loop.epoch_progress.current.ready == loop.epoch_progress.current.processed:
        _Loop.restarting.fset(loop, False)  # type: ignore[attr-defined]


def end_restart(trainer: Trainer) -> None:
    """Let an epoch begin and end as in a run that never stopped.

    It begins with a new pass over the data, and ends with a step of the schedulers that watch a metric.
    """
    trainer.fit_loop._restarting = False
    trainer.fit_loop._resuming_from_checkpoint = False


def do_nothing(*_: Any, **__: Any) -> None:
    """Replaces a hook that is not to be called, or is called at another moment."""


def call_before(owner: Any, method: str, function: Callable[[], None]) -> None:
    """Call a function whenever a method of an object is about to be called."""
    original = getattr(owner, method)

    def both(*args: Any, **kwargs: Any) -> Any:
        function()
        return original(*args, **kwargs)

    setattr(owner, method, both)


def spawned_rank_signaller(trainer: Trainer) -> Callable[[int], None] | None:
    """What sends a signal to the ranks that Lightning spawns; None if it spawns none."""
    launcher = trainer.strategy.launcher
    return launcher.kill if isinstance(launcher, _MultiProcessingLauncher) else None


def call_after(owner: Any, method: str, function: Callable[[], None]) -> None:
    """Call a function whenever a method of an object has returned."""
    original = getattr(owner, method)

    def both(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        function()
        return result

    setattr(owner, method, both)
