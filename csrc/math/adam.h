// One step of Adam (Kingma and Ba 2015) for one parameter.
#pragma once

#include "math/scalar.h"

namespace gsplat {

// The constants of one step: param -= step_size * exp_avg / (sqrt(exp_avg_sq) * root_scale + eps).
struct AdamStep {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;   // learning rate / (1 - beta1^t)
  float root_scale;  // 1 / sqrt(1 - beta2^t)
  float eps;
};

}  // namespace gsplat

GSPLAT_MATH_BEGIN

struct AdamState {
  float param, exp_avg, exp_avg_sq;
};

GSPLAT_HD AdamState adam_update(const AdamState& state, float grad, const AdamStep& step) {
  // The first moment of a Gaussian that nobody sees shrinks by a tenth with every step and would soon be a
  // denormal number, with which processors are a hundred times slower. Far below any effect it becomes zero.
  constexpr float kVanished = 1e-30f;
  float first = step.beta1 * state.exp_avg + step.one_minus_beta1 * grad;
  first = abs(first) < kVanished ? 0.0f : first;
  const float second = step.beta2 * state.exp_avg_sq + step.one_minus_beta2 * grad * grad;
  const float root = sqrt(second) * step.root_scale + step.eps;
  return {state.param - step.step_size * (first / root), first, second};
}

GSPLAT_MATH_END
