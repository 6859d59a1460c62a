// The family of responses that look at a Gaussian in the world along the ray of a pixel, instead of at its
// splat on the screen (3D Gaussian Ray Tracing, Moenne-Loccoz et al. 2024; 3DGUT, Wu et al. 2025): right
// however near and large a Gaussian is, and for any camera whose pixels have rays.
//
// In its canonical frame (RayInputs of raster/types.h) a Gaussian is the standard normal distribution, and
// the ray that begins at o and has the direction d is og + t dg, with dg = W d. Nearest to the centre it is
// at
//
//     tau = -(og . dg) / (dg . dg),    h = og + tau dg,    D2 = |h|^2,    alpha = opacity * exp(-f(D2)),
//
// with dD2 = 2 h . (dog + tau ddg), h being perpendicular to dg. Both terms of h are as large as the camera
// is far away, in sizes of the Gaussian, so it is found from the cross product m = dg x og instead: h = m x
// dg / (dg . dg). And as D2 knows no direction, the frame may be turned so that the camera's centre lies on
// its third axis at the distance L. With dg = (x, y, z), N = x^2 + y^2 + z^2 and a ray that begins there,
//
//     tau = L z / N,    h = L / N (x z, y z, -(x^2 + y^2)),    D2 = L^2 (x^2 + y^2) / N,
//
// where the only cancellation is that of x and y, which are small because the ray passes by the centre.
//
// A Gaussian is seen within the ellipse of its splat only, of the level of its response (math/ellipse.h):
// what it is in does not depend on how the image is cut into tiles. What lies behind the ray's beginning is
// not seen. A response of this family has beside its traits (math/response/radial.h)
//
//     power(D2, log2_opacity, extras)     log2(alpha)
//     slope(D2, extras, by_extras)        2 df/dD2, and df by each of the extras
//     level(above, extras)                as there, of D2 log2(e) / 2
#pragma once

#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

// The ray of a pixel in the world; as a gradient or tangent, its change.
template <class T>
struct Ray {
  Vec3<T> direction;  // of length 1
  Vec3<T> origin;     // minus the camera's centre; zero where from_centre
  bool from_centre;
};

// What turns the canonical frame so that the camera's centre `og` lies on the third axis, on its negative
// side: a reflection along the axis that it is nearest to, which keeps the digits of rows of any sizes.
template <class T>
struct CameraTurn {
  T distance;

  GSPLAT_HD explicit CameraTurn(const Vec3<T>& og) {
    const T x = abs(og.x), y = abs(og.y), z = abs(og.z), zero(0.0), one(1.0);
    const T most = max(x, max(y, z));
    along_z_ = z > max(x, y);
    along_x_ = (y <= x) & (z <= max(x, y));
    // A camera in the very centre is on every axis.
    const Mask<T> apart = most > zero;
    const T scale = one / select(apart, most, one);
    const Vec3<T> scaled = scale * og;
    const T length = sqrt(max(dot(scaled, scaled), T(0.25)));  // it is at least 1
    distance = most * length;
    v_ = arranged((one / length) * scaled);
    towards_ = {-v_.x, -v_.y, select(apart, -v_.z, one)};
    sign_ = select(v_.z < zero, -one, one);
    beta_ = one / (one + abs(v_.z));
    v_.z = v_.z + sign_;
  }

  // Of a vector in the frame, or of a column of a matrix into it.
  GSPLAT_HD Vec3<T> turned(const Vec3<T>& x) const {
    const Vec3<T> at = arranged(x);
    const T p = beta_ * dot(v_, at);
    return {fma(-v_.x, p, at.x), fma(-v_.y, p, at.y), dot(towards_, at)};
  }

  GSPLAT_HD Vec3<T> turned_back(const Vec3<T>& at) const {
    const T z = sign_ * at.z, p = beta_ * dot(v_, {at.x, at.y, z});
    const T first = fma(-v_.x, p, at.x), second = fma(-v_.y, p, at.y), along = fma(-v_.z, p, z);
    return {select(along_x_, along, first), select(along_x_, first, select(along_z_, second, along)),
            select(along_z_, along, second)};
  }

private:
  Mask<T> along_x_, along_z_;  // the nearest axis; if neither, it is the second one
  Vec3<T> v_;                  // what is reflected along, with the nearest axis last
  Vec3<T> towards_;            // unit vector from the camera to the centre of the Gaussian, likewise
  T beta_, sign_;

