"""What comes with an extra of dlctl: ``pip install 'dlctl[wandb]'``."""

# The package -> the extra that brings it.
EXTRAS = {
    "aim": "aim",
    "comet": "comet",
    "comet_ml": "comet",
    "mlflow": "mlflow",
    "tensorboard": "tensorboard",
    "tensorboardX": "tensorboard",
    "wandb": "wandb",
}
