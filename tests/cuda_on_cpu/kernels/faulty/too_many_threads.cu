// A block of more threads than there can be.
#include "harness.h"

__global__ void too_many_threads_kernel() {}

EXPORT void too_many_threads() { too_many_threads_kernel<<<1, 2048>>>(); }
