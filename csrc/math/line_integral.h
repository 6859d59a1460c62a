// Projection of a Gaussian of a radiative field: a splat as opaque as the line integral through its centre is
// large.
//
// Along a ray x + t r through its centre x, |r| = 1, a Gaussian is one of t with the variance 1/k, k = r^T
// Sigma^-1 r, so the integral is density sqrt(2 pi / k) (Zha et al. 2024, R2-Gaussian, section 4.2, whose
// ratio of determinants this is). Around the ray it falls off as the linearized footprint does, without a
// filter.
#pragma once

#include "math/camera/ortho.h"
#include "math/camera/pinhole.h"
#include "math/projection_methods.h"

GSPLAT_MATH_BEGIN

// The orthographic camera of rays without an end: nothing lies behind it.
struct ParallelBeam : CameraBase<ParallelBeam> {
  static constexpr int kParams = Ortho::kParams;

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    return Ortho::pixel(k, p);
  }
  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    return Ortho::pixel_vjp(k, p, v, v_k);
  }
  template <class T>
  static GSPLAT_HD T depth(const Vec3<T>&) {
    return T(1.0);
  }
  template <class T>
  static GSPLAT_HD void add_depth_vjp(const Vec3<T>&, const T&, Vec3<T>&) {}
  template <class T>
  static GSPLAT_HD Mask<T> sees(const T*, const Vec3<T>&) {
    return T(1.0) > T(0.0);
  }
};

// The direction of the ray to p, and the gradient of p from that of the direction.
template <class T>
GSPLAT_HD Vec3<T> beam_ray(Pinhole, const Vec3<T>& p) {
  return (T(1.0) / sqrt(dot(p, p))) * p;
}
template <class T>
GSPLAT_HD Vec3<T> beam_ray_vjp(Pinhole, const Vec3<T>& p, const Vec3<T>& ray, const Vec3<T>& v) {
  return (T(1.0) / sqrt(dot(p, p))) * (v - dot(ray, v) * ray);
}
template <class T>
GSPLAT_HD Vec3<T> beam_ray(ParallelBeam, const Vec3<T>&) {
  return {T(0.0), T(0.0), T(1.0)};
}
template <class T>
GSPLAT_HD Vec3<T> beam_ray_vjp(ParallelBeam, const Vec3<T>&, const Vec3<T>&, const Vec3<T>&) {
  return {T(0.0), T(0.0), T(0.0)};
}

// sqrt(2 pi / k) of a Gaussian, and what it takes to differentiate it.
template <class T, class Model>
struct Chord {
  Vec3<T> point, ray, world_ray;
  Mat3<T> axes;
  T y[3];  // of the ray in the frame of the Gaussian, k = |y|^2
  T k, length;

  GSPLAT_HD Chord(const Camera<T, Model>& camera, const Gaussian<T, ScaledRotation>& g)
      : point(to_camera(camera, g.mean)),
        ray(beam_ray(Model(), point)),
        world_ray(multiply_transposed(camera.rotation, ray)),
        axes(rotation_matrix(g.shape.quaternion)) {
    const Vec3<T> along = multiply_transposed(axes, world_ray);
    y[0] = along.x / g.shape.scales.x;
    y[1] = along.y / g.shape.scales.y;
    y[2] = along.z / g.shape.scales.z;
    k = y[0] * y[0] + y[1] * y[1] + y[2] * y[2];
    length = sqrt(T(6.283185307179586) / k);
  }

  // Adds the gradients of the Gaussian and of the camera.
  GSPLAT_HD void add_vjp(const Camera<T, Model>& camera, const Gaussian<T, ScaledRotation>& g,
                         const T& v_length, Gaussian<T, ScaledRotation>& v,
                         CameraGrad<T, Model>& v_camera) const {
    const T v_k = T(-0.5) * length / k * v_length;
    const T s[3] = {g.shape.scales.x, g.shape.scales.y, g.shape.scales.z};
    const T w[3] = {world_ray.x, world_ray.y, world_ray.z};
    T v_along[3], v_s[3];
    Mat3<T> v_axes;
    for (int j = 0; j < 3; ++j) {
      v_along[j] = T(2.0) * y[j] * v_k / s[j];
      v_s[j] = -y[j] * v_along[j];
      for (int i = 0; i < 3; ++i) v_axes.m[i][j] = w[i] * v_along[j];
    }
    const Vec3<T> v_world = multiply(axes, Vec3<T>{v_along[0], v_along[1], v_along[2]});
    const Vec3<T> v_point = beam_ray_vjp(Model(), point, ray, multiply(camera.rotation, v_world));
    v.mean = v.mean + multiply_transposed(camera.rotation, v_point);
    v.shape.scales = v.shape.scales + Vec3<T>{v_s[0], v_s[1], v_s[2]};
    const Quaternion<T> q = rotation_matrix_vjp(g.shape.quaternion, v_axes);
    v.shape.quaternion = {v.shape.quaternion.w + q.w, v.shape.quaternion.x + q.x, v.shape.quaternion.y + q.y,
                          v.shape.quaternion.z + q.z};
    const T r[3] = {ray.x, ray.y, ray.z}, p[3] = {v_point.x, v_point.y, v_point.z};
    for (int i = 0; i < 3; ++i) {
      const Vec3<T> row = r[i] * v_world + p[i] * g.mean;
      v_camera.rotation.m[i][0] = v_camera.rotation.m[i][0] + row.x;
      v_camera.rotation.m[i][1] = v_camera.rotation.m[i][1] + row.y;
      v_camera.rotation.m[i][2] = v_camera.rotation.m[i][2] + row.z;
    }
    v_camera.translation = v_camera.translation + v_point;
  }
};

// The method of projection (math/projection_methods.h); the opacity of a Gaussian is its density.
template <class T>
struct LineIntegral {
  using Exposure = StandingStill;
  ProjectOptions<T> options;

  template <class Model>
  GSPLAT_HD ProjectedSplat<T> splat(const Camera<T, Model>& camera, const Gaussian<T, ScaledRotation>& g,
                                    const T& level = T(-1.0), const Exposure& = {}) const {
    ProjectedSplat<T> s =
        project(camera, with_opacity(g, g.opacity * Chord<T, Model>(camera, g).length), options, level);
    s.depth = T(1.0);  // sums have no order: lists keep that of the Gaussians
    return s;
  }
  template <class Model>
  GSPLAT_HD Gaussian<T, ScaledRotation> vjp(const Camera<T, Model>& camera,
                                            const Gaussian<T, ScaledRotation>& g, const Vec2<T>& v_mean,
                                            const Vec3<T>& v_root, const T&, const T& v_opacity,
                                            CameraGrad<T, Model>& v_camera) const {
    const Chord<T, Model> chord(camera, g);
    Gaussian<T, ScaledRotation> v = project_vjp(camera, with_opacity(g, g.opacity * chord.length), options,
                                                v_mean, v_root, T(0.0), v_opacity, v_camera);
    const T v_integral = v.opacity;
    v.opacity = v_integral * chord.length;
    chord.add_vjp(camera, g, v_integral * g.opacity, v, v_camera);
    return v;
  }

private:
  static GSPLAT_HD Gaussian<T, ScaledRotation> with_opacity(const Gaussian<T, ScaledRotation>& g,
                                                            const T& opacity) {
    return {g.mean, g.shape, opacity};
  }
};

GSPLAT_MATH_END
