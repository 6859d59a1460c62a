// One Gaussian seen by one camera without linearizing it (3D Gaussian Unscented Transform, Wu et al. 2025):
// the camera maps the mean and two points on each axis of the Gaussian, sigma points, to pixels x_i, whose
// weighted mean and covariance are those of the splat (Julier and Uhlmann, "Unscented Filtering and Nonlinear
// Estimation", 2004; with alpha, beta and kappa of Wan and van der Merwe, 2000). With spread = alpha
// sqrt(3 + kappa), the points m +- spread s_j Q_j have the weights w = 1 / (2 spread^2), and of the
// differences d_i = x_i - x_0 from the mean's pixel
//
//     mean = x_0 + e,   e = w sum d_i,   covariance = w sum d_i d_i^T + (beta - alpha^2) e e^T,
//
// which is what the usual weights sum up to, the negative one of the centre included, but positive definite
// for alpha^2 <= beta, and without their cancellation. So the covariance is B B^T with seven columns.
//
// Splats of a response along rays are only to be found: the footprint bounds them (`bounds_only`), and has no
// derivative.
#pragma once

#include "math/project.h"

GSPLAT_MATH_BEGIN

template <class T>
struct UnscentedOptions {
  T spread, root_weight, root_bend;  // sqrt(w), sqrt(beta - alpha^2)
  T image_margin;                    // image sizes outside the image in which a sigma point counts as in it
  bool all_points;                   // whether all sigma points have to be in it, or just one
  bool bounds_only;
};

// A pixel that a point appears at, if it does.
template <class T>
struct Sighting {
  Vec2<T> pixel;
  Mask<T> seen;
};

// How points get to pixels while the camera stands still. `at` takes them in the camera's space.
struct StandingStill {
  template <class T, class Model>
  GSPLAT_HD Sighting<T> at(const Camera<T, Model>& camera, const Vec3<T>& p) const {
    return {Model::pixel(camera.params, p), Model::sees(camera.params, p)};
  }
};

// The same while it turns and moves during an exposure line by line: `camera` is that of the middle of the
// exposure, and the line of a pixel x is exposed at the time along . (x - 1/2) + begin, from 0 to 1.
template <class T>
struct RollingShutter {
  Vec3<T> turn, way;  // the rotation vector and the change of translation over the whole exposure
  Vec2<T> along;
  T begin;

  // A point's pixel and its time depend on each other: from the pixel at the start, or where there is none at
  // the end, in kRounds rounds.
  static constexpr int kRounds = 5;

  template <class Model>
  GSPLAT_HD Sighting<T> at(const Camera<T, Model>& camera, const Vec3<T>& p) const {
    const T zero(0.0), one(1.0);
    const Sighting<T> first = at_time(camera, p, zero), last = at_time(camera, p, one);
    Sighting<T> s;
    s.pixel = {select(first.seen, first.pixel.x, last.pixel.x),
               select(first.seen, first.pixel.y, last.pixel.y)};
    s.seen = first.seen | last.seen;
    GSPLAT_ROLLED
    for (int i = 0; i < kRounds; ++i) {
      const T time = fma(along.x, s.pixel.x - T(0.5), fma(along.y, s.pixel.y - T(0.5), begin));
      const Sighting<T> next = at_time(camera, p, min(max(time, zero), one));
      s.pixel = next.pixel;
      s.seen = s.seen & next.seen;
    }
    return s;
  }

private:
  template <class Model>
  GSPLAT_HD Sighting<T> at_time(const Camera<T, Model>& camera, const Vec3<T>& p, const T& time) const {
    const T t = time - T(0.5);
    return StandingStill().at(camera, p + turning(t * turn, p - camera.translation) + t * way);
  }

  // What a rotation of at most a quarter turn adds to v (Rodrigues' formula): series of sin(a)/a and of
  // (1 - cos(a))/a^2. Nothing at all where there is none.
  static GSPLAT_HD Vec3<T> turning(const Vec3<T>& by, const Vec3<T>& v) {
    const T q = dot(by, by);
    T sine(-1.0 / 39916800), cosine(-1.0 / 479001600);
    constexpr double of_sine[] = {1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1.0};
    constexpr double of_cosine[] = {1.0 / 3628800, -1.0 / 40320, 1.0 / 720, -1.0 / 24, 0.5};
    for (int i = 0; i < 5; ++i) {
      sine = fma(sine, q, T(of_sine[i]));
      cosine = fma(cosine, q, T(of_cosine[i]));
    }
    const Vec3<T> aside = cross(by, v);
    return sine * aside + cosine * cross(by, aside);
  }
};

// Covariance and determinant of B B^T with columns (x_i, y_i): the determinant is |y|^2 times the square of
// what is left of x beside y, which does not cancel.
template <int kColumns, class T>
struct ColumnCovariance {
  Covariance2<T> covariance;
  T left[kColumns];

