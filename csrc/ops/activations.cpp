// Operators `activate` and `activate_backward`: raw parameters to standard deviations and opacities.
#include "cpu/activations.h"

#include <torch/csrc/stable/library.h>

#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

std::tuple<Tensor, Tensor> activate(Tensor log_scales, Tensor logits) {
  log_scales = packed(log_scales);
  logits = packed(logits);
  check_tensor(log_scales, "log_scales", {kAny, 3});
  const int64_t n = log_scales.size(0);
  check_tensor(logits, "logits", {n});
  Tensor scales = empty_like_device(log_scales, {n, 3});
  Tensor opacities = empty_like_device(logits, {n});
  GSPLAT_CALL(scales_of_logarithms, floats(log_scales), mutable_floats(scales), 3 * n);
  GSPLAT_CALL(opacities_of_logits, floats(logits), mutable_floats(opacities), n);
  return {scales, opacities};
}

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
  GSPLAT_CALL(scales_of_logarithms_backward, floats(scales), floats(v_scales), mutable_floats(v_log_scales),
              3 * n);
  GSPLAT_CALL(opacities_of_logits_backward, floats(opacities), floats(v_opacities), mutable_floats(v_logits),
              n);
  return {v_log_scales, v_logits};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("activate(Tensor log_scales, Tensor logits) -> (Tensor scales, Tensor opacities)");
  m.def(
      "activate_backward(Tensor scales, Tensor opacities, Tensor v_scales, Tensor v_opacities) "
      "-> (Tensor v_log_scales, Tensor v_logits)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("activate", TORCH_BOX(&activate));
  m.impl("activate_backward", TORCH_BOX(&activate_backward));
}

}  // namespace gsplat::ops
