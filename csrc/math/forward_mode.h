// Forward mode of what the kernels evaluate: dual numbers from values and tangents that are read separately.
#pragma once

#include <cstring>

#include "math/dual.h"
#include "math/projection_methods.h"
#include "math/response/along_rays.h"
#include "math/response/radial.h"
#include "math/response/surfel.h"
#include "math/response/window.h"

GSPLAT_MATH_BEGIN

// For a struct of nothing but numbers F, such as Mat3<F>: Mat3<Dual<F>> from the values and the tangents.
template <class F, class DualStruct, class Struct>
GSPLAT_HD DualStruct join(const Struct& value, const Struct& tangent) {
  static_assert(sizeof(DualStruct) == 2 * sizeof(Struct));
  constexpr int kNumbers = sizeof(Struct) / sizeof(F);
  F values[kNumbers], tangents[kNumbers];
  memcpy(values, &value, sizeof(Struct));
  memcpy(tangents, &tangent, sizeof(Struct));
  Dual<F> joined[kNumbers];
  for (int i = 0; i < kNumbers; ++i) joined[i] = {values[i], tangents[i]};
  DualStruct result;
  memcpy(static_cast<void*>(&result), joined, sizeof(result));
  return result;
}

// A camera that moves; the size of its image stays.
template <class F, class Model>
GSPLAT_HD Camera<Dual<F>, Model> moving_camera(const Camera<F, Model>& value,
                                               const Camera<F, Model>& tangent) {
  auto camera = join<F, Camera<Dual<F>, Model>>(value, tangent);
  camera.width = constant(camera.width);
  camera.height = constant(camera.height);
  return camera;
}

// A camera that stands still.
template <class F, class Model>
GSPLAT_HD Camera<Dual<F>, Model> constant_camera(const Camera<F, Model>& value) {
  const Camera<F, Model> still = {};
  return join<F, Camera<Dual<F>, Model>>(value, still);
}

template <class F, template <class> class Shape>
GSPLAT_HD Gaussian<Dual<F>, Shape> moving_gaussian(const Gaussian<F, Shape>& value,
                                                   const Gaussian<F, Shape>& tangent) {
  return join<F, Gaussian<Dual<F>, Shape>>(value, tangent);
}

template <class F>
GSPLAT_HD ProjectOptions<Dual<F>> constants(const ProjectOptions<F>& o) {
  const F zero(0.0);
  return {{o.eps2d, zero},       {o.near_plane, zero}, {o.far_plane, zero},
          {o.radius_clip, zero}, o.antialiased,        {o.margin, zero}};
}

template <class F>
GSPLAT_HD Linearized<Dual<F>> constants(const Linearized<F>& m) {
  return {constants(m.options)};
}
template <class F>
GSPLAT_HD Unscented<Dual<F>> constants(const Unscented<F>& m) {
  const F zero(0.0);
  const UnscentedOptions<F>& u = m.unscented;
  return {constants(m.options),
          {{u.spread, zero},
           {u.root_weight, zero},
           {u.root_bend, zero},
           {u.image_margin, zero},
           u.all_points,
           u.bounds_only}};
}

// The opacity of a moving splat at a pixel, of which the value is known; it does not change through the cap.
template <class Response, class F>
GSPLAT_HD Dual<F> moving_alpha(const F& alpha, Mask<F> uncapped, const SplatShape<Dual<F>>& shape,
                               const Dual<F>* extras, const Dual<F>& dx, const Dual<F>& dy) {
  const F t_power = response_at<Response>(shape, extras, dx, dy).power.tangent;
  return {alpha, zero_unless(uncapped, exp2_tangent(alpha, t_power))};
}

// How a splat's opacity at pixels changes, for a response of any family: with their offsets from its mean, or
// with the changes of their rays.
template <class Response, class F, class Family = typename Response::Family>
struct Moving;

template <class Response, class F>
struct Moving<Response, F, RadialFamily<Response>> {
  using Family = RadialFamily<Response>;

  SplatShape<Dual<F>> shape;
  ExtrasOf<Dual<F>, Response::kExtras> extras;
  F mean_x, mean_y;

  GSPLAT_HD_INLINE Moving(const SplatShape<F>& s, const typename Family::template Prepared<F>& p,
                          const typename Family::MovingSplat& t, const F* t_extras)
      : shape{{s.l11, F(t.l11)}, {s.l21, F(t.l21)}, {s.l22, F(t.l22)}, {s.log2_opacity, F(t.log2_opacity)}},
        mean_x(t.mean_x),
        mean_y(t.mean_y) {
    for (int e = 0; e < Response::kExtras; ++e) extras.values[e] = {p.extras.values[e], t_extras[e]};
  }

