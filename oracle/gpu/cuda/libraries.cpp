// cuBLAS, cuBLASLt, cuDNN and cuFFT: the few answers that are more than "success". Handles are made by stubs.py. No header is
// needed: a status is an int, a handle a pointer.
#include <cstddef>
#include <cstdint>

#define API extern "C" __attribute__((visibility("default")))

namespace {
char any;  // what every handle points to
}

API int cublasGetPointerMode_v2(void*, int* mode) { return *mode = 0; }
API int cublasGetMathMode(void*, int* mode) { return *mode = 0; }
API int cublasGetVersion_v2(void*, int* version) { return *version = 130100, 0; }
API size_t cublasLtGetVersion() { return 130100; }

// One way to multiply that wants no workspace; PyTorch allocates its own before it asks (CUDABlas.cpp).
struct cublasLtMatmulHeuristicResult {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
API int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, int wanted,
                                       cublasLtMatmulHeuristicResult* found, int* n) {
  *n = wanted > 0;
  if (*n != 0) *found = {.algorithm = {}, .workspace = 0, .state = 0, .waves = 1, .reserved = {}};
  return 0;
}

// cuDNN's graphs get one engine, whose plan wants no workspace: what cuDNN's own plans want is not known here.
API size_t cudnnGetVersion() { return 92000; }
API size_t cudnnGetCudartVersion() { return 13000; }
API int cudnnBackendCreateDescriptor(int, void** handle) { return *handle = &any, 0; }
API int cudnnBackendGetAttribute(void*, int attribute, int type, int64_t wanted, int64_t* n, void* out) {
  constexpr int kResults = 202, kInt64 = 3, kInt32 = 23;  // CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_*
  if (n != nullptr) *n = attribute == kResults || type == kInt64 || type == kInt32;
  if (out != nullptr && wanted > 0 && type == kInt64) *static_cast<int64_t*>(out) = 0;
  if (out != nullptr && wanted > 0 && type == kInt32) *static_cast<int32_t*>(out) = 0;
  return 0;
}

API int cufftXtMakePlanMany(int, int, void*, void*, long long, long long, int, void*, long long, long long, int,
                            long long, size_t* workspace, int) {
  return *workspace = 0, 0;
}
