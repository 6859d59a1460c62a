// Shared memory: translate.py turns declarations into references into the memory of the running block.
#pragma once

#include <cstddef>

namespace cuda_on_cpu {

// The memory of one variable, the same for all threads of the block. `key` stands for the declaration.
void* shared_variable(const void* key, size_t size, size_t alignment, const char* name);

// What the third launch parameter asked for.
void* dynamic_shared_memory();

}  // namespace cuda_on_cpu

// __shared__ T name[n];
#define CUDA_ON_CPU_SHARED(name, ...)      \
  using name##_type = __VA_ARGS__;         \
  static const char name##_key = 0;        \
  auto& name = *static_cast<name##_type*>( \
      ::cuda_on_cpu::shared_variable(&name##_key, sizeof(name##_type), alignof(name##_type), #name))

// extern __shared__ T name[];
#define CUDA_ON_CPU_DYNAMIC_SHARED(name, ...) \
  auto* const name = static_cast<__VA_ARGS__*>(::cuda_on_cpu::dynamic_shared_memory())
