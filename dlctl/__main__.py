"""``python -m dlctl``: what torchrun, SLURM and other launchers start."""

from dlctl.cli import main

main()
