// What the kernels of projection share on all backends: which formulas the arrays of a scene ask for, and
// their numbers.
#pragma once

#include "math/projection_methods.h"
#include "raster/camera_models.h"
#include "raster/cameras.h"

GSPLAT_MATH_BEGIN

// body.operator()<Model, Shape>() with the types of these cameras and Gaussians.
template <class Body>
void with_projection(const GaussianInputs& in, Body&& body) {
  with_camera(in.camera, [&]<class Model>(Model) {
    if (in.covars != nullptr) {
      body.template operator()<Model, GivenCovariance>();
    } else {
      body.template operator()<Model, ScaledRotation>();
    }
  });
}

template <class T>
GSPLAT_HD ProjectOptions<T> project_options(const RenderSettings& s) {
  return {T(s.eps2d), T(s.near_plane), T(s.far_plane), T(s.radius_clip), s.antialiased, T(s.margin)};
}

template <class T>
GSPLAT_HD UnscentedOptions<T> unscented_options(const RenderSettings& s) {
  const T spread(s.ut_alpha * sqrt(3.0f + s.ut_kappa));
  const T bend(sqrt(max(s.ut_beta - s.ut_alpha * s.ut_alpha, 0.0f)));
  return {spread,
          T(0.70710678118654752) / spread,
          bend,
          T(s.in_image_margin_factor),
          s.require_all_sigma_points_valid,
          s.bounds_only};
}

// A method of projection with the numbers of the settings.
template <class Method>
struct MethodOf;
template <class T>
struct MethodOf<Linearized<T>> {
  static GSPLAT_HD Linearized<T> of(const RenderSettings& s) { return {project_options<T>(s)}; }
};
template <class T, class Exposure>
struct MethodOf<Unscented<T, Exposure>> {
  static GSPLAT_HD Unscented<T, Exposure> of(const RenderSettings& s) {
    return {project_options<T>(s), unscented_options<T>(s)};
  }
};

// How an image is exposed.
template <class Exposure>
struct ExposureOf {
  static GSPLAT_HD Exposure load(const GaussianInputs&, int64_t) { return {}; }
};
template <class T>
struct ExposureOf<RollingShutter<T>> {
  static GSPLAT_HD RollingShutter<T> load(const GaussianInputs& in, int64_t image) {
    const float* m = in.motion + kMotionNumbers * image;
    return {{T(m[0]), T(m[1]), T(m[2])}, {T(m[3]), T(m[4]), T(m[5])}, {T(m[6]), T(m[7])}, T(m[8])};
  }
};

GSPLAT_MATH_END
