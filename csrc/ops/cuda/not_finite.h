// Looks for numbers that are not finite on a CUDA device, and waits for the answer.
#pragma once

#include "cuda/not_finite.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {

inline NotFinite find_not_finite_on_device(const Tensor& values, int64_t rows, int64_t columns) {
  const OnDevice device(values);
  Workspace found(values, sizeof(NotFinite));
  cuda::find_not_finite(floats(values), rows, columns, static_cast<NotFinite*>(found.data()),
                        device.stream());
  return device.read<NotFinite>(found.data(), "reading whether numbers are finite");
}

}  // namespace gsplat::ops
