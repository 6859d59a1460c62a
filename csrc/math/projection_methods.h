// The ways from a Gaussian to a splat, alike to the kernels of projection: by linearization (math/project.h)
// and by sigma points (math/unscented.h).
#pragma once

#include "math/unscented.h"

GSPLAT_MATH_BEGIN

template <class T>
struct Linearized {
  using Exposure = StandingStill;
  ProjectOptions<T> options;

  template <class Model, template <class> class Shape>
  GSPLAT_HD ProjectedSplat<T> splat(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                    const T& level = T(-1.0), const Exposure& = {}) const {
    return project(camera, g, options, level);
  }
  template <class Model, template <class> class Shape>
  GSPLAT_HD Gaussian<T, Shape> vjp(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                   const Vec2<T>& v_mean, const Vec3<T>& v_root, const T& v_depth,
                                   const T& v_opacity, CameraGrad<T, Model>& v_camera) const {
    return project_vjp(camera, g, options, v_mean, v_root, v_depth, v_opacity, v_camera);
  }
};

template <class T, class Exposing = StandingStill>
struct Unscented {
  using Exposure = Exposing;
  ProjectOptions<T> options;
  UnscentedOptions<T> unscented;

  template <class Model, template <class> class Shape>
  GSPLAT_HD ProjectedSplat<T> splat(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                    const T& level = T(-1.0), const Exposure& exposure = {}) const {
    return project_unscented(camera, g, options, unscented, exposure, level);
  }
  template <class Model, template <class> class Shape>
  GSPLAT_HD Gaussian<T, Shape> vjp(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                   const Vec2<T>& v_mean, const Vec3<T>& v_root, const T& v_depth,
                                   const T& v_opacity, CameraGrad<T, Model>& v_camera) const {
    return project_unscented_vjp(camera, g, options, unscented, v_mean, v_root, v_depth, v_opacity, v_camera);
  }
};

GSPLAT_MATH_END
