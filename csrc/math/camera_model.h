// What a camera model has to offer, and what follows from that for all of them.
//
// A model is a struct of static functions of its numbers k = (fx, fy, cx, cy, ...) and of points p in camera
// space, derived from CameraBase or PerspectiveBase:
//
//     kParams                    how many numbers; what is beyond kIntrinsics comes from the argument `lens`
//     pixel(k, p)                where the point appears
//     pixel_vjp(k, p, v, v_k)    returns the gradient of p from that of the pixel, and writes that of k
//
// First derivatives are all that is asked for. A splat's covariance needs the Jacobian of `pixel`, which is
// pixel_vjp of the two unit vectors, and the gradient through the Jacobian is forward mode over pixel_vjp.
// All else has a default below that a model hides where it differs.
#pragma once

#include "math/camera.h"
#include "math/dual.h"

// In front of loops that would take too many registers of a GPU if they were unrolled.
#if defined(__CUDA_ARCH__)
#define GSPLAT_ROLLED _Pragma("unroll 1")
#else
#define GSPLAT_ROLLED
#endif

GSPLAT_MATH_BEGIN

// Where a camera-space point appears, and the Jacobian of that map.
template <class T>
struct Projection {
  Vec2<T> pixel;
  Mat23<T> jacobian;
};

template <class Model>
struct CameraBase {
  // What Gaussians are sorted by and compared with the near and far plane by.
  template <class T>
  static GSPLAT_HD T depth(const Vec3<T>& p) {
    return p.z;
  }
  // Adds the gradient of the point.
  template <class T>
  static GSPLAT_HD void add_depth_vjp(const Vec3<T>&, const T& v_depth, Vec3<T>& v_p) {
    v_p.z = v_p.z + v_depth;
  }

  // Whether a point has a pixel at all, be it outside the image.
  template <class T>
  static GSPLAT_HD Mask<T> sees(const T*, const Vec3<T>& p) {
    return p.z > T(0.0);
  }

  // The way from one pixel to another, which is shorter across the borders of an image that begins again
  // there.
  template <class T>
  static GSPLAT_HD Vec2<T> shortest(const T*, const Vec2<T>& way) {
    return way;
  }
  // Adds what its gradient is by the model's numbers besides those of the pixels.
  template <class T>
  static GSPLAT_HD void add_shortest_vjp(const T*, const Vec2<T>&, const Vec2<T>&, T*) {}

  // Where the Jacobian of the pixel is taken for a Gaussian centred at p.
  template <class T>
  static GSPLAT_HD Vec3<T> linearization_point(const Camera<T, Model>&, const Vec3<T>& p) {
    return p;
  }
  template <class T>
  static GSPLAT_HD Vec3<T> linearization_point_vjp(const Camera<T, Model>&, const Vec3<T>&,
                                                   const Vec3<T>& v) {
    return v;
  }

  template <class T>
  static GSPLAT_HD Projection<T> linearize(const Camera<T, Model>& camera, const Vec3<T>& p) {
    const Vec3<T> q = Model::linearization_point(camera, p);
    const T one(1.0), zero(0.0);
    T unused[Model::kParams];
    return {Model::pixel(camera.params, p),
            {Model::pixel_vjp(camera.params, q, Vec2<T>{one, zero}, unused),
             Model::pixel_vjp(camera.params, q, Vec2<T>{zero, one}, unused)}};
  }

