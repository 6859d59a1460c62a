// One Gaussian seen by one camera: from its parameters to the splat that compositing blends, and back.
//
// The shape of the Gaussian is a policy (extension points E0 and E2): anything that offers covariance(A), the
// covariance of the Gaussian mapped by the 2x3 matrix A, and root(), a matrix M with the covariance M M^T,
// each with its vjp. So is the camera's model (E1), see math/camera_model.h.
#pragma once

#include "math/camera_model.h"
#include "math/ellipse.h"
#include "math/footprint.h"
#include "math/quaternion.h"

GSPLAT_MATH_BEGIN

// Sigma = M M^T with M = rotation(quaternion) diag(scales).
template <class T>
struct ScaledRotation {
  Quaternion<T> quaternion;
  Vec3<T> scales;

  GSPLAT_HD Covariance2<T> covariance(const Mat23<T>& a) const {
    return covariance_of_factor(factor(a, rotation_matrix(quaternion)));
  }

  // Returns v_A and writes the gradient of the shape.
  GSPLAT_HD Mat23<T> covariance_vjp(const Mat23<T>& a, const Covariance2<T>& v,
                                    ScaledRotation& v_shape) const {
    const Mat3<T> r = rotation_matrix(quaternion);
    const Mat23<T> v_b = covariance_of_factor_vjp(factor(a, r), v);
    const T s[3] = {scales.x, scales.y, scales.z};
    const T a0[3] = {a.row0.x, a.row0.y, a.row0.z}, a1[3] = {a.row1.x, a.row1.y, a.row1.z};
    const T b0[3] = {v_b.row0.x, v_b.row0.y, v_b.row0.z}, b1[3] = {v_b.row1.x, v_b.row1.y, v_b.row1.z};
    T v_s[3];
    Mat3<T> v_r;
    for (int k = 0; k < 3; ++k) {
      v_s[k] = T(0.0);
      for (int i = 0; i < 3; ++i) {
        const T v_m = a0[i] * b0[k] + a1[i] * b1[k];
        v_s[k] = fma(r.m[i][k], v_m, v_s[k]);
        v_r.m[i][k] = v_m * s[k];
      }
    }
    v_shape.scales = {v_s[0], v_s[1], v_s[2]};
    v_shape.quaternion = rotation_matrix_vjp(quaternion, v_r);
    // v_A = v_B M^T.
    const Vec3<T> m0 = {v_b.row0.x * scales.x, v_b.row0.y * scales.y, v_b.row0.z * scales.z};
    const Vec3<T> m1 = {v_b.row1.x * scales.x, v_b.row1.y * scales.y, v_b.row1.z * scales.z};
    return {multiply(r, m0), multiply(r, m1)};
  }

  GSPLAT_HD Mat3<T> root() const {
    Mat3<T> m = rotation_matrix(quaternion);
    for (int i = 0; i < 3; ++i) {
      m.m[i][0] = m.m[i][0] * scales.x;
      m.m[i][1] = m.m[i][1] * scales.y;
      m.m[i][2] = m.m[i][2] * scales.z;
    }
    return m;
  }

  GSPLAT_HD ScaledRotation root_vjp(const Mat3<T>& v) const {
    const Mat3<T> r = rotation_matrix(quaternion);
    const T s[3] = {scales.x, scales.y, scales.z};
    Mat3<T> v_r;
    T v_s[3];
    for (int j = 0; j < 3; ++j) {
      v_s[j] = T(0.0);
      for (int i = 0; i < 3; ++i) {
        v_s[j] = fma(r.m[i][j], v.m[i][j], v_s[j]);
        v_r.m[i][j] = v.m[i][j] * s[j];
      }
    }
    return {rotation_matrix_vjp(quaternion, v_r), {v_s[0], v_s[1], v_s[2]}};
  }

private:
  // A M
  GSPLAT_HD Mat23<T> factor(const Mat23<T>& a, const Mat3<T>& r) const {
    const Mat23<T> ar = multiply(a, r);
    return {{ar.row0.x * scales.x, ar.row0.y * scales.y, ar.row0.z * scales.z},
            {ar.row1.x * scales.x, ar.row1.y * scales.y, ar.row1.z * scales.z}};
  }
};

// A covariance given as such.
template <class T>
struct GivenCovariance {
  Sym3<T> sigma;

