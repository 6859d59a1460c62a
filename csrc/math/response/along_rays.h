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
// Gradients know a pixel by its h alone. Where its ray comes nearest is the point o + tau d of the world, of
// which h is the place in the frame; so with c the camera's centre there, o + tau d = W^-1 (h - c), and what
// a pixel adds to the gradient of W, dD2/dog (o + tau d)^T, is a matrix of products of h times W^-T. The sums
// over the pixels are of h and h h^T, and the rest is done once per splat.
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

// Sums over pixels from which the gradients of one splat follow: the gradient by the camera's centre, v, and
// v h^T, both in the turned frame, and the one by ln alpha.
template <class T>
struct RaySums {
  Vec3<T> centre;
  Sym3<T> products;  // entries of the matrix
  T e;

  GSPLAT_HD static RaySums zero() {
    const T none = T(0.0);
    return {{none, none, none}, {none, none, none, none, none, none}, none};
  }
};

// The columns of the inverse of a matrix of three rows, which may differ in size by any factor. Zero if there
// is none.
template <class T>
struct InverseColumns {
  Vec3<T> columns[3];

  GSPLAT_HD explicit InverseColumns(const T* rows) {
    const T zero(0.0), one(1.0);
    Vec3<T> scaled[3];
    T scales[3];
    for (int i = 0; i < 3; ++i) {
      const Vec3<T> row = {rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]};
      const T size = max(abs(row.x), max(abs(row.y), abs(row.z)));
      scales[i] = one / select(size > zero, size, one);
      scaled[i] = scales[i] * row;
    }
    columns[0] = cross(scaled[1], scaled[2]);
    columns[1] = cross(scaled[2], scaled[0]);
    columns[2] = cross(scaled[0], scaled[1]);
    const T volume = dot(scaled[0], columns[0]);
    const Mask<T> exists = abs(volume) > zero;
    const T inverse = zero_unless(exists, one / select(exists, volume, one));
    for (int i = 0; i < 3; ++i) columns[i] = (inverse * scales[i]) * columns[i];
  }
};

// Writes the gradient of a splat's `canonical` [12], from the sums and the camera's turn.
template <class T>
GSPLAT_HD void ray_splat_vjp(const CameraTurn<T>& turn, const T* canonical, const RaySums<T>& m,
                             T* v_canonical) {
  const Sym3<T>& s = m.products;
  const Vec3<T> half[3] = {turn.turned_back({s.xx, s.xy, s.xz}), turn.turned_back({s.xy, s.yy, s.yz}),
                           turn.turned_back({s.xz, s.yz, s.zz})};
  const Vec3<T> columns[3] = {turn.turned_back({half[0].x, half[1].x, half[2].x}),
                              turn.turned_back({half[0].y, half[1].y, half[2].y}),
                              turn.turned_back({half[0].z, half[1].z, half[2].z})};
  const Vec3<T> centre = turn.turned_back(m.centre);
  const InverseColumns<T> inverse(canonical);
  const T moved[3] = {centre.x, centre.y, centre.z};
  const T products[3][3] = {{columns[0].x, columns[1].x, columns[2].x},
                            {columns[0].y, columns[1].y, columns[2].y},
                            {columns[0].z, columns[1].z, columns[2].z}};
  for (int i = 0; i < 3; ++i) {
    Vec3<T> row = {T(0.0), T(0.0), T(0.0)};
    for (int j = 0; j < 3; ++j) {
      row = row + fma(-moved[i], canonical[9 + j], products[i][j]) * inverse.columns[j];
    }
    v_canonical[3 * i] = row.x;
    v_canonical[3 * i + 1] = row.y;
    v_canonical[3 * i + 2] = row.z;
    v_canonical[9 + i] = moved[i];
  }
}

// How a splat changes along one direction of its inputs.
template <class T>
struct RayTangent {
  Vec3<T> first, second, along, centre;  // turned as the frame of the value is
  T log_opacity;
};

