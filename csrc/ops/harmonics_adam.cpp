// Operator `spherical_harmonics_backward_adam_`: the backward pass that makes Adam's step of the coefficients
// instead of storing their gradients. On the CPU only.
#include "cpu/harmonics_adam.h"

#include <torch/csrc/stable/library.h>

#include <cmath>
#include <tuple>

#include "ops/adam.h"
#include "ops/spherical_harmonics.h"

namespace gsplat::ops {
namespace {

// Whether such a step leaves an element without gradient and moments as it is, to the bit: it subtracts
// step_size * 0 / eps.
bool rests(const AdamStep& step) { return step.eps > 0.0f && std::isfinite(step.step_size); }

// Rows of one of the two parameters with its moments.
AdamArrays trained_rows(Tensor& param, Tensor& exp_avg, Tensor& exp_avg_sq) {
  check_adam(param, exp_avg, exp_avg_sq);
  check_same_device({{"param", param}, {"exp_avg", exp_avg}, {"exp_avg_sq", exp_avg_sq}});
  const int64_t rows = param.size(0) * param.size(1);
  return {.param = mutable_floats(param),
          .grad = nullptr,
          .exp_avg = mutable_floats(exp_avg),
          .exp_avg_sq = mutable_floats(exp_avg_sq),
          .rows = rows,
          .row_size = param.size(2) * 3};
}

std::tuple<Tensor, Tensor> spherical_harmonics_backward_adam(
    int64_t degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor shN, Tensor radii, Tensor colors,
    Tensor v_colors, bool needs_camera, Tensor sh0_exp_avg, Tensor sh0_exp_avg_sq, Tensor shN_exp_avg,
    Tensor shN_exp_avg_sq, int64_t step, double sh0_lr, double shN_lr, double beta1, double beta2, double eps,
    bool bias_correction, bool higher_at_rest) {
  const HarmonicsArguments a(degree, means, viewmats, sh0, shN, radii);
  check_colors(a, colors, v_colors);
  ShAdam adam = {.first = trained_rows(sh0, sh0_exp_avg, sh0_exp_avg_sq),
                 .rest = trained_rows(shN, shN_exp_avg, shN_exp_avg_sq),
                 .first_step = adam_constants(step, sh0_lr, beta1, beta2, eps, bias_correction),
                 .rest_step = adam_constants(step, shN_lr, beta1, beta2, eps, bias_correction)};
  adam.higher_at_rest = higher_at_rest && rests(adam.rest_step);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  Tensor v_means = empty_like_device(a.means, {b, n, 3});
  Tensor v_viewmats = needs_camera ? empty_like_device(a.means, {b, c, 4, 4}) : absent(a.means);
  const ShGrads out = {mutable_floats(v_means), needs_camera ? mutable_floats(v_viewmats) : nullptr, nullptr,
                       nullptr};
  GSPLAT_CALL(spherical_harmonics_backward_adam, a.inputs, floats(colors), floats(v_colors), out, adam);
  return {v_means, v_viewmats};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "spherical_harmonics_backward_adam_(int degree, Tensor means, Tensor viewmats, Tensor(a!) sh0, "
      "Tensor(b!) shN, Tensor radii, Tensor colors, Tensor v_colors, bool needs_camera, "
      "Tensor(c!) sh0_exp_avg, Tensor(d!) sh0_exp_avg_sq, Tensor(e!) shN_exp_avg, Tensor(f!) shN_exp_avg_sq, "
      "int step, float sh0_lr, float shN_lr, float beta1, float beta2, float eps, bool bias_correction, "
      "bool higher_at_rest=False) "
      "-> (Tensor v_means, Tensor v_viewmats)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("spherical_harmonics_backward_adam_", TORCH_BOX(&spherical_harmonics_backward_adam));
}

}  // namespace gsplat::ops
