"""Projects in the template's shape, one plain and one for each quirk that is met in the wild."""

from collections.abc import Callable
from pathlib import Path

from tests.migration.shape import put, write

GLOBAL = "# @package _global_\n"


def plain(root: Path) -> None:
    """As the template is cloned."""
    write(root)


def older(root: Path) -> None:
    """A datamodule, no marker, the working directory in a variable, and hydra/default.yaml of its own."""
    write(root, data="datamodule", marker=".git")
    train = root / "configs/train.yaml"
    train.write_text(f"{train.read_text()}original_work_dir: ${{hydra:runtime.cwd}}\n")
    put(
        root,
        "configs/experiment/there.yaml",
        f"{GLOBAL}defaults:\n  - override /datamodule: toy\ndatamodule:\n"
        "  data_dir: ${original_work_dir}/data/\nname: ${hydra:runtime.choices.model}\n",
    )
    put(root, "configs/local/default.yaml", f"{GLOBAL}machine: ${{oc.env:TOY_FACTOR}}\n")
    put(
        root,
        "configs/hydra/default.yaml",
        "run:\n  dir: logs/runs/${now:%Y-%m-%d}/${now:%H-%M-%S}\n"
        "sweep:\n  dir: logs/multiruns/${now:%Y-%m-%d_%H-%M-%S}\n  subdir: ${hydra.job.num}\n",
    )


def plugins(root: Path) -> None:
    """Launchers and sweepers of plugins, their samplers too."""
    write(root)
    for name, launcher in {"joblib": "joblib", "slurm": "submitit_slurm", "local": "submitit_local"}.items():
        put(
            root,
            f"configs/experiment/cluster/{name}.yaml",
            f"{GLOBAL}defaults:\n  - /experiment/example\n  - override /hydra/launcher: {launcher}\n",
        )
    put(
        root,
        "configs/experiment/searched.yaml",
        f"{GLOBAL}defaults:\n  - override /hydra/sweeper: optuna\n"
        "  - override /hydra/sweeper/sampler: random\nhydra:\n  sweeper:\n    n_trials: 3\n",
    )


def distilled(root: Path) -> None:
    """A second model at a package of its own, and targets of packages that are not here."""
    write(root)
    put(
        root,
        "configs/experiment/distil.yaml",
        f"{GLOBAL}defaults:\n  - /model@teacher: toy\n  - override /logger: csv\n"
        "teacher:\n  net:\n    width: 8\n",
    )
    put(root, "configs/model/far.yaml", "_target_: faraway.nets.Net\nsize: 3\n")
    put(root, "configs/experiment/a/b/c.yaml", f"{GLOBAL}defaults:\n  - override /model: far\nseed: 1\n")


def resolving(root: Path) -> None:
    """Resolvers that are registered when src.utils is imported."""
    write(root)
    put(
        root,
        "src/utils/__init__.py",
        "from omegaconf import OmegaConf\n\nfrom src.utils.names import metric_of\n\n"
        "OmegaConf.register_new_resolver('mul', lambda a, b: a * b)\n",
    )
    put(
        root,
        "configs/experiment/product.yaml",
        f"{GLOBAL}defaults:\n  - example\n"
        "model:\n  net:\n    width: ${mul:${data.batch_size},${mul:1,2}}\ndeep: [{one: 'w${mul:2,3}'}]\n",
    )


PROJECTS: dict[str, Callable[[Path], None]] = {
    each.__name__: each for each in (plain, older, plugins, distilled, resolving)
}


def experiments(root: Path) -> list[str]:
    """The experiments of a project, as they are chosen; "" is none."""
    folder = root / "configs/experiment"
    return [
        "",
        *sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")),
    ]


# Runs as the project's own script does, with Hydra alone.
SHOW = """\
import json
import sys
from pathlib import Path

root = Path(__file__).parent
sys.path.insert(0, str(root))

import hydra
from omegaconf import OmegaConf

try:
    import src.utils
except ImportError:
    pass


@hydra.main(version_base="1.3", config_path="configs", config_name="train.yaml")
def main(cfg):
    print(json.dumps(OmegaConf.to_container(cfg, resolve=True)))


main()
"""
