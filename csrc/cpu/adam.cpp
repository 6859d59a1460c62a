#include "cpu/adam.h"

#include <algorithm>

#include "cpu/parallel.h"

namespace gsplat {

void adam(const AdamArrays& arrays, const AdamStep& step) {
  // Fixed chunks of about 32 KB per array: what a chunk computes does not depend on the number of threads.
  // They are multiples of 64 rows, so that they start with a cache line.
  const int64_t rows_per_chunk = std::max<int64_t>(1, 8192 / 64 / std::max<int64_t>(1, arrays.row_size)) * 64;
  const int64_t chunks = (arrays.rows + rows_per_chunk - 1) / rows_per_chunk;
  parallel_for(chunks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * rows_per_chunk;
      GSPLAT_CALL(adam_rows, arrays, step, first, std::min(first + rows_per_chunk, arrays.rows));
    }
  });
}

}  // namespace gsplat
