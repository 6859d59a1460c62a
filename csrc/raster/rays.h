// The rays of pixels as kernels read them, and what becomes of a splat's sums along them
// (math/response/along_rays.h).
#pragma once

#include "math/response/along_rays.h"
#include "math/response/surfel.h"
#include "raster/types.h"

GSPLAT_MATH_BEGIN

// A pixel's ray, whose direction has the length 1.
struct PixelRay {
  Ray<float> ray;
  float inverse_length;  // of the direction as it is given; 0 where the pixel has no ray

  GSPLAT_HD bool exists() const { return inverse_length > 0.0f; }
};

// Gives a direction the length 1 and returns the inverse of that which it has: 0 if it is zero or not finite,
// and it is any direction then.
template <class T>
GSPLAT_HD T unit_direction_of(Vec3<T>& d) {
  const T zero(0.0), one(1.0), size = abs(d.x) + abs(d.y) + abs(d.z);
  const Mask<T> some = (size > zero) & (size < T(3e38));
  const T by_size = one / select(some, size, one);
  const Vec3<T> scaled = {select(some, by_size * d.x, one), zero_unless(some, by_size * d.y),
                          zero_unless(some, by_size * d.z)};
  const T inverse = one / sqrt(dot(scaled, scaled));
  d = inverse * scaled;
  return zero_unless(some, inverse * by_size);
}

GSPLAT_HD PixelRay load_ray(const RayInputs& in, int64_t pixel) {
  const float* numbers = in.rays + pixel * in.numbers;
  const bool from_centre = in.numbers == 3;
  const Vec3<float> origin =
      from_centre ? Vec3<float>{0.0f, 0.0f, 0.0f} : Vec3<float>{numbers[3], numbers[4], numbers[5]};
  Vec3<float> direction = {numbers[0], numbers[1], numbers[2]};
  const float inverse_length = unit_direction_of(direction);
  return {{direction, origin, from_centre}, inverse_length};
}

// The pixel that a splat's centre is in, or next to it, if that is outside or in the last row or column.
GSPLAT_HD int64_t pixel_of_splat(const CompositeInputs& in, int64_t id) {
  const int width = in.image.width, height = in.image.height;
  const auto within = [](float x, int count) {
    return static_cast<int>(max(min(x, static_cast<float>(count - 2)), 0.0f));
  };
  const int column = within(in.means2d[2 * id], width), row = within(in.means2d[2 * id + 1], height);
  return (id / in.gaussians * height + row) * width + column;
}

// How a splat moves across its image, from the rays of its pixel and of those beside and below it; zero where
// these have none.
template <class Family>
GSPLAT_HD typename Family::template Across<float> across_image(
    const CompositeInputs& in, int64_t id, const typename Family::template Frame<float>& frame) {
  const int width = in.image.width, height = in.image.height;
  const int64_t pixel = pixel_of_splat(in, id);
  const PixelRay at = load_ray(in.rays, pixel);
  const PixelRay right = width > 1 ? load_ray(in.rays, pixel + 1) : at;
  const PixelRay below = height > 1 ? load_ray(in.rays, pixel + width) : at;
  const bool all = at.exists() && right.exists() && below.exists();
  return Family::across(frame, in.rays.canonical + RayInputs::kCanonical * id, at.ray,
                        all ? right.ray : at.ray, all ? below.ray : at.ray);
}

// Turns the sums of a visible splat into its gradients.
template <class Family>
GSPLAT_HD void finish_ray_splat(const CompositeInputs& in, int64_t id, const RaySums<float>& m,
                                const CompositeGrads& out) {
  const float* canonical = in.rays.canonical + RayInputs::kCanonical * id;
  const CameraTurn<float> turn({canonical[9], canonical[10], canonical[11]});
  const RayFrame<float> frame(turn, canonical, 0.0f);
  const Vec2<float> v_mean = across_image<Family>(in, id, frame).vjp(m.centre);
  out.means2d[2 * id] = v_mean.x;
  out.means2d[2 * id + 1] = v_mean.y;
  out.opacities[id] = m.e / in.opacities[id];
  ray_splat_vjp(turn, canonical, m, out.canonical + RayInputs::kCanonical * id);
}
template <class Family>
GSPLAT_HD void finish_ray_splat(const CompositeInputs& in, int64_t id, const SurfelSums<float>& m,
                                const CompositeGrads& out) {
  const SurfelFrame<float> frame(in.rays.canonical + RayInputs::kCanonical * id);
  const Vec2<float> v_mean = across_image<Family>(in, id, frame).vjp(m.by_inverse);
  out.means2d[2 * id] = v_mean.x;
  out.means2d[2 * id + 1] = v_mean.y;
  out.opacities[id] = m.e / in.opacities[id];
  surfel_vjp(frame, m, out.canonical + RayInputs::kCanonical * id);
}

GSPLAT_MATH_END
