// Memory that kernels may use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "emulation/runtime_api.h"

namespace cuda_on_cpu {

struct Allocation {
  uintptr_t start;
  size_t size;
};

class DeviceMemory {
public:
  // Makes memory that others own, such as a tensor's, known; `times` it is added, `times` it must be removed.
  void add(const void* address, size_t size);
  void remove(const void* address);

  // The allocation that holds an address, null when none does.
  const Allocation* at(const void* address);
  // Says where an address lies in relation to the nearest allocation.
  std::string describe(const void* address) const;

private:
  struct Counted {
    Allocation allocation;
    int times;
  };
  std::map<uintptr_t, Counted> allocations_;
  const Allocation* last_ = nullptr;
};
extern DeviceMemory device_memory;

// Remembered until somebody asks for the last error.
void set_error(cudaError_t error);

}  // namespace cuda_on_cpu