  // Gradients of the point and (added to v_params) of the model's numbers, from those of pixel and Jacobian
  // J. For given rows v_i, sum_i J_i v_i is the change of the pixels i as the point moves along v_i: second
  // derivatives being symmetric, its gradient is the change of pixel_vjp, of the i-th unit vector, along v_i.
  template <class T>
  static GSPLAT_HD Vec3<T> linearize_vjp(const Camera<T, Model>& camera, const Vec3<T>& p,
                                         const Projection<T>&, const Vec2<T>& v_pixel,
                                         const Mat23<T>& v_jacobian, T* v_params) {
    constexpr int kParams = Model::kParams;
    const Vec3<T> q = Model::linearization_point(camera, p);
    const Dual<T> one(1.0), zero(0.0);
    T v_k[kParams];
    Dual<T> k[kParams], v_row_k[2][kParams];
    for (int i = 0; i < kParams; ++i) k[i] = {camera.params[i], T(0.0)};
    const Vec3<T> v_p = Model::pixel_vjp(camera.params, p, v_pixel, v_k);
    const auto along = [&](const Vec3<T>& v, const Vec2<Dual<T>>& unit, Dual<T>* v_dual_k) {
      const Vec3<Dual<T>> moving = {{q.x, v.x}, {q.y, v.y}, {q.z, v.z}};
      const Vec3<Dual<T>> g = Model::pixel_vjp(k, moving, unit, v_dual_k);
      return Vec3<T>{g.x.tangent, g.y.tangent, g.z.tangent};
    };
    const Vec3<T> v_q = along(v_jacobian.row0, Vec2<Dual<T>>{one, zero}, v_row_k[0]) +
                        along(v_jacobian.row1, Vec2<Dual<T>>{zero, one}, v_row_k[1]);
    for (int i = 0; i < kParams; ++i) {
      v_params[i] = v_params[i] + (v_k[i] + v_row_k[0][i].tangent + v_row_k[1][i].tangent);
    }
    return v_p + Model::linearization_point_vjp(camera, p, v_q);
  }
};

// The slopes x/z and y/z of directions that leave the image by 15 % of its size. As constants: how they
// depend on the intrinsics only concerns splats outside the image.
template <class T>
struct SlopeLimits {
  T low_x, low_y, high_x, high_y;
};

template <class T, class Model>
GSPLAT_HD SlopeLimits<T> slope_limits(const Camera<T, Model>& camera) {
  const T &fx = camera.params[0], &fy = camera.params[1], &cx = camera.params[2], &cy = camera.params[3];
  const T margin_x = T(0.15) * camera.width, margin_y = T(0.15) * camera.height;
  return {constant(-(cx + margin_x) / fx), constant(-(cy + margin_y) / fy),
          constant((camera.width - cx + margin_x) / fx), constant((camera.height - cy + margin_y) / fy)};
}

// Of models whose pixels depend on the direction (x/z, y/z). The Jacobian is taken at a point whose direction
// is clamped to the limits above: far outside, the linearisation would make a splat that covers everything
// (3DGS section 4; gsplat's limits, which respect the principal point).
//
// A lens that bends rays a lot hides `limits`, which are those of slopes, not of where they appear.
template <class Model>
struct PerspectiveBase : CameraBase<Model> {
  template <class T>
  static GSPLAT_HD SlopeLimits<T> limits(const Camera<T, Model>& camera) {
    return slope_limits(camera);
  }

  template <class T>
  static GSPLAT_HD Vec3<T> linearization_point(const Camera<T, Model>& camera, const Vec3<T>& p) {
    const SlopeLimits<T> l = Model::limits(camera);
    const T x = p.x / p.z, y = p.y / p.z;
    return {min(max(x, l.low_x), l.high_x) * p.z, min(max(y, l.low_y), l.high_y) * p.z, p.z};
  }
  template <class T>
  static GSPLAT_HD Vec3<T> linearization_point_vjp(const Camera<T, Model>& camera, const Vec3<T>& p,
                                                   const Vec3<T>& v) {
    const SlopeLimits<T> l = Model::limits(camera);
    const T x = p.x / p.z, y = p.y / p.z, zero(0.0);
    const Mask<T> inside_x = (x >= l.low_x) & (x <= l.high_x), inside_y = (y >= l.low_y) & (y <= l.high_y);
    const T by_x = select(inside_x, zero, min(max(x, l.low_x), l.high_x) * v.x);
    const T by_y = select(inside_y, zero, min(max(y, l.low_y), l.high_y) * v.y);
    return {select(inside_x, v.x, zero), select(inside_y, v.y, zero), v.z + by_x + by_y};
  }
};

GSPLAT_MATH_END
