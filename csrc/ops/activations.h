// Operators `activate` and `activate_backward`: raw parameters to standard deviations and opacities.
// `Kernels` are those of a device.
#pragma once

#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor> activate(Tensor log_scales, Tensor logits) {
  log_scales = packed(log_scales);
  logits = packed(logits);
  check_tensor(log_scales, "log_scales", {kAny, 3});
  const int64_t n = log_scales.size(0);
  check_tensor(logits, "logits", {n});
  Tensor scales = empty_like_device(log_scales, {n, 3});
  Tensor opacities = empty_like_device(logits, {n});
  check_same_device({{"log_scales", log_scales}, {"logits", logits}});
  Kernels::activate(log_scales, n, floats(log_scales), floats(logits), mutable_floats(scales),
                    mutable_floats(opacities));
  return {scales, opacities};
}

template <class Kernels>
std::tuple<Tensor, Tensor> activate_backward(Tensor scales, Tensor opacities, Tensor v_scales,
                                             Tensor v_opacities) {
  scales = packed(scales);
  opacities = packed(opacities);
  v_scales = packed(v_scales);
  v_opacities = packed(v_opacities);
  check_tensor(scales, "scales", {kAny, 3});
  const int64_t n = scales.size(0);
  check_tensor(opacities, "opacities", {n});
  check_tensor(v_scales, "v_scales", {n, 3});
  check_tensor(v_opacities, "v_opacities", {n});
  Tensor v_log_scales = empty_like_device(scales, {n, 3});
  Tensor v_logits = empty_like_device(opacities, {n});
  check_same_device(
      {{"scales", scales}, {"opacities", opacities}, {"v_scales", v_scales}, {"v_opacities", v_opacities}});
  Kernels::activate_backward(scales, n, floats(scales), floats(opacities), floats(v_scales),
                             floats(v_opacities), mutable_floats(v_log_scales), mutable_floats(v_logits));
  return {v_log_scales, v_logits};
}

}  // namespace gsplat::ops