  GSPLAT_HD ColumnCovariance(const T* x, const T* y) {
    T xx(0.0), xy(0.0), yy(0.0), square(0.0);
    for (int i = 0; i < kColumns; ++i) {
      xx = fma(x[i], x[i], xx);
      xy = fma(x[i], y[i], xy);
      yy = fma(y[i], y[i], yy);
    }
    const T along = xy / max(yy, T(1e-36));
    for (int i = 0; i < kColumns; ++i) {
      left[i] = fma(-along, y[i], x[i]);
      square = fma(left[i], left[i], square);
    }
    covariance = {{xx, xy, yy}, yy * square};
  }

  // Writes the gradients of the columns. That of the determinant is 2 (yy x - xy y, xx y - xy x), of which
  // the first is 2 yy left, and the second follows from it.
  GSPLAT_HD void vjp(const T* x, const T* y, const Covariance2<T>& v, T* v_x, T* v_y) const {
    const Sym2<T>& s = covariance.s;
    const T beside = covariance.det / max(s.yy, T(1e-36)), twice = T(2.0) * v.det;
    for (int i = 0; i < kColumns; ++i) {
      v_x[i] = T(2.0) * v.s.xx * x[i] + v.s.xy * y[i] + twice * s.yy * left[i];
      v_y[i] = v.s.xy * x[i] + T(2.0) * v.s.yy * y[i] + twice * (beside * y[i] - s.xy * left[i]);
    }
  }
};

// Where the sigma points appear. A point that the camera does not see counts as opposite to the one on the
// other side of the mean, or, if that is not seen either, as the mean.
template <class T>
struct SigmaPoints {
  static constexpr int kAxes = 3;

  Vec3<T> axes[kAxes];  // in the camera's space, as long as the points are far from the mean
  Vec2<T> centre;
  Mask<T> seen[2 * kAxes], centre_seen, all_seen;
  Mask<T> counts;           // whether enough of them are in the image
  Vec2<T> away[2 * kAxes];  // from the centre: both ends of the first axis, of the second, of the third

  template <class Model, template <class> class Shape, class Exposure>
  GSPLAT_HD SigmaPoints(const Camera<T, Model>& camera, const Vec3<T>& p, const Shape<T>& shape,
                        const Exposure& exposure, const UnscentedOptions<T>& options) {
    const Mat3<T> root = shape.root();
    const Sighting<T> first = exposure.at(camera, p);
    centre = first.pixel;
    centre_seen = all_seen = first.seen;
    counts = in_image(camera, first, options);
    for (int j = 0; j < kAxes; ++j) {
      axes[j] = options.spread * multiply(camera.rotation, Vec3<T>{root.m[0][j], root.m[1][j], root.m[2][j]});
      const Sighting<T> plus = exposure.at(camera, p + axes[j]), minus = exposure.at(camera, p - axes[j]);
      const Vec2<T> up = Model::shortest(camera.params, difference(plus.pixel, centre));
      const Vec2<T> down = Model::shortest(camera.params, difference(minus.pixel, centre));
      const T zero(0.0);
      away[2 * j] = {select(plus.seen, up.x, select(minus.seen, -down.x, zero)),
                     select(plus.seen, up.y, select(minus.seen, -down.y, zero))};
      away[2 * j + 1] = {select(minus.seen, down.x, select(plus.seen, -up.x, zero)),
                         select(minus.seen, down.y, select(plus.seen, -up.y, zero))};
      seen[2 * j] = plus.seen;
      seen[2 * j + 1] = minus.seen;
      all_seen = all_seen & plus.seen & minus.seen;
      const Mask<T> plus_in = in_image(camera, plus, options), minus_in = in_image(camera, minus, options);
      counts = options.all_points ? counts & plus_in & minus_in : counts | plus_in | minus_in;
    }
  }