  GSPLAT_HD Vec3<T> arranged(const Vec3<T>& x) const {
    return {select(along_x_, x.y, x.x), select(along_z_, x.y, x.z),
            select(along_z_, x.z, select(along_x_, x.x, x.y))};
  }
};

// The turned frame of a splat: the rows of W, the distance L of the camera, and what of u^2 + v^2 of its
// splat it is seen in.
template <class T>
struct RayFrame {
  Vec3<T> first, second, along;
  T distance, reach;

  GSPLAT_HD RayFrame(const CameraTurn<T>& turn, const T* canonical, const T& seen_in)
      : distance(turn.distance), reach(seen_in) {
    const T* w = canonical;
    const Vec3<T> x = turn.turned({w[0], w[3], w[6]}), y = turn.turned({w[1], w[4], w[7]}),
                  z = turn.turned({w[2], w[5], w[8]});
    first = {x.x, y.x, z.x};
    second = {x.y, y.y, z.y};
    along = {x.z, y.z, z.z};
  }
  RayFrame() = default;

  // Of a direction in the world.
  GSPLAT_HD_INLINE Vec3<T> of(const Vec3<T>& d) const {
    return {dot(first, d), dot(second, d), dot(along, d)};
  }
  GSPLAT_HD_INLINE Vec3<T> transposed(const Vec3<T>& g) const {
    return {fma(first.x, g.x, fma(second.x, g.y, along.x * g.z)),
            fma(first.y, g.x, fma(second.y, g.y, along.y * g.z)),
            fma(first.z, g.x, fma(second.z, g.y, along.z * g.z))};
  }
  // Of the camera's centre, plus where a ray begins.
  GSPLAT_HD_INLINE Vec3<T> origin_of(const Ray<T>& ray) const {
    const Vec3<T> moved = of(ray.origin);
    return {moved.x, moved.y, moved.z - distance};
  }
};

// How the camera's centre moves in the turned frame as the Gaussian moves across the image by a pixel, as if
// it went around the camera: the gradient of what is no argument of the response, but what density control
// asks for.
template <class T>
struct AcrossImage {
  Vec3<T> x, y;

  // From the rays of a pixel and of those to the right of it and below.
  GSPLAT_HD AcrossImage(const RayFrame<T>& frame, const Ray<T>& at, const Ray<T>& right,
                        const Ray<T>& below) {
    const Vec3<T> dg = frame.of(at.direction), og = frame.origin_of(at);
    const T tau = -dot(og, dg) / max(dot(dg, dg), T(1e-37));
    x = change(frame, tau, at, right);
    y = change(frame, tau, at, below);
  }
  AcrossImage() = default;

  // The gradient by the place in the image.
  GSPLAT_HD_INLINE Vec2<T> vjp(const Vec3<T>& by_centre) const {
    return {dot(x, by_centre), dot(y, by_centre)};
  }

private:
  GSPLAT_HD static Vec3<T> change(const RayFrame<T>& frame, const T& tau, const Ray<T>& from,
                                  const Ray<T>& to) {
    return frame.of((from.origin - to.origin) + tau * (from.direction - to.direction));
  }
};

// Sums over pixels from which the gradients of one splat follow: by W, by the camera's centre in the frame,
// both turned, and by ln alpha.
template <class T>
struct RaySums {
  Vec3<T> first, second, along, centre;
  T e;

  GSPLAT_HD static RaySums zero() {
    const T none = T(0.0);
    const Vec3<T> nothing = {none, none, none};
    return {nothing, nothing, nothing, nothing, none};
  }
};

// Writes the gradient of a splat's `canonical` [12].
template <class T>
GSPLAT_HD void ray_splat_vjp(const CameraTurn<T>& turn, const RaySums<T>& m, T* v_canonical) {
  const auto back = [&](const T& first, const T& second, const T& along, T* to, int stride) {
    const Vec3<T> v = turn.turned_back({first, second, along});
    to[0] = v.x;
    to[stride] = v.y;
    to[2 * stride] = v.z;
  };
  back(m.first.x, m.second.x, m.along.x, v_canonical, 3);
  back(m.first.y, m.second.y, m.along.y, v_canonical + 1, 3);
  back(m.first.z, m.second.z, m.along.z, v_canonical + 2, 3);
  back(m.centre.x, m.centre.y, m.centre.z, v_canonical + 9, 1);
}

