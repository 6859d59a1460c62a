// A kernel gives up.
#include "harness.h"

__global__ void trap_kernel() {
  if (threadIdx.x == 3) __trap();
}

EXPORT void trap() { trap_kernel<<<1, 32>>>(); }
