// Events that kernels count: GSPLAT_COUNT(name), which means nothing to a GPU.
#pragma once

namespace cuda_on_cpu {

// `name` must be the same pointer whenever the same line is reached.
void count_event(const char* name);

}  // namespace cuda_on_cpu

#define GSPLAT_COUNT(event)                \
  do {                                     \
    static constexpr char name[] = #event; \
    ::cuda_on_cpu::count_event(name);      \
  } while (false)