// How a splat changes along one direction of its inputs.
template <class T>
struct RayTangent {
  Vec3<T> first, second, along, centre;  // turned as the frame of the value is
  T log_opacity;
};

template <class Response>
struct RayFamily {
  static constexpr int kShape = 4, kFrame = 11, kSums = 13;
  static constexpr bool kIntegrates = false;
  static constexpr bool kAlongRays = true;
  static constexpr double kLeast = kMinPower;

  using MovingSplat = RayTangent<float>;

  template <class T>
  using Shape = SplatShape<T>;
  template <class T>
  using Sums = RaySums<T>;
  template <class T>
  using ColumnSums = RaySums<T>;
  template <class T>
  using PixelSums = RaySums<T>;
  template <class T>
  using PixelRay = Ray<T>;
  template <class T>
  using Across = AcrossImage<T>;

  template <class T>
  struct Prepared {
    T log2_opacity;
    ExtrasOf<T, Response::kExtras> extras;
    RayFrame<T> frame;
  };

  template <class T>
  struct At {
    Vec3<T> nearest;  // h
    T tau, squared;   // D2
  };

  template <class T>
  struct Change {
    Vec3<T> by_centre, by_direction;
    ExtrasOf<T, Response::kExtras> by_extras;
  };

  template <class T>
  GSPLAT_HD static Shape<T> shape(const T& l11, const T& l21, const T& l22, const T&, const T& log2_opacity) {
    const T scale = T(kRootScale);
    return {scale * l11, scale * l21, scale * l22, log2_opacity};
  }

  template <class T>
  GSPLAT_HD static RayFrame<T> frame(const T& log2_opacity, const T* extras, const T* canonical) {
    const T above = max(log2_opacity - T(kMinPower), T(0.0));
    const CameraTurn<T> turn({canonical[9], canonical[10], canonical[11]});
    return {turn, canonical, Response::level(above, extras)};
  }

  template <class T>
  GSPLAT_HD_INLINE static Vec2<T> offset(const Shape<T>& s, const T& dx, const T& dy) {
    return {fma(s.l11, dx, s.l21 * dy), s.l22 * dy};
  }

  template <class T, class Number>
  GSPLAT_HD_INLINE static Prepared<T> prepare(const Shape<T>& s, const T* extras, const Number* frame) {
    Prepared<T> p;
    p.log2_opacity = s.log2_opacity;
    for (int e = 0; e < Response::kExtras; ++e) p.extras.values[e] = extras[e];
    p.frame.first.x = T(frame[0]);
    p.frame.first.y = T(frame[1]);
    p.frame.first.z = T(frame[2]);
    p.frame.second.x = T(frame[3]);
    p.frame.second.y = T(frame[4]);
    p.frame.second.z = T(frame[5]);
    p.frame.along.x = T(frame[6]);
    p.frame.along.y = T(frame[7]);
    p.frame.along.z = T(frame[8]);
    p.frame.distance = T(frame[9]);
    p.frame.reach = T(frame[10]);
    return p;
  }

  template <class T>
  GSPLAT_HD_INLINE static At<T> at(const Prepared<T>& p, const T& u, const T& v, const Ray<T>& ray,
                                   T& measure) {
    At<T> at;
    const Vec3<T> dg = p.frame.of(ray.direction);
    const T flat = fma(dg.x, dg.x, fma(dg.y, dg.y, T(1e-37)));  // nothing is infinitely large
    const T inverse = reciprocal(fma(dg.z, dg.z, flat));
    if (ray.from_centre) {
      const T scale = p.frame.distance * inverse, aside = flat * scale;
      at.tau = dg.z * scale;
      at.nearest = {dg.x * at.tau, dg.y * at.tau, -aside};
      at.squared = p.frame.distance * aside;
    } else {
      const Vec3<T> og = p.frame.origin_of(ray), m = cross(dg, og);
      at.tau = -(dot(og, dg) * inverse);
      at.nearest = inverse * cross(m, dg);
      at.squared = dot(m, m) * inverse;
    }
    const Mask<T> seen = (fma(u, u, v * v) <= p.frame.reach) & (at.tau >= T(0.0));
    measure = select(seen, Response::power(at.squared, p.log2_opacity, p.extras.values), T(-1e30));
    return at;
  }