  GSPLAT_HD Covariance2<T> covariance(const Mat23<T>& a) const { return covariance_of_sigma(a, sigma); }

  GSPLAT_HD Mat23<T> covariance_vjp(const Mat23<T>& a, const Covariance2<T>& v,
                                    GivenCovariance& v_shape) const {
    return covariance_of_sigma_vjp(a, sigma, v, v_shape.sigma);
  }

  // Cholesky's lower triangle. A pivot that is lost in rounding counts as zero, and so does its column.
  GSPLAT_HD Mat3<T> root() const {
    const Sym3<T>& s = sigma;
    const T zero(0.0);
    const T a = pivot(s.xx, s.xx), inverse_a = inverse(a), b = s.xy * inverse_a, c = s.xz * inverse_a;
    const T d = pivot(fma(-b, b, s.yy), s.yy), e = fma(-c, b, s.yz) * inverse(d);
    const T f = pivot(fma(-e, e, fma(-c, c, s.zz)), s.zz);
    return {{{a, zero, zero}, {b, d, zero}, {c, e, f}}};
  }

  GSPLAT_HD GivenCovariance root_vjp(const Mat3<T>& v) const {
    const Mat3<T> l = root();
    const T half(0.5);
    const T &b = l.m[1][0], &c = l.m[2][0], &e = l.m[2][1];
    const T by_a = inverse(l.m[0][0]), by_d = inverse(l.m[1][1]), by_f = inverse(l.m[2][2]);
    const T v_zz = half * v.m[2][2] * by_f, v_e = fma(T(-2.0) * v_zz, e, v.m[2][1]), v_yz = v_e * by_d;
    const T v_yy = half * by_d * fma(-v_yz, e, v.m[1][1]);
    const T v_c = v.m[2][0] - T(2.0) * v_zz * c - v_yz * b, v_xz = v_c * by_a;
    const T v_b = v.m[1][0] - v_yz * c - T(2.0) * v_yy * b, v_xy = v_b * by_a;
    const T v_xx = half * by_a * (v.m[0][0] - v_xz * c - v_xy * b);
    return {{v_xx, v_xy, v_xz, v_yy, v_yz, v_zz}};
  }

private:
  static GSPLAT_HD T pivot(const T& rest, const T& whole) {
    const Mask<T> lost = rest <= T(1e-6) * whole;
    return select(lost, T(0.0), sqrt(select(lost, T(1.0), rest)));
  }
  static GSPLAT_HD T inverse(const T& pivot) {
    const Mask<T> some = pivot > T(0.0);
    return select(some, T(1.0) / select(some, pivot, T(1.0)), T(0.0));
  }
};

template <class T, template <class> class Shape>
struct Gaussian {
  Vec3<T> mean;
  Shape<T> shape;
  T opacity;
};

template <class T>
struct ProjectOptions {
  T eps2d, near_plane, far_plane, radius_clip;
  bool antialiased;
  T margin = T(0.0);  // pixels around the ellipse of a splat in which it is seen, too
};

template <class T>
struct ProjectedSplat {
  Vec2<T> mean;
  T l11, l21, l22;  // root of the conic, see footprint.h
  T depth;
  T opacity;             // after compensation
  T radius_x, radius_y;  // half the size of the box in which alpha >= 1/255, rounded up to pixels
  Mask<T> visible;
};

// alpha >= 1/255 inside the ellipse sigma <= level / 2. Of another response than a Gaussian, its level
// (response_level() of math/ellipse.h) is given, else it is negative.
template <class T>
GSPLAT_HD T splat_level(const T& opacity, const T& given) {
  return select(given >= T(0.0), given, gaussian_level(opacity));
}

