#include <nccl.h>

#include <atomic>
#include <cstdio>
#include <utility>

#include "tests/cuda_on_cpu/nccl_clique.h"
#include "tests/cuda_on_cpu/nccl_faults.h"

using namespace convoy::cuda_on_cpu;

namespace {

// By unique id.  They stay until the process ends.
NcclClique& clique(const ncclUniqueId& id, int ranks) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<NcclClique>> cliques;
  const std::lock_guard lock(mutex);
  auto& found = cliques[id.internal];
  if (found == nullptr) found = std::make_unique<NcclClique>(ranks);
  return *found;
}

// Of the calling thread.
struct Group {
  int depth = 0;
  ncclComm_t comm = nullptr;
  std::vector<NcclCall> calls;
};
thread_local Group group;

ncclResult_t launch(ncclComm_t comm, NcclCall call) {
  if (group.depth == 0) return comm->clique.launch(*comm, {std::move(call)});
  group.comm = comm;
  group.calls.push_back(std::move(call));
  return ncclSuccess;
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) { return *version = 22809, ncclSuccess; }

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) { return comm == nullptr ? "" : comm->error_text.c_str(); }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> next = 0;
  std::snprintf(id->internal, sizeof id->internal, "clique %d", next++);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  *comm = clique(id, ranks).join(rank);
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  *error = comm->clique.poll(*comm);
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) { return comm->clique.finalize(*comm); }
ncclResult_t ncclCommDestroy(ncclComm_t comm) { return comm->clique.destroy(*comm); }
ncclResult_t ncclCommAbort(ncclComm_t comm) { return comm->clique.abort(*comm), ncclSuccess; }

ncclResult_t ncclMemAlloc(void** data, size_t bytes) {
  thread_local int calls = 0;  // threads of ranks are new in every group
  int device = 0;
  cudaGetDevice(&device);
  if (device == nccl_faults().rank && calls++ == nccl_faults().allocation) return ncclUnhandledCudaError;
  return cudaMalloc(data, bytes) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclMemFree(void* data) { return cudaFree(data) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError; }

ncclResult_t ncclCommRegister(ncclComm_t comm, void* data, size_t, void** handle) {
  *handle = data;
  return comm->clique.ready(*comm);
}
ncclResult_t ncclCommDeregister(ncclComm_t comm, void*) { return comm->clique.ready(*comm); }

ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void* data, size_t bytes, ncclWindow_t* window, int flags) {
  *window = nullptr;
  if (flags != NCCL_WIN_COLL_SYMMETRIC) return ncclInvalidArgument;
  if (!nccl_faults().windows) return comm->clique.ready(*comm);
  return comm->clique.register_window(*comm, {0, static_cast<std::byte*>(data), bytes, window});
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t window) {
  return comm->clique.deregister_window(*comm, window);
}

ncclResult_t ncclGroupStart() { return ++group.depth, ncclSuccess; }
ncclResult_t ncclGroupEnd() {
  if (--group.depth > 0 || group.calls.empty()) return ncclSuccess;
  return group.comm->clique.launch(*group.comm, std::exchange(group.calls, {}));
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t, ncclComm_t comm,
                           cudaStream_t stream) {
  return launch(comm, {NcclCall::Kind::kAllReduce, from, to, count, type, 0, stream, ""});
}
ncclResult_t ncclReduceScatter(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t,
                               ncclComm_t comm, cudaStream_t stream) {
  return launch(comm, {NcclCall::Kind::kReduceScatter, from, to, count, type, 0, stream, ""});
}
ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return launch(comm, {NcclCall::Kind::kAllGather, from, to, count, type, 0, stream, ""});
}
ncclResult_t ncclReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t, int root,
                        ncclComm_t comm, cudaStream_t stream) {
  return launch(comm, {NcclCall::Kind::kReduce, from, to, count, type, root, stream, ""});
}
ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  return launch(comm, {NcclCall::Kind::kBroadcast, from, to, count, type, root, stream, ""});
}
