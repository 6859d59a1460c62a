// Surfels: flat Gaussians, seen where the ray of a pixel meets their plane (2D Gaussian Splatting, Huang et
// al. 2024).
//
// A point of the plane is m + s a + t b, with the centre m and the axes a and b, whose lengths are the
// standard deviations. The ray that begins at the camera's centre c and has the direction d meets it where
//
//     z d = s a + t b + (m - c) = H (s, t, 1)^T,    so    H^-1 d = (S, T, W) = (s, t, 1) / z,
//
// and the Gaussian there is exp(-(s^2 + t^2) / 2). z is in units of d: it is the depth, if directions have
// the length 1 along the viewing axis, as those of a pinhole camera have. This family therefore keeps the
// lengths of directions as they are given. The paper's T = K H gives the same s, t and z.
//
// From the side a disc is a line, which falls between pixels. So it is not smaller than a Gaussian of the
// standard deviation 1/sqrt(2) pixel around the image of its centre: with the pixel's offset (dx, dy) from
// there, in pixels,
//
//     alpha = opacity * exp(-min(s^2 + t^2, 2 (dx^2 + dy^2)) / 2),
//
// and z is that of the plane all the same, with its gradient.
//
// The gradient of a pixel by (S, T, W) is g, and that by H^-1 is g d^T; as d = H (S, T, W)^T, the gradient by
// H is -H^-T g (S, T, W). So pixels know a splat by its (S, T, W) alone, whose products with g are summed up,
// and H comes in once per splat.
//
// `canonical` (RayInputs of raster/types.h) holds a, b, m - c; where the centre of the low-pass filter lies
// from means2d; and the least depth at which the surfel is seen. means2d and the ellipse only tell where to
// look for it.
#pragma once

#include "math/response/along_rays.h"

GSPLAT_MATH_BEGIN

// A surfel as pixels see it: the rows of H^-1 and what else there is of `canonical`.
template <class T>
struct SurfelFrame {
  Vec3<T> first, second, inverse;
  T offset_x, offset_y, nearest;

  GSPLAT_HD explicit SurfelFrame(const T* canonical)
      : offset_x(canonical[9]), offset_y(canonical[10]), nearest(canonical[11]) {
    const InverseColumns<T> rows(canonical);  // of the transpose
    first = rows.columns[0];
    second = rows.columns[1];
    inverse = rows.columns[2];
  }
  SurfelFrame() = default;

  // (S, T, W) of a direction.
  GSPLAT_HD_INLINE Vec3<T> of(const Vec3<T>& d) const {
    return {dot(first, d), dot(second, d), dot(inverse, d)};
  }
  GSPLAT_HD_INLINE Vec3<T> transposed(const Vec3<T>& g) const {
    return {fma(first.x, g.x, fma(second.x, g.y, inverse.x * g.z)),
            fma(first.y, g.x, fma(second.y, g.y, inverse.y * g.z)),
            fma(first.z, g.x, fma(second.z, g.y, inverse.z * g.z))};
  }
};

// How (S, T, W) / W changes as the surfel moves across the image by a pixel, as if it went around the camera:
// see AcrossImage of along_rays.h. Only that of its plane: the signal by which 2DGS densifies.
template <class T>
struct SurfelAcross {
  Vec3<T> x, y;

  // From the rays, of the length 1, of a pixel and of those to the right of it and below.
  GSPLAT_HD SurfelAcross(const SurfelFrame<T>& frame, const T* canonical, const Ray<T>& at,
                         const Ray<T>& right, const Ray<T>& below) {
    const Vec3<T> centre = {canonical[6], canonical[7], canonical[8]};
    const T distance = sqrt(dot(centre, centre));
    x = frame.of(distance * (at.direction - right.direction));
    y = frame.of(distance * (at.direction - below.direction));
  }
  SurfelAcross() = default;

  // The gradient by the place in the image, from that by (S, T, W) times W.
  GSPLAT_HD_INLINE Vec2<T> vjp(const Vec3<T>& by_plane) const { return {dot(x, by_plane), dot(y, by_plane)}; }
};

