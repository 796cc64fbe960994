"""A dry run of any training: the script as it is, PyTorch's CUDA build as it is, and a stand-in where CUDA's libraries are.

    python -m peakmem.dry_run --gpu h100-80gb -- python train.py

Kernels do nothing; all else is real, PyTorch's caching allocator among it. `child/` is what is put before the script's
PYTHONPATH; it needs nothing of this package, and serves oracle/gpu, too.
"""
