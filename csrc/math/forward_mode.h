// Forward mode of what the kernels evaluate: dual numbers from values and tangents that are read separately.
#pragma once

#include <cstring>

#include "math/dual.h"
#include "math/project.h"
#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

// For a struct of nothing but numbers F, such as Mat3<F>: Mat3<Dual<F>> from the values and the tangents.
template <class F, class DualStruct, class Struct>
GSPLAT_HD DualStruct join(const Struct& value, const Struct& tangent) {
  static_assert(sizeof(DualStruct) == 2 * sizeof(Struct));
  constexpr int kNumbers = sizeof(Struct) / sizeof(F);
  F values[kNumbers], tangents[kNumbers];
  memcpy(values, &value, sizeof(Struct));
  memcpy(tangents, &tangent, sizeof(Struct));
  Dual<F> joined[kNumbers];
  for (int i = 0; i < kNumbers; ++i) joined[i] = {values[i], tangents[i]};
  DualStruct result;
  memcpy(static_cast<void*>(&result), joined, sizeof(result));
  return result;
}

// A camera that moves; the size of its image stays.
template <class F, class Model>
GSPLAT_HD Camera<Dual<F>, Model> moving_camera(const Camera<F, Model>& value,
                                               const Camera<F, Model>& tangent) {
  auto camera = join<F, Camera<Dual<F>, Model>>(value, tangent);
  camera.width = constant(camera.width);
  camera.height = constant(camera.height);
  return camera;
}

// A camera that stands still.
template <class F, class Model>
GSPLAT_HD Camera<Dual<F>, Model> constant_camera(const Camera<F, Model>& value) {
  const Camera<F, Model> still = {};
  return join<F, Camera<Dual<F>, Model>>(value, still);
}

template <class F, template <class> class Shape>
GSPLAT_HD Gaussian<Dual<F>, Shape> moving_gaussian(const Gaussian<F, Shape>& value,
                                                   const Gaussian<F, Shape>& tangent) {
  return join<F, Gaussian<Dual<F>, Shape>>(value, tangent);
}

template <class F>
GSPLAT_HD ProjectOptions<Dual<F>> constants(const ProjectOptions<F>& o) {
  const F zero(0.0);
  return {{o.eps2d, zero}, {o.near_plane, zero}, {o.far_plane, zero}, {o.radius_clip, zero}, o.antialiased};
}

// The opacity of a moving splat at a pixel, of which the value is known; it does not change through the cap.
template <class Response, class F>
GSPLAT_HD Dual<F> moving_alpha(const F& alpha, Mask<F> uncapped, const SplatShape<Dual<F>>& shape,
                               const Dual<F>* extras, const Dual<F>& dx, const Dual<F>& dy) {
  const F t_power = response_at<Response>(shape, extras, dx, dy).power.tangent;
  return {alpha, zero_unless(uncapped, exp2_tangent(alpha, t_power))};
}

GSPLAT_MATH_END
