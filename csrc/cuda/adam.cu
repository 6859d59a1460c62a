// One step of Adam on one parameter, in one pass over memory.
#include "cuda/adam.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 256;
// Elements of a thread, kThreads apart: their loads are under way at the same time.
constexpr int kElements = 4;

__global__ void __launch_bounds__(kThreads) update_parameters(AdamArrays arrays, AdamStep step) {
  const int64_t count = arrays.rows * arrays.row_size;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads * kElements + threadIdx.x;
#pragma unroll
  for (int e = 0; e < kElements; ++e) {
    const int64_t i = first + e * kThreads;
    if (i >= count) continue;
    if (arrays.visible != nullptr && arrays.visible[i / arrays.row_size] == 0) continue;
    const AdamState state =
        adam_update({arrays.param[i], arrays.exp_avg[i], arrays.exp_avg_sq[i]}, arrays.grad[i], step);
    arrays.param[i] = state.param;
    arrays.exp_avg[i] = state.exp_avg;
    arrays.exp_avg_sq[i] = state.exp_avg_sq;
  }
}

}  // namespace

void adam(const AdamArrays& arrays, const AdamStep& step, Stream stream) {
  const unsigned grid = blocks_of(kThreads * kElements, arrays.rows * arrays.row_size);
  if (grid == 0) return;
  update_parameters<<<grid, kThreads, 0, stream>>>(arrays, step);
  check_launch("update_parameters");
}

}  // namespace gsplat::cuda
