"""dlctl: one command over Hydra, PyTorch Lightning and Optuna."""

__version__ = "0.1.0"