// Fills in what follows for a splat whose mean, depth and opacity are known, and whether it is `seen` at all.
template <class T, class Model>
GSPLAT_HD void finish_splat(const Camera<T, Model>& camera, const Footprint<T>& f,
                            const ProjectOptions<T>& options, const T& level, const Mask<T>& seen,
                            ProjectedSplat<T>& s) {
  s.l11 = f.l11;
  s.l21 = f.l21;
  s.l22 = f.l22;

  // The ellipse's bounding box has half sizes sqrt(level S).
  const T least = T(1.0 / 255.0);
  const T largest = T(1073741824.0);
  s.radius_x = min(-floor(-(sqrt(max(level, T(0.0)) * f.covariance.xx) + options.margin)), largest);
  s.radius_y = min(-floor(-(sqrt(max(level, T(0.0)) * f.covariance.yy) + options.margin)), largest);

  // Every comparison is false for NaN and one of them for infinities: non-finite Gaussians are culled here.
  const T huge = T(1e30);
  const T zero = T(0.0);
  s.visible = (s.depth >= options.near_plane) & (s.depth <= options.far_plane) & seen & (s.opacity >= least) &
              (s.opacity < huge) & (f.det > zero) & (f.det < huge) & (f.covariance.xx < huge) &
              (f.covariance.yy < huge) &
              ((s.radius_x > options.radius_clip) | (s.radius_y > options.radius_clip)) &
              (s.mean.x + s.radius_x > zero) & (s.mean.x - s.radius_x < camera.width) &
              (s.mean.y + s.radius_y > zero) & (s.mean.y - s.radius_y < camera.height);
}

template <class T, class Model, template <class> class Shape>
GSPLAT_HD ProjectedSplat<T> project(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                    const ProjectOptions<T>& options, const T& given_level = T(-1.0)) {
  const Vec3<T> p = to_camera(camera, g.mean);
  const auto projection = Model::linearize(camera, p);
  const Covariance2<T> covariance = g.shape.covariance(multiply(projection.jacobian, camera.rotation));
  const Footprint<T> f = screen_filter(covariance, options.eps2d);
  ProjectedSplat<T> s;
  s.mean = projection.pixel;
  s.depth = Model::depth(p);
  s.opacity = options.antialiased ? g.opacity * f.compensation : g.opacity;
  finish_splat(camera, f, options, splat_level(s.opacity, given_level), Model::sees(camera.params, p), s);
  return s;
}

// Gradients of the Gaussian from those of its splat (radii and visibility have none), and, added to v_camera,
// those of the camera.
template <class T, class Model, template <class> class Shape>
GSPLAT_HD Gaussian<T, Shape> project_vjp(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                         const ProjectOptions<T>& options, const Vec2<T>& v_mean,
                                         const Vec3<T>& v_root, const T& v_depth, const T& v_opacity,
                                         CameraGrad<T, Model>& v_camera) {
  const Vec3<T> p = to_camera(camera, g.mean);
  const auto projection = Model::linearize(camera, p);
  const Mat23<T> a = multiply(projection.jacobian, camera.rotation);
  const Covariance2<T> covariance = g.shape.covariance(a);
  const Footprint<T> f = screen_filter(covariance, options.eps2d);

  Gaussian<T, Shape> v;
  v.opacity = options.antialiased ? v_opacity * f.compensation : v_opacity;
  const T v_compensation = options.antialiased ? v_opacity * g.opacity : T(0.0);
  const Covariance2<T> v_covariance = screen_filter_vjp(covariance, f, options.eps2d, v_root, v_compensation);
  const Mat23<T> v_a = g.shape.covariance_vjp(a, v_covariance, v.shape);
  const Mat23<T> v_jacobian = multiply_by_transposed(v_a, camera.rotation);
  Vec3<T> v_p = Model::linearize_vjp(camera, p, projection, v_mean, v_jacobian, v_camera.params);
  Model::add_depth_vjp(p, v_depth, v_p);
  v.mean = multiply_transposed(camera.rotation, v_p);

  // rotation appears in p = R m + t and in A = J R.
  const Vec3<T>&j0 = projection.jacobian.row0, &j1 = projection.jacobian.row1;
  const Vec3<T> r0 = v_p.x * g.mean + j0.x * v_a.row0 + j1.x * v_a.row1;
  const Vec3<T> r1 = v_p.y * g.mean + j0.y * v_a.row0 + j1.y * v_a.row1;
  const Vec3<T> r2 = v_p.z * g.mean + j0.z * v_a.row0 + j1.z * v_a.row1;
  T(*r)[3] = v_camera.rotation.m;
  const Vec3<T> rows[3] = {r0, r1, r2};
  for (int i = 0; i < 3; ++i) {
    r[i][0] = r[i][0] + rows[i].x;
    r[i][1] = r[i][1] + rows[i].y;
    r[i][2] = r[i][2] + rows[i].z;
  }
  v_camera.translation = v_camera.translation + v_p;
  return v;
}

GSPLAT_MATH_END
