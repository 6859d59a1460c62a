#include "device_memory.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "checker/checker.h"
#include "host_calls.h"
#include "poison.h"
#include "reports.h"
#include "shared_memory.h"

namespace cuda_on_cpu {

DeviceMemory device_memory;

namespace {
cudaError_t last_error = cudaSuccess;
}

void set_error(cudaError_t error) {
  if (last_error == cudaSuccess) last_error = error;
}

void DeviceMemory::add(const void* address, size_t size) {
  if (size == 0) return;
  const auto start = reinterpret_cast<uintptr_t>(address);
  Counted& counted = allocations_[start];
  counted.allocation = {start, size};
  ++counted.times;
}

void DeviceMemory::remove(const void* address) {
  const auto entry = allocations_.find(reinterpret_cast<uintptr_t>(address));
  if (entry == allocations_.end() || --entry->second.times > 0) return;
  checker.forget(address, entry->second.allocation.size);
  allocations_.erase(entry);
  last_ = nullptr;
}

const Allocation* DeviceMemory::at(const void* address) {
  const auto a = reinterpret_cast<uintptr_t>(address);
  if (last_ != nullptr && a - last_->start < last_->size) return last_;
  auto entry = allocations_.upper_bound(a);
  if (entry == allocations_.begin()) return nullptr;
  const Allocation& below = (--entry)->second.allocation;
  return a - below.start < below.size ? last_ = &below : nullptr;
}

std::string DeviceMemory::describe(const void* address) const {
  const auto a = reinterpret_cast<uintptr_t>(address);
  const auto above = allocations_.upper_bound(a);
  const bool has_below = above != allocations_.begin(), has_above = above != allocations_.end();
  if (!has_below && !has_above) return "no device memory is allocated";
  const auto below = has_below ? std::prev(above) : above;
  const uintptr_t below_end = below->first + below->second.allocation.size;
  if (has_below && a < below_end) {
    return text("byte ", a - below->first, " of an allocation of ", below->second.allocation.size, " bytes");
  }
  if (has_below && (!has_above || a - below_end < above->first - a)) {
    return text(a - below_end, " bytes past an allocation of ", below->second.allocation.size, " bytes");
  }
  return text(above->first - a, " bytes before an allocation of ", above->second.allocation.size, " bytes");
}

cudaError_t set_dynamic_shared_limit(int bytes) {
  if (bytes >= 0 && bytes <= static_cast<int>(SharedMemory::kLimit)) return cudaSuccess;
  set_error(cudaErrorInvalidValue);
  return cudaErrorInvalidValue;
}

}  // namespace cuda_on_cpu

using cuda_on_cpu::checker;
using cuda_on_cpu::device_memory;
using cuda_on_cpu::note_call;
using cuda_on_cpu::note_work;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
  }
  return "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaGetLastError() { return std::exchange(cuda_on_cpu::last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return cuda_on_cpu::last_error; }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount      ? 4
           : attribute == cudaDevAttrComputeCapabilityMajor ? 9
                                                            : cuda_on_cpu::SharedMemory::kLimit;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t size) {
  *address = nullptr;
  if (const cudaError_t error = note_call("cudaMalloc", true)) return error;
  if (size == 0) return cudaSuccess;
  if (posix_memalign(address, 256, size) != 0) return cudaErrorMemoryAllocation;
  cuda_on_cpu::fill_with_poison(*address, size);
  device_memory.add(*address, size);
  return cudaSuccess;
}
cudaError_t cudaFree(void* address) {
  if (const cudaError_t error = note_call("cudaFree", true)) return error;
  device_memory.remove(address);
  free(address);
  return cudaSuccess;
}

namespace {

cudaError_t copy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (from_device) checker.range(from, size, false);
  if (to_device) checker.range(to, size, true);
  memmove(to, from, size);
  return cudaSuccess;
}

cudaError_t fill(void* address, int value, size_t size) {
  checker.range(address, size, true);
  memset(address, value, size);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  const cudaError_t error = note_call("cudaMemcpy", true);
  return error != cudaSuccess ? error : copy(to, from, size, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  // Memory of the host may be gone when a graph is replayed.
  const cudaError_t error = kind == cudaMemcpyDeviceToDevice
                                ? note_work("cudaMemcpyAsync", stream)
                                : note_call("cudaMemcpyAsync with memory of the host", false, stream);
  return error != cudaSuccess ? error : copy(to, from, size, kind);
}
cudaError_t cudaMemset(void* address, int value, size_t size) {
  const cudaError_t error = note_call("cudaMemset", false);
  return error != cudaSuccess ? error : fill(address, value, size);
}
cudaError_t cudaMemsetAsync(void* address, int value, size_t size, cudaStream_t stream) {
  const cudaError_t error = note_work("cudaMemsetAsync", stream);
  return error != cudaSuccess ? error : fill(address, value, size);
}