  template <class T>
  GSPLAT_HD_INLINE static T opacity_where(Mask<T> mask, const T& measure) {
    return exp2_where(mask, measure);
  }

  template <class T>
  GSPLAT_HD_INLINE static Change<T> change(const Prepared<T>& p, const At<T>& at, const T& e) {
    Change<T> c;
    const T sloped = -(e * Response::slope(at.squared, p.extras.values, c.by_extras.values));
    c.by_centre = sloped * at.nearest;
    c.by_direction = at.tau * c.by_centre;
    return c;
  }

  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const Ray<T>& ray) {
    m.e = m.e + e;
    m.centre.x = m.centre.x + c.by_centre.x;
    m.centre.y = m.centre.y + c.by_centre.y;
    m.centre.z = m.centre.z + c.by_centre.z;
    add_row(m.first, c.by_direction.x, ray.direction);
    add_row(m.second, c.by_direction.y, ray.direction);
    add_row(m.along, c.by_direction.z, ray.direction);
    if (ray.from_centre) return;
    add_row(m.first, c.by_centre.x, ray.origin);
    add_row(m.second, c.by_centre.y, ray.origin);
    add_row(m.along, c.by_centre.z, ray.origin);
  }
  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const T&, const Ray<T>& ray) {
    add(m, e, c, ray);
  }
  template <class T>
  GSPLAT_HD_INLINE static Sums<T> finished(const Sums<T>& m, const T&) {
    return m;
  }

  // For payloads: a shape of two units, and an offset so that scaled_mean_vjp() is the gradient by the place
  // in the image.
  template <class T>
  GSPLAT_HD_INLINE static Seen<T> seen(const Across<T>& across, const Change<T>& c) {
    const T unit = T(kRootScale * kRootScale), zero = T(0.0);
    const Vec2<T> v_mean = across.vjp(c.by_centre);
    return {{unit, zero, unit, zero}, v_mean.x, v_mean.y, T(1.0)};
  }

  // The gradient of the pixel's ray.
  template <class T>
  GSPLAT_HD_INLINE static Ray<T> ray_vjp(const Prepared<T>& p, const Change<T>& c, bool from_centre) {
    return {p.frame.transposed(c.by_direction), p.frame.transposed(c.by_centre), from_centre};
  }

private:
  template <class T>
  GSPLAT_HD_INLINE static void add_row(Vec3<T>& row, const T& factor, const Vec3<T>& v) {
    row.x = fma(factor, v.x, row.x);
    row.y = fma(factor, v.y, row.y);
    row.z = fma(factor, v.z, row.z);
  }
};

// The tangent of ln alpha at a pixel, of which at and prepared are known.
template <class Response, class T>
GSPLAT_HD_INLINE T ray_tangent(const typename RayFamily<Response>::template Prepared<T>& p,
                               const typename RayFamily<Response>::template At<T>& at, const RayTangent<T>& t,
                               const T* t_extras, const Ray<T>& ray, const Ray<T>& t_ray) {
  const auto c = RayFamily<Response>::change(p, at, T(1.0));
  const Vec3<T>&d = ray.direction, &o = ray.origin;
  const Vec3<T> t_dg =
      p.frame.of(t_ray.direction) + Vec3<T>{dot(t.first, d), dot(t.second, d), dot(t.along, d)};
  Vec3<T> t_og = t.centre;
  if (!ray.from_centre) {
    t_og = t_og + p.frame.of(t_ray.origin) + Vec3<T>{dot(t.first, o), dot(t.second, o), dot(t.along, o)};
  }
  T tangent = t.log_opacity + dot(c.by_centre, t_og) + dot(c.by_direction, t_dg);
  for (int e = 0; e < Response::kExtras; ++e) {
    tangent = fma(-c.by_extras.values[e], t_extras[e], tangent);
  }
  return tangent;
}

GSPLAT_MATH_END
