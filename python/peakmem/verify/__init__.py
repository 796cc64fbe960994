"""Ours beside theirs, on a real GPU: a handful of small trainings and a large one are run, and estimated.

    python -m peakmem.verify

Needs torch and transformers in this Python. What is measured of the CUDA context goes into the file that it writes, which
`--context FILE` takes.
"""
