// Kernel launches: translate.py turns kernel<<<grid, block, bytes, stream>>>(arguments) into
// CUDA_ON_CPU_LAUNCH(kernel, grid, block, bytes, stream)(arguments). A launch has ended when it returns.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "emulation/collectives.h"
#include "emulation/vector_types.h"

using cudaStream_t = struct cudaStream*;

namespace cuda_on_cpu {

struct LaunchConfig {
  dim3 grid, block;
  size_t dynamic_shared = 0;
  cudaStream_t stream = nullptr;
};

// Runs `thread(arguments)` once for every thread. `signature` names the kernel, as __PRETTY_FUNCTION__ does.
void run_grid(const char* signature, Site site, const LaunchConfig& config, void (*thread)(void*),
              void* arguments);

// Arguments are converted to the kernel's parameter types and copied, as for a real launch.
template <auto kernel, class... Parameters>
struct Launch {
  LaunchConfig config;
  Site site;

  // One thread. Reading the arguments is no access to memory.
  static void thread(void* arguments) {
    call(*static_cast<const std::tuple<Parameters...>*>(arguments), std::index_sequence_for<Parameters...>());
  }
  template <size_t... i>
  __attribute__((no_sanitize("thread"))) static void call(const std::tuple<Parameters...>& arguments,
                                                          std::index_sequence<i...>) {
    kernel(std::get<i>(arguments)...);
  }
  void operator()(Parameters... arguments) const {
    std::tuple<Parameters...> copies(arguments...);
    run_grid(__PRETTY_FUNCTION__, site, config, thread, &copies);
  }
};

template <auto kernel, class... Parameters>
Launch<kernel, Parameters...> configure(void (*)(Parameters...), LaunchConfig config,
                                        Site site = Site::current()) {
  return {config, site};
}

}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_LAUNCH(kernel, ...) \
  ::cuda_on_cpu::configure<(kernel)>((kernel), ::cuda_on_cpu::LaunchConfig{__VA_ARGS__})