template <class Response>
struct RayFamily {
  static constexpr int kShape = 4, kFrame = 11, kSums = 10;
  static constexpr bool kIntegrates = false;
  static constexpr bool kAlongRays = true;
  static constexpr bool kFlat = false;
  static constexpr double kLeast = kMinPower;

  using MovingSplat = RayTangent<float>;

  template <class T>
  using Shape = SplatShape<T>;
  template <class T>
  using Frame = RayFrame<T>;
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
    Vec3<T> by_centre;
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
  GSPLAT_HD static AcrossImage<T> across(const RayFrame<T>& frame, const T*, const Ray<T>& at,
                                         const Ray<T>& right, const Ray<T>& below) {
    return {frame, at, right, below};
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
    const Vec3<T> dg = p.frame.of(ray.direction);
    if (ray.from_centre) return from_centre(p, u, v, dg, measure);
    At<T> at;
    const T inverse = reciprocal(fma(dg.z, dg.z, flat_part(dg)));
    const Vec3<T> og = p.frame.origin_of(ray), m = cross(dg, og);
    at.tau = -(dot(og, dg) * inverse);
    at.nearest = inverse * cross(m, dg);
    at.squared = dot(m, m) * inverse;
    measure = measure_of(p, u, v, at);
    return at;
  }

  // The same on a ray that begins at the camera's centre, with the direction dg in the turned frame.
  template <class T>
  GSPLAT_HD_INLINE static At<T> from_centre(const Prepared<T>& p, const T& u, const T& v, const Vec3<T>& dg,
                                            T& measure) {
    At<T> at;
    const T flat = flat_part(dg), scale = p.frame.distance * reciprocal(fma(dg.z, dg.z, flat)),
            aside = flat * scale;
    at.tau = dg.z * scale;
    at.nearest = {dg.x * at.tau, dg.y * at.tau, -aside};
    at.squared = p.frame.distance * aside;
    measure = measure_of(p, u, v, at);
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
    return c;
  }

  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const At<T>& at) {
    const Vec3<T>&v = c.by_centre, &h = at.nearest;
    m.e = m.e + e;
    m.centre = m.centre + v;
    m.products.xx = fma(v.x, h.x, m.products.xx);
    m.products.xy = fma(v.x, h.y, m.products.xy);
    m.products.xz = fma(v.x, h.z, m.products.xz);
    m.products.yy = fma(v.y, h.y, m.products.yy);
    m.products.yz = fma(v.y, h.z, m.products.yz);
    m.products.zz = fma(v.z, h.z, m.products.zz);
  }
  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const T&, const At<T>& at) {
    add(m, e, c, at);
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
  GSPLAT_HD_INLINE static Ray<T> ray_vjp(const Prepared<T>& p, const Change<T>& c, const T& tau,
                                         bool from_centre) {
    return {p.frame.transposed(tau * c.by_centre), p.frame.transposed(c.by_centre), from_centre};
  }

private:
  template <class T>
  GSPLAT_HD_INLINE static T flat_part(const Vec3<T>& dg) {
    return fma(dg.x, dg.x, fma(dg.y, dg.y, T(1e-37)));  // nothing is infinitely large
  }
  template <class T>
  GSPLAT_HD_INLINE static T measure_of(const Prepared<T>& p, const T& u, const T& v, const At<T>& at) {
    const Mask<T> seen = (fma(u, u, v * v) <= p.frame.reach) & (at.tau >= T(0.0));
    return select(seen, Response::power(at.squared, p.log2_opacity, p.extras.values), T(-1e30));
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
  T tangent = t.log_opacity + dot(c.by_centre, t_og) + at.tau * dot(c.by_centre, t_dg);
  for (int e = 0; e < Response::kExtras; ++e) {
    tangent = fma(-c.by_extras.values[e], t_extras[e], tangent);
  }
  return tangent;
}

GSPLAT_MATH_END
