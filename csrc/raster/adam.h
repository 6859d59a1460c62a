// The arrays of one parameter and its moments, the same for all backends.
#pragma once

#include <cstdint>

namespace gsplat {

struct AdamArrays {
  float* param;
  const float* grad;
  float* exp_avg;
  float* exp_avg_sq;
  int64_t rows = 0;
  int64_t row_size = 0;
  // One byte per row: zero leaves parameter and moments of the row alone. Null: every row is updated.
  const uint8_t* visible = nullptr;
};

}  // namespace gsplat
