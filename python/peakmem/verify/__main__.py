"""`python -m peakmem.verify`, which is also `peakmem verify`."""

from __future__ import annotations

import sys

from .command import main

sys.exit(main(sys.argv[1:]))
