// cuBLAS, cuBLASLt, cuDNN, cuFFT and NCCL: the few answers that are more than "success". Handles are made by stubs.py.
// No header is needed: a status is an int, a handle a pointer.
#include <cstddef>
#include <cstdint>
#include <cstring>

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

// NCCL: a communicator of any size, whose collectives succeed and move nothing; its own buffers are not there.
namespace {
struct Communicator {
  int ranks, rank;
};
struct Id {
  char bytes[128];
};
}  // namespace
API int ncclGetVersion(int* version) { return *version = 22907, 0; }
API int ncclGetUniqueId(Id* id) { return memset(id, 0, sizeof *id), 0; }
API int ncclCommInitRank(Communicator** out, int ranks, Id, int rank) {
  return *out = new Communicator{ranks, rank}, 0;
}
API int ncclCommInitRankConfig(Communicator** out, int ranks, Id id, int rank, void*) {
  return ncclCommInitRank(out, ranks, id, rank);
}
API int ncclCommInitRankScalable(Communicator** out, int ranks, int rank, int, void*, void*) {
  return ncclCommInitRank(out, ranks, {}, rank);
}
API int ncclCommSplit(Communicator*, int, int key, Communicator** out, void*) {
  return ncclCommInitRank(out, 1, {}, key);
}
API int ncclCommCount(const Communicator* c, int* n) { return *n = c->ranks, 0; }
API int ncclCommUserRank(const Communicator* c, int* n) { return *n = c->rank, 0; }
API int ncclCommCuDevice(const Communicator*, int* device) { return *device = 0; }
API int ncclCommGetAsyncError(Communicator*, int* error) { return *error = 0; }
API int ncclCommRegister(Communicator*, void*, size_t, void** handle) { return *handle = &any, 0; }
API int ncclRedOpCreatePreMulSum(int* op, void*, int, int, void*) { return *op = 5, 0; }
