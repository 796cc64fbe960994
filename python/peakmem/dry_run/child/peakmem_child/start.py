"""What sitecustomize calls: puts this process on the stand-in before torch is imported, and measures from then on."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List

from . import checkpoint, library, packages, ranks, values
from .outcome import Outcome
from .peaks import Peaks
from .phases import Phases
from .settings import Settings, of_environment


def begin() -> None:
    settings = of_environment()
    site = library.site_packages() if settings else None
    if settings is None or site is None:
        return
    if ranks.is_rank() and settings.ranks is not None and int(os.environ["RANK"]) not in settings.ranks:
        os._exit(0)  # nobody waits for it
    try:
        loaded = library.load(library.folder_of(site))
    except (library.NoStandIn, OSError) as error:
        refuse(settings, str(error))
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # which hides the real ones from whoever is not on the stand-in
    packages.AfterImport(patches(settings, loaded)).install()


def refuse(settings: Settings, why: str) -> None:
    with open(os.path.join(settings.folder, f"{os.getpid()}.json"), "w") as file:
        json.dump({"refused": why}, file)
    print(f"peakmem: {why}", file=sys.stderr, flush=True)
    os._exit(2)


def patches(settings: Settings, loaded: Any) -> Dict[str, List[packages.Patch]]:
    table: Dict[str, List[packages.Patch]] = {
        "torch": [lambda torch: measure(torch, settings, loaded)],
        "transformers.masking_utils": [values.masks_are_full],
        "deepspeed": [packages.deepspeed_adams],
    }
    if settings.empty_weights:
        table["transformers.modeling_utils"] = [checkpoint.need_no_weights]
    if ranks.is_rank():
        table["torch.distributed.distributed_c10d"] = [ranks.stand_alone]
        table["torch.nn.parallel.distributed"] = [ranks.shapes_agree]
        table["deepspeed.runtime.zero.utils"] = [packages.first_of_itself]
    return table


def measure(torch: Any, settings: Settings, loaded: Any) -> None:
    outcome = Outcome(torch, settings, loaded)
    values.all_is_well(torch)
    values.averages_are_copies(torch.optim.ASGD)
    outcome.places = values.watch(torch, loaded)
    outcome.phases = Phases(Peaks(torch), settings.steps)
    outcome.phases.install(torch)
