// What kernels of the CPU backend ask of PyTorch's threads, for programs without it: all on the calling one.
#pragma once

#include "cpu/parallel.h"

namespace gsplat {

void parallel_ranges(int64_t count, int64_t, RangeFunction function, void* context) {
  function(0, count, context);
}

int64_t thread_count() { return 1; }

}  // namespace gsplat