// Sums over pixels from which the gradients of one surfel follow: g times S, T and W, the gradient by the
// centre of the filter, and that by ln alpha.
template <class T>
struct SurfelSums {
  Vec3<T> by_first, by_second, by_inverse;
  T filter_x, filter_y, e;

  GSPLAT_HD static SurfelSums zero() {
    const T none = T(0.0);
    const Vec3<T> nothing = {none, none, none};
    return {nothing, nothing, nothing, none, none, none};
  }
};

// Writes the gradient of a surfel's `canonical` [12], from the sums.
template <class T>
GSPLAT_HD void surfel_vjp(const SurfelFrame<T>& frame, const SurfelSums<T>& m, T* v_canonical) {
  const Vec3<T> vectors[3] = {frame.transposed(m.by_first), frame.transposed(m.by_second),
                              frame.transposed(m.by_inverse)};
  for (int i = 0; i < 3; ++i) {
    v_canonical[3 * i] = -vectors[i].x;
    v_canonical[3 * i + 1] = -vectors[i].y;
    v_canonical[3 * i + 2] = -vectors[i].z;
  }
  v_canonical[9] = m.filter_x;
  v_canonical[10] = m.filter_y;
  v_canonical[11] = T(0.0);
}

// How a surfel changes along one direction of its inputs.
template <class T>
struct SurfelTangent {
  Vec3<T> first, second, inverse;  // rows of H^-1
  T offset_x, offset_y, log_opacity;
};

// From `canonical` and its change: that of H^-1 is -H^-1 dH H^-1.
template <class T>
GSPLAT_HD SurfelTangent<T> surfel_tangent(const T* canonical, const T* t_canonical, const T& log_opacity) {
  const SurfelFrame<T> frame(canonical);
  const Vec3<T> rows[3] = {frame.first, frame.second, frame.inverse};
  Vec3<T> moved[3];
  for (int j = 0; j < 3; ++j) {  // columns of H^-1 dH
    moved[j] = frame.of({t_canonical[3 * j], t_canonical[3 * j + 1], t_canonical[3 * j + 2]});
  }
  const T by_row[3][3] = {{moved[0].x, moved[1].x, moved[2].x},
                          {moved[0].y, moved[1].y, moved[2].y},
                          {moved[0].z, moved[1].z, moved[2].z}};
  Vec3<T> t_rows[3];
  for (int i = 0; i < 3; ++i) {
    t_rows[i] = (-by_row[i][0]) * rows[0] + (-by_row[i][1]) * rows[1] + (-by_row[i][2]) * rows[2];
  }
  return {t_rows[0], t_rows[1], t_rows[2], t_canonical[9], t_canonical[10], log_opacity};
}

struct SurfelFamily {
  static constexpr int kShape = 4, kFrame = 12, kSums = 12;
  static constexpr bool kIntegrates = false;
  static constexpr bool kAlongRays = true;
  static constexpr bool kFlat = true;
  static constexpr double kLeast = kMinPower;

  using MovingSplat = SurfelTangent<float>;

  template <class T>
  using Shape = SplatShape<T>;
  template <class T>
  using Frame = SurfelFrame<T>;
  template <class T>
  using Sums = SurfelSums<T>;
  template <class T>
  using ColumnSums = SurfelSums<T>;
  template <class T>
  using PixelSums = SurfelSums<T>;
  template <class T>
  using PixelRay = Ray<T>;
  template <class T>
  using Across = SurfelAcross<T>;

  template <class T>
  struct Prepared {
    T log2_opacity;
    SurfelFrame<T> frame;
  };

  template <class T>
  struct At {
    Vec3<T> place;  // (S, T, W)
    T s, t, depth;
    T dx, dy;      // from the centre of the filter
    Mask<T> disc;  // whether it is the disc that is seen, and not the filter
    T tau;         // 1: gradients of rays are those of directions as they are given
  };

