// Refuses numbers that are not finite, where they would go unnoticed: a NaN is near to nothing.
#pragma once

#include "ops/checks.h"
#include "raster/not_finite.h"

namespace gsplat::ops {

// `row` is what the message calls a row. `Kernels` are those of a device; on a GPU, this waits for it.
template <class Kernels>
void check_finite(const Tensor& values, const char* name, int64_t rows, int64_t columns,
                  const char* row = "row") {
  const NotFinite found = Kernels::find_not_finite(values, rows, columns);
  STD_TORCH_CHECK(found.rows == 0, "gsplat_core: argument '", name, "' has NaN or infinite numbers in ",
                  found.rows, " of ", rows, " ", row, "s, the first is ", row, " ", found.first);
}

}  // namespace gsplat::ops
