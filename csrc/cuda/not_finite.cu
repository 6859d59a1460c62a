// Rows of numbers that are not finite, one thread per row.
#include "cuda/not_finite.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    find_rows_not_finite(const float* values, int64_t rows, int64_t columns, NotFinite* found) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= rows || is_finite_row(values + row * columns, columns)) return;
  atomicAdd(reinterpret_cast<unsigned long long*>(&found->rows), 1ull);
  // As unsigned numbers, what stands for none is the largest.
  atomicMin(reinterpret_cast<unsigned long long*>(&found->first), static_cast<unsigned long long>(row));
}

}  // namespace

void find_not_finite(const float* values, int64_t rows, int64_t columns, NotFinite* found, Stream stream) {
  check(cudaMemsetAsync(&found->rows, 0, sizeof(found->rows), stream), "memset");
  check(cudaMemsetAsync(&found->first, 0xff, sizeof(found->first), stream), "memset");
  if (rows == 0) return;
  find_rows_not_finite<<<blocks_of(kThreads, rows), kThreads, 0, stream>>>(values, rows, columns, found);
  check_launch("find_rows_not_finite");
}

}  // namespace gsplat::cuda