  template <class T>
  struct Change {
    Vec3<T> by_place;
    T depth_inverse;  // W
    Vec2<T> by_filter;
    ExtrasOf<T, 0> by_extras;
  };

  template <class T>
  GSPLAT_HD static Shape<T> shape(const T& l11, const T& l21, const T& l22, const T&, const T& log2_opacity) {
    const T scale = T(kRootScale);
    return {scale * l11, scale * l21, scale * l22, log2_opacity};
  }

  template <class T>
  GSPLAT_HD static SurfelFrame<T> frame(const T&, const T*, const T* canonical) {
    return SurfelFrame<T>(canonical);
  }
  template <class T>
  GSPLAT_HD static SurfelAcross<T> across(const SurfelFrame<T>& frame, const T* canonical, const Ray<T>& at,
                                          const Ray<T>& right, const Ray<T>& below) {
    return {frame, canonical, at, right, below};
  }

  // In pixels: the ellipse bounds nothing that the opacity does not.
  template <class T>
  GSPLAT_HD_INLINE static Vec2<T> offset(const Shape<T>&, const T& dx, const T& dy) {
    return {dx, dy};
  }

  template <class T, class Number>
  GSPLAT_HD_INLINE static Prepared<T> prepare(const Shape<T>& s, const T*, const Number* frame) {
    Prepared<T> p;
    p.log2_opacity = s.log2_opacity;
    p.frame.first.x = T(frame[0]);
    p.frame.first.y = T(frame[1]);
    p.frame.first.z = T(frame[2]);
    p.frame.second.x = T(frame[3]);
    p.frame.second.y = T(frame[4]);
    p.frame.second.z = T(frame[5]);
    p.frame.inverse.x = T(frame[6]);
    p.frame.inverse.y = T(frame[7]);
    p.frame.inverse.z = T(frame[8]);
    p.frame.offset_x = T(frame[9]);
    p.frame.offset_y = T(frame[10]);
    p.frame.nearest = T(frame[11]);
    return p;
  }

  template <class T>
  GSPLAT_HD_INLINE static At<T> at(const Prepared<T>& p, const T& u, const T& v, const Ray<T>& ray,
                                   T& measure) {
    return from_centre(p, u, v, p.frame.of(ray.direction), measure);
  }

  // With the direction as (S, T, W).
  template <class T>
  GSPLAT_HD_INLINE static At<T> from_centre(const Prepared<T>& p, const T& u, const T& v,
                                            const Vec3<T>& place, T& measure) {
    const T one(1.0);
    // Nothing is infinitely far away.
    const Mask<T> seen = (place.z > T(1e-18)) & (place.z * p.frame.nearest <= one);
    At<T> at;
    at.place = {place.x, place.y, select(seen, place.z, one)};
    at.depth = reciprocal(at.place.z);
    at.s = place.x * at.depth;
    at.t = place.y * at.depth;
    at.dx = u - p.frame.offset_x;
    at.dy = v - p.frame.offset_y;
    at.tau = one;
    const T of_disc = fma(at.s, at.s, at.t * at.t);
    const T of_filter = T(2.0) * fma(at.dx, at.dx, at.dy * at.dy);
    at.disc = of_disc <= of_filter;
    const T power = fma(T(-0.5 * kLog2E), select(at.disc, of_disc, of_filter), p.log2_opacity);
    measure = select(seen, power, T(-1e30));
    return at;
  }

  template <class T>
  GSPLAT_HD_INLINE static T opacity_where(Mask<T> mask, const T& measure) {
    return exp2_where(mask, measure);
  }

