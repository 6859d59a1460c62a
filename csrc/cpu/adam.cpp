#include "cpu/adam.h"

#include <algorithm>

#include "cpu/parallel.h"

namespace gsplat {

void adam(const AdamArrays& arrays, const AdamStep& step) {
  // Fixed chunks of about 32 KB per array: what a chunk computes does not depend on the number of threads.
  const int64_t rows_per_chunk = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, arrays.row_size));
  const int64_t chunks = (arrays.rows + rows_per_chunk - 1) / rows_per_chunk;
  parallel_for(chunks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * rows_per_chunk;
      GSPLAT_CALL(adam_rows, arrays, step, first, std::min(first + rows_per_chunk, arrays.rows));
    }
  });
}

}  // namespace gsplat
