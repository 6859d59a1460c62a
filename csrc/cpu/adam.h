// One step of Adam on one parameter, in place.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

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

// The constants of one step: param -= step_size * exp_avg / (sqrt(exp_avg_sq) * root_scale + eps).
struct AdamStep {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;   // learning rate / (1 - beta1^t)
  float root_scale;  // 1 / sqrt(1 - beta2^t)
  float eps;
};

void adam(const AdamArrays& arrays, const AdamStep& step);

}  // namespace gsplat

#define GSPLAT_ADAM_KERNELS \
  void adam_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_ADAM_KERNELS)