  template <class T>
  GSPLAT_HD_INLINE static Change<T> change(const Prepared<T>&, const At<T>& at, const T& e) {
    const T of_disc = zero_unless(at.disc, e), of_filter = T(2.0) * (e - of_disc);
    const T sloped = -(of_disc * at.depth), x = sloped * at.s, y = sloped * at.t;
    Change<T> c;
    c.by_place = {x, y, -fma(x, at.s, y * at.t)};
    c.depth_inverse = at.place.z;
    c.by_filter = {of_filter * at.dx, of_filter * at.dy};
    return c;
  }
  // Adds the gradient of 1 / z.
  template <class T>
  GSPLAT_HD_INLINE static void add_depth(Change<T>& c, const T& by_inverse) {
    c.by_place.z = c.by_place.z + by_inverse;
  }

  // What a pixel sums up of depths with the weights: z, 1/z and 1/z^2.
  template <class T>
  GSPLAT_HD_INLINE static Vec3<T> depths(const At<T>& at) {
    return {at.depth, at.place.z, at.place.z * at.place.z};
  }
  // The part of dL/dw in these, and the gradient of 1/z over w, from those of the sums.
  template <class T>
  GSPLAT_HD_INLINE static Vec2<T> depths_vjp(const At<T>& at, const Vec3<T>& v) {
    const T inverse = at.place.z, scaled = at.depth * v.x;
    return {fma(inverse, fma(inverse, v.z, v.y), scaled),
            fma(T(2.0) * inverse, v.z, fma(-at.depth, scaled, v.y))};
  }

  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const At<T>& at) {
    add_product(m.by_first, at.place.x, c.by_place);
    add_product(m.by_second, at.place.y, c.by_place);
    add_product(m.by_inverse, at.place.z, c.by_place);
    m.filter_x = m.filter_x + c.by_filter.x;
    m.filter_y = m.filter_y + c.by_filter.y;
    m.e = m.e + e;
  }
  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const T&, const At<T>& at) {
    add(m, e, c, at);
  }
  template <class T>
  GSPLAT_HD_INLINE static Sums<T> finished(const Sums<T>& m, const T&) {
    return m;
  }

  // For payloads, as RayFamily has it.
  template <class T>
  GSPLAT_HD_INLINE static Seen<T> seen(const Across<T>& across, const Change<T>& c) {
    const T unit = T(kRootScale * kRootScale), zero = T(0.0);
    const Vec2<T> v_mean = across.vjp(c.depth_inverse * c.by_place);
    return {{unit, zero, unit, zero}, v_mean.x, v_mean.y, T(1.0)};
  }

  // The gradient of the pixel's direction, times a length.
  template <class T>
  GSPLAT_HD_INLINE static Ray<T> ray_vjp(const Prepared<T>& p, const Change<T>& c, const T& length, bool) {
    const T zero(0.0);
    return {length * p.frame.transposed(c.by_place), {zero, zero, zero}, true};
  }

private:
  template <class T>
  GSPLAT_HD_INLINE static void add_product(Vec3<T>& sum, const T& a, const Vec3<T>& b) {
    sum.x = fma(a, b.x, sum.x);
    sum.y = fma(a, b.y, sum.y);
    sum.z = fma(a, b.z, sum.z);
  }
};

// The tangent of ln alpha at a pixel of the direction `d`, of which at and prepared are known.
template <class T>
GSPLAT_HD_INLINE T surfel_change(const SurfelFamily::Prepared<T>& p, const SurfelFamily::At<T>& at,
                                 const SurfelTangent<T>& t, const Vec3<T>& d, const Vec3<T>& t_d) {
  const auto c = SurfelFamily::change(p, at, T(1.0));
  const Vec3<T> t_place = p.frame.of(t_d) + Vec3<T>{dot(t.first, d), dot(t.second, d), dot(t.inverse, d)};
  const T of_filter = fma(c.by_filter.x, t.offset_x, c.by_filter.y * t.offset_y);
  return t.log_opacity + of_filter + dot(c.by_place, t_place);
}

struct SurfelResponse {
  using Family = SurfelFamily;
  static constexpr int kExtras = 0;
  static constexpr bool kQuadratic = false, kFrequent = false;

  template <class T>
  GSPLAT_HD static T level(const T& above, const T*) {
    return above;
  }
};

GSPLAT_MATH_END
