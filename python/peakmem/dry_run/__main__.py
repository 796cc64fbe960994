"""`python -m peakmem.dry_run`, which is also `peakmem dry-run`."""

from __future__ import annotations

import sys

from .command import main

sys.exit(main(sys.argv[1:]))
