// Where along its ray a pixel sees most of a Gaussian: what the order of each pixel's own goes by
// (StopThePop, Radl et al. 2024).
//
// In the Gaussian's canonical frame (RayInputs of raster/types.h) the ray is o + t d, and the Gaussian is
// largest where the ray comes nearest to the origin: at t = -(o . d)/(d . d), in units of the ray's direction
// in the world, as all depths along the same ray are.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// `frame` are the 12 numbers of a splat, `direction` and `origin` the numbers of a ray, the latter only if
// rays begin elsewhere than at the camera's centre. What is largest behind the eye is at 0, and so is what
// has no such place: pixels without a ray leave all splats in the order of their list.
template <bool kMoved, class T>
GSPLAT_HD_INLINE T depth_along_ray(const T* frame, const T* direction, const T* origin) {
  T along = T(0.0), square = T(0.0);
  for (int i = 0; i < 3; ++i) {
    const T* row = frame + 3 * i;
    const T d = fma(row[0], direction[0], fma(row[1], direction[1], row[2] * direction[2]));
    T o = frame[9 + i];
    if constexpr (kMoved) o = fma(row[0], origin[0], fma(row[1], origin[1], fma(row[2], origin[2], o)));
    along = fma(-o, d, along);
    square = fma(d, d, square);
  }
  const T depth = along / square;
  return select(depth < T(1e30), max(depth, T(0.0)), T(0.0));
}

GSPLAT_MATH_END
