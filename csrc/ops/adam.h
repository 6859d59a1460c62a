// The optimizer step, in place. `Kernels` are those of a device.
#pragma once

#include <cmath>
#include <optional>

#include "math/adam.h"
#include "ops/checks.h"
#include "raster/adam.h"

namespace gsplat::ops {

inline void check_like_param(const Tensor& tensor, const char* name, const Tensor& param) {
  bool same = tensor.dim() == param.dim();
  for (int64_t i = 0; same && i < param.dim(); ++i) same = tensor.size(i) == param.size(i);
  STD_TORCH_CHECK(same, "gsplat_core: argument '", name, "' must have the shape of 'param', ",
                  shape_text(param.sizes()), ", got ", shape_text(tensor.sizes()));
  STD_TORCH_CHECK(tensor.scalar_type() == ScalarType::Float, "gsplat_core: argument '", name,
                  "' has the wrong dtype: expected Float, got ",
                  torch::headeronly::toString(tensor.scalar_type()));
}

inline void check_written(const Tensor& tensor, const char* name) {
  STD_TORCH_CHECK(tensor.is_contiguous(), "gsplat_core: argument '", name,
                  "' is updated in place and must be contiguous");
}

// Checks a parameter and its moments, all of which are written.
inline void check_adam(const Tensor& param, const Tensor& exp_avg, const Tensor& exp_avg_sq) {
  check_like_param(param, "param", param);
  check_like_param(exp_avg, "exp_avg", param);
  check_like_param(exp_avg_sq, "exp_avg_sq", param);
  check_written(param, "param");
  check_written(exp_avg, "exp_avg");
  check_written(exp_avg_sq, "exp_avg_sq");
}

inline AdamStep adam_constants(int64_t step, double lr, double beta1, double beta2, double eps,
                               bool bias_correction) {
  STD_TORCH_CHECK(step >= 1, "gsplat_core: argument 'step' counts from 1, got ", step);
  const double correction1 = bias_correction ? 1.0 - std::pow(beta1, static_cast<double>(step)) : 1.0;
  const double correction2 = bias_correction ? 1.0 - std::pow(beta2, static_cast<double>(step)) : 1.0;
  return {
      .beta1 = static_cast<float>(beta1),
      .one_minus_beta1 = static_cast<float>(1.0 - beta1),
      .beta2 = static_cast<float>(beta2),
      .one_minus_beta2 = static_cast<float>(1.0 - beta2),
      .step_size = static_cast<float>(lr / correction1),
      .root_scale = static_cast<float>(1.0 / std::sqrt(correction2)),
      .eps = static_cast<float>(eps),
  };
}

template <class Kernels>
void adam_step(Tensor param, Tensor grad_arg, Tensor exp_avg, Tensor exp_avg_sq,
               std::optional<Tensor> visible_arg, int64_t step, double lr, double beta1, double beta2,
               double eps, bool bias_correction) {
  check_adam(param, exp_avg, exp_avg_sq);
  check_like_param(grad_arg, "grad", param);
  const AdamStep constants = adam_constants(step, lr, beta1, beta2, eps, bias_correction);
  const int64_t rows = param.dim() == 0 ? 1 : param.size(0);
  if (visible_arg.has_value()) {
    STD_TORCH_CHECK(param.dim() >= 1, "gsplat_core: argument 'visible' needs a 'param' with rows");
    check_tensor(*visible_arg, "visible", {rows}, ScalarType::Bool);
  }
  check_same_device({{"param", param},
                     {"grad", grad_arg},
                     {"exp_avg", exp_avg},
                     {"exp_avg_sq", exp_avg_sq},
                     {"visible", visible_arg}});
  if (param.numel() == 0) return;

  const Tensor grad = packed(grad_arg);
  const std::optional<Tensor> visible = packed(visible_arg);
  const AdamArrays arrays{
      .param = mutable_floats(param),
      .grad = floats(grad),
      .exp_avg = mutable_floats(exp_avg),
      .exp_avg_sq = mutable_floats(exp_avg_sq),
      .rows = rows,
      .row_size = param.numel() / rows,
      .visible = visible.has_value() ? static_cast<const uint8_t*>(visible->const_data_ptr()) : nullptr,
  };
  Kernels::adam(param, arrays, constants);
}

}  // namespace gsplat::ops