  // Gradients of the point and, added to v_root (of the shape) and to v_camera, of what the axes are made of,
  // from those of the centre and of `away`.
  template <class Model>
  GSPLAT_HD Vec3<T> vjp(const Camera<T, Model>& camera, const Vec3<T>& p, const Mat3<T>& root,
                        const UnscentedOptions<T>& options, const Vec2<T>& v_centre, const Vec2<T>* v_away,
                        Mat3<T>& v_root, CameraGrad<T, Model>& v_camera) const {
    const T zero(0.0);
    Vec2<T> v_first = v_centre;
    Vec3<T> v_p = {zero, zero, zero};
    for (int j = 0; j < kAxes; ++j) {
      const Vec2<T>&v_up = v_away[2 * j], &v_down = v_away[2 * j + 1];
      Vec3<T> v_axis = {zero, zero, zero};
      GSPLAT_ROLLED
      for (int end = 0; end < 2; ++end) {
        const Mask<T>&up = seen[2 * j], &down = seen[2 * j + 1];
        const Mask<T>&here = end == 0 ? up : down, &there = end == 0 ? down : up;
        const Vec2<T>&own = end == 0 ? v_up : v_down, &other = end == 0 ? v_down : v_up;
        const Vec2<T> v = {select(here, own.x - select(there, zero, other.x), zero),
                           select(here, own.y - select(there, zero, other.y), zero)};
        v_first = difference(v_first, v);
        // What is not seen may have no derivative.
        const T sign = select(here, T(end == 0 ? 1.0 : -1.0), zero);
        const Vec3<T> at = p + sign * axes[j];
        const Vec3<T> v_at = pixel_vjp(camera, at, v, v_camera);
        Model::add_shortest_vjp(camera.params, difference(Model::pixel(camera.params, at), centre), v,
                                v_camera.params);
        v_p = v_p + v_at;
        v_axis = v_axis + sign * v_at;
      }
      // axis = spread R root_j
      const Vec3<T> v_column = options.spread * v_axis;
      const Vec3<T> back = multiply_transposed(camera.rotation, v_column);
      const T v_c[3] = {v_column.x, v_column.y, v_column.z}, b[3] = {back.x, back.y, back.z};
      for (int i = 0; i < 3; ++i) {
        v_root.m[i][j] = b[i];
        for (int k = 0; k < 3; ++k) {
          v_camera.rotation.m[i][k] = fma(v_c[i], root.m[k][j], v_camera.rotation.m[i][k]);
        }
      }
    }
    return v_p + pixel_vjp(camera, p, v_first, v_camera);
  }

private:
  static GSPLAT_HD Vec2<T> difference(const Vec2<T>& a, const Vec2<T>& b) { return {a.x - b.x, a.y - b.y}; }

  template <class Model>
  static GSPLAT_HD Mask<T> in_image(const Camera<T, Model>& camera, const Sighting<T>& s,
                                    const UnscentedOptions<T>& options) {
    const T x = options.image_margin * camera.width, y = options.image_margin * camera.height;
    return s.seen & (s.pixel.x >= -x) & (s.pixel.x <= camera.width + x) & (s.pixel.y >= -y) &
           (s.pixel.y <= camera.height + y);
  }

  template <class Model>
  static GSPLAT_HD Vec3<T> pixel_vjp(const Camera<T, Model>& camera, const Vec3<T>& p, const Vec2<T>& v,
                                     CameraGrad<T, Model>& v_camera) {
    T v_k[Model::kParams];
    const Vec3<T> v_p = Model::pixel_vjp(camera.params, p, v, v_k);
    for (int i = 0; i < Model::kParams; ++i) v_camera.params[i] = v_camera.params[i] + v_k[i];
    return v_p;
  }
};

// The covariance of the sigma points' pixels, and their mean.
template <class T>
struct SigmaMoments {
  static constexpr int kPoints = 2 * SigmaPoints<T>::kAxes, kColumns = kPoints + 1;

  Vec2<T> bend;  // how far the mean is from the centre
  T x[kColumns], y[kColumns];

  GSPLAT_HD SigmaMoments(const SigmaPoints<T>& points, const UnscentedOptions<T>& options) {
    const T weight = options.root_weight * options.root_weight;
    T sum_x(0.0), sum_y(0.0);
    for (int i = 0; i < kPoints; ++i) {
      sum_x = sum_x + points.away[i].x;
      sum_y = sum_y + points.away[i].y;
      x[i] = options.root_weight * points.away[i].x;
      y[i] = options.root_weight * points.away[i].y;
    }
    bend = {weight * sum_x, weight * sum_y};
    x[kPoints] = options.root_bend * bend.x;
    y[kPoints] = options.root_bend * bend.y;
  }

  // The gradients of `away` from those of the mean and of the columns.
  static GSPLAT_HD void vjp(const UnscentedOptions<T>& options, const Vec2<T>& v_mean, const T* v_x,
                            const T* v_y, Vec2<T>* v_away) {
    const T weight = options.root_weight * options.root_weight;
    const T common_x = weight * fma(options.root_bend, v_x[kPoints], v_mean.x);
    const T common_y = weight * fma(options.root_bend, v_y[kPoints], v_mean.y);
    for (int i = 0; i < kPoints; ++i) {
      v_away[i] = {fma(options.root_weight, v_x[i], common_x), fma(options.root_weight, v_y[i], common_y)};
    }
  }
};