  GSPLAT_HD_INLINE Dual<F> alpha(const F& value, Mask<F> uncapped, const typename Family::template At<F>&,
                                 const Vec2<F>& offset) const {
    return moving_alpha<Response>(value, uncapped, shape, extras.values, Dual<F>(offset.x, -mean_x),
                                  Dual<F>(offset.y, -mean_y));
  }
};

template <class Response, class F>
struct Moving<Response, F, WindowFamily<Response>> {
  using Family = WindowFamily<Response>;

  typename Family::template Prepared<F> prepared;
  WindowTangent<F> tangent;

  GSPLAT_HD_INLINE Moving(const WindowShape<F>&, const typename Family::template Prepared<F>& p,
                          const typename Family::MovingSplat& t, const F*)
      : prepared(p) {
    tangent.m1 = F(t.m1);
    tangent.m2 = F(t.m2);
    tangent.s1 = F(t.s1);
    tangent.s2 = F(t.s2);
    tangent.turn = F(t.turn);
    tangent.opacity = F(t.opacity);
  }

  GSPLAT_HD_INLINE Dual<F> alpha(const F& value, Mask<F> uncapped, const typename Family::template At<F>& at,
                                 const Vec2<F>&) const {
    return {value, zero_unless(uncapped, value * tangent.along(Family::change(prepared, at, F(1.0))))};
  }
};

template <class F>
struct MovingRay {
  Ray<F> ray, tangent;
};

template <class Response, class F>
struct Moving<Response, F, RayFamily<Response>> {
  using Family = RayFamily<Response>;

  typename Family::template Prepared<F> prepared;
  RayTangent<F> tangent;
  ExtrasOf<F, Response::kExtras> t_extras;

  GSPLAT_HD_INLINE Moving(const SplatShape<F>&, const typename Family::template Prepared<F>& p,
                          const typename Family::MovingSplat& t, const F* t_extras_)
      : prepared(p), tangent{row(t.first), row(t.second), row(t.along), row(t.centre), F(t.log_opacity)} {
    for (int e = 0; e < Response::kExtras; ++e) t_extras.values[e] = t_extras_[e];
  }

  GSPLAT_HD_INLINE Dual<F> alpha(const F& value, Mask<F> uncapped, const typename Family::template At<F>& at,
                                 const MovingRay<F>& motion) const {
    const F t_log = ray_tangent<Response>(prepared, at, tangent, t_extras.values, motion.ray, motion.tangent);
    return {value, zero_unless(uncapped, value * t_log)};
  }

private:
  GSPLAT_HD_INLINE static Vec3<F> row(const Vec3<float>& v) { return {F(v.x), F(v.y), F(v.z)}; }
};

template <class Response, class F>
struct Moving<Response, F, SurfelFamily> {
  typename SurfelFamily::template Prepared<F> prepared;
  SurfelTangent<F> tangent;

  GSPLAT_HD_INLINE Moving(const SplatShape<F>&, const typename SurfelFamily::template Prepared<F>& p,
                          const SurfelTangent<float>& t, const F*)
      : prepared(p),
        tangent{row(t.first), row(t.second), row(t.inverse), F(t.offset_x), F(t.offset_y), F(t.log_opacity)} {
  }

  GSPLAT_HD_INLINE Dual<F> alpha(const F& value, Mask<F> uncapped,
                                 const typename SurfelFamily::template At<F>& at,
                                 const MovingRay<F>& motion) const {
    const F t_log = surfel_change(prepared, at, tangent, motion.ray.direction, motion.tangent.direction);
    return {value, zero_unless(uncapped, value * t_log)};
  }

  // What a pixel adds to the tangents of its sums of depths (SurfelFamily::depths): z changes by -z^2 as 1/z.
  GSPLAT_HD_INLINE Vec3<F> depths(const Dual<F>& weight, const typename SurfelFamily::template At<F>& at,
                                  const MovingRay<F>& motion) const {
    const F moved = weight.value * (dot(prepared.frame.inverse, motion.tangent.direction) +
                                    dot(tangent.inverse, motion.ray.direction));
    const Vec3<F> of = SurfelFamily::depths(at);
    return {fma(weight.tangent, of.x, -(at.depth * at.depth * moved)), fma(weight.tangent, of.y, moved),
            fma(weight.tangent, of.z, F(2.0) * (at.place.z * moved))};
  }

private:
  GSPLAT_HD_INLINE static Vec3<F> row(const Vec3<float>& v) { return {F(v.x), F(v.y), F(v.z)}; }
};

GSPLAT_MATH_END
