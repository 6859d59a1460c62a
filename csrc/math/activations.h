// From what is trained to what is rendered: standard deviations are stored as logarithms, opacities as logits
// (Kerbl et al. 2023, section 5.1).
//
// NaN stays NaN, so that a scene that went wrong is noticed.
#pragma once

#include "math/elementary.h"

GSPLAT_MATH_BEGIN

// exp(x); at least 1e-38, and infinite from e^87.3 on.
template <class T>
GSPLAT_HD T scale_of_logarithm(const T& x) {
  return select(x < T(87.3), exp(x), x * T(1e37));
}
template <class T>
GSPLAT_HD T scale_of_logarithm_vjp(const T& scale, const T& v) {
  return v * scale;
}

// 1 / (1 + exp(-x)); at least 1e-38.
template <class T>
GSPLAT_HD T opacity_of_logit(const T& x) {
  const T one(1.0);
  return select((x >= T(0.0)) | (x < T(0.0)), one / (one + exp(-x)), x);
}
template <class T>
GSPLAT_HD T opacity_of_logit_vjp(const T& opacity, const T& v) {
  return v * opacity * (T(1.0) - opacity);
}

GSPLAT_MATH_END