// project() of math/project.h by sigma points. Where the splat only has to be bounded and the camera does not
// see all of them, it covers the image.
template <class T, class Model, template <class> class Shape, class Exposure>
GSPLAT_HD ProjectedSplat<T> project_unscented(const Camera<T, Model>& camera, const Gaussian<T, Shape>& g,
                                              const ProjectOptions<T>& options,
                                              const UnscentedOptions<T>& unscented, const Exposure& exposure,
                                              const T& given_level = T(-1.0)) {
  const Vec3<T> p = to_camera(camera, g.mean);
  const SigmaPoints<T> points(camera, p, g.shape, exposure, unscented);
  const SigmaMoments<T> moments(points, unscented);
  const ColumnCovariance<SigmaMoments<T>::kColumns, T> columns(moments.x, moments.y);
  Footprint<T> f = screen_filter(columns.covariance, options.eps2d);
  ProjectedSplat<T> s;
  s.mean = {points.centre.x + moments.bend.x, points.centre.y + moments.bend.y};
  s.depth = Model::depth(p);
  const bool compensated = options.antialiased && !unscented.bounds_only;
  s.opacity = compensated ? g.opacity * f.compensation : g.opacity;
  Mask<T> seen = points.centre_seen;
  const T level = splat_level(s.opacity, given_level);
  if (unscented.bounds_only) {
    const T half(0.5), zero(0.0), all = camera.width + camera.height;
    const T size = dot(points.axes[0], points.axes[0]) + dot(points.axes[1], points.axes[1]) +
                   dot(points.axes[2], points.axes[2]);
    seen = size < T(1e30);  // false for NaN
    s.mean = {constant(select(points.all_seen, s.mean.x, half * camera.width)),
              constant(select(points.all_seen, s.mean.y, half * camera.height))};
    const T variance = all * all / max(level, T(1e-6));
    f.covariance = {select(points.all_seen, f.covariance.xx, variance),
                    select(points.all_seen, f.covariance.xy, zero),
                    select(points.all_seen, f.covariance.yy, variance)};
    f.det = select(points.all_seen, f.det, variance * variance);
    const T inverse = T(1.0) / sqrt(variance);
    f.l11 = constant(select(points.all_seen, f.l11, inverse));
    f.l21 = constant(select(points.all_seen, f.l21, zero));
    f.l22 = constant(select(points.all_seen, f.l22, inverse));
  }
  finish_splat(camera, f, options, level, seen & points.counts, s);
  return s;
}

// Gradients as those of project_vjp().
template <class T, class Model, template <class> class Shape>
GSPLAT_HD Gaussian<T, Shape> project_unscented_vjp(
    const Camera<T, Model>& camera, const Gaussian<T, Shape>& g, const ProjectOptions<T>& options,
    const UnscentedOptions<T>& unscented, const Vec2<T>& v_mean, const Vec3<T>& v_root, const T& v_depth,
    const T& v_opacity, CameraGrad<T, Model>& v_camera) {
  constexpr int kPoints = SigmaMoments<T>::kPoints, kColumns = SigmaMoments<T>::kColumns;
  const Vec3<T> p = to_camera(camera, g.mean);
  Gaussian<T, Shape> v = {};
  v.opacity = v_opacity;
  Vec3<T> v_p = {T(0.0), T(0.0), T(0.0)};
  if (!unscented.bounds_only) {
    const SigmaPoints<T> points(camera, p, g.shape, StandingStill(), unscented);
    const SigmaMoments<T> moments(points, unscented);
    const ColumnCovariance<kColumns, T> columns(moments.x, moments.y);
    const Footprint<T> f = screen_filter(columns.covariance, options.eps2d);
    v.opacity = options.antialiased ? v_opacity * f.compensation : v_opacity;
    const T v_compensation = options.antialiased ? v_opacity * g.opacity : T(0.0);
    const Covariance2<T> v_covariance =
        screen_filter_vjp(columns.covariance, f, options.eps2d, v_root, v_compensation);
    T v_x[kColumns], v_y[kColumns];
    columns.vjp(moments.x, moments.y, v_covariance, v_x, v_y);
    Vec2<T> v_away[kPoints];
    SigmaMoments<T>::vjp(unscented, v_mean, v_x, v_y, v_away);
    Mat3<T> v_axes;
    v_p = points.vjp(camera, p, g.shape.root(), unscented, v_mean, v_away, v_axes, v_camera);
    v.shape = g.shape.root_vjp(v_axes);
  }
  Model::add_depth_vjp(p, v_depth, v_p);
  v.mean = multiply_transposed(camera.rotation, v_p);
  const T rows[3] = {v_p.x, v_p.y, v_p.z};
  for (int i = 0; i < 3; ++i) {
    T* r = v_camera.rotation.m[i];
    r[0] = fma(rows[i], g.mean.x, r[0]);
    r[1] = fma(rows[i], g.mean.y, r[1]);
    r[2] = fma(rows[i], g.mean.z, r[2]);
  }
  v_camera.translation = v_camera.translation + v_p;
  return v;
}

GSPLAT_MATH_END
