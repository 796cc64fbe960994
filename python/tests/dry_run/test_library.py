"""How the stand-in is found and made, as far as no compiler and no torch are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from peakmem.dry_run.child.peakmem_child import library, stubs

VERSION = "__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/version.py").write_text(VERSION)
    return tmp_path


def header(folder: Path, version: int) -> None:
    folder.mkdir(parents=True)
    (folder / "cuda.h").write_text(f"#define CUDA_VERSION {version}\n")


def test_cuda_version(site: Path) -> None:
    assert library.cuda_version(site) == "13.0"
    (site / "torch/version.py").write_text("cuda: Optional[str] = None\n")
    with pytest.raises(library.NoStandIn, match="built without CUDA"):
        library.cuda_version(site)


def test_headers_are_of_the_same_cuda(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_HOME", str(site / "cuda"))
    monkeypatch.setenv("CUDA_PATH", str(site / "cuda"))
    with pytest.raises(library.NoStandIn, match="no headers of CUDA 13"):
        library.headers(site, "13.0")
    header(site / "triton/backends/nvidia/include", 12080)
    header(site / "cuda/include", 13010)
    assert set(library.headers(site, "13.0")) == {str(site / "cuda/include")}
    header(site / "nvidia/cuda_runtime/include", 12010)
    assert library.headers(site, "12.1")[0] == str(site / "nvidia/cuda_runtime/include")


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(library.NoStandIn, match="no-such-compiler is missing"):
        library.compiler()


def test_it_is_made_anew_for_other_packages(site: Path) -> None:
    before = library.key(site)
    assert library.key(site) == before
    (site / "bitsandbytes").mkdir()
    assert library.key(site) != before


def test_files_are_not_called_as_nvidias() -> None:
    assert library.file_name("libcudart.so.13") == "libcudart.stand-in.13"
    assert library.file_name("libcuda.so.1") == "libcuda.so.1"  # Triton looks for it


@pytest.mark.parametrize(
    ("name", "returns"),
    [("cublasCreate_v2", "fresh()"), ("cudaGetErrorString", '"cudaGetErrorString: stand-in"'), ("cudaLaunchCooperativeKernel", "return 0")],
)
def test_stubs(name: str, returns: str) -> None:
    assert returns in stubs.stub(name)
    assert stubs.FUNCTION.fullmatch(name)


def test_functions_and_libraries_by_name() -> None:
    assert not stubs.FUNCTION.fullmatch("cudaq")
    assert stubs.LIBRARY.fullmatch("libcudart.so.13")
    assert stubs.LIBRARY.fullmatch("libnvJitLink.so.12")
    assert not stubs.LIBRARY.fullmatch("libtorch_cuda.so")
