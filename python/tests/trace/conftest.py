"""Tests of peakmem.trace, which need torch (scripts/python.sh --tests installs its CPU build)."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
