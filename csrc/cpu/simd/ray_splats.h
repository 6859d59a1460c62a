// The gradients of splats from their sums along rays (math/response/along_rays.h), kLanes of them at a time.
#pragma once

#include "cpu/simd/lane_block.h"
#include "raster/rays.h"

namespace gsplat::GSPLAT_ISA {

// The ray of the pixel that each of kLanes splats is in, and those beside and below it.
class RaysAround {
public:
  void set(const CompositeInputs& in, int64_t id, int lane) {
    const int width = in.image.width;
    const int64_t pixel = pixel_of_splat(in, id);
    copy(in.rays, pixel, at_, lane);
    copy(in.rays, width > 1 ? pixel + 1 : pixel, right_, lane);
    copy(in.rays, in.image.height > 1 ? pixel + width : pixel, below_, lane);
  }

  // How the splats move across the image; not at all where one of the pixels has no ray.
  template <class Family>
  typename Family::template Across<Float> across(const typename Family::template Frame<Float>& frame,
                                                 const Float* canonical, bool from_centre) const {
    LaneMask all = Float(0.0f) <= Float(0.0f);
    const Ray<Float> at = loaded(at_, from_centre, all);
    const Ray<Float> right = loaded(right_, from_centre, all), below = loaded(below_, from_centre, all);
    return Family::across(frame, canonical, at, chosen(all, right, at), chosen(all, below, at));
  }

private:
  using Numbers = float[6][kLanes];  // direction and origin, as they are given

  static void copy(const RayInputs& rays, int64_t pixel, Numbers& to, int lane) {
    const float* numbers = rays.rays + pixel * rays.numbers;
    for (int i = 0; i < 6; ++i) to[i][lane] = i < rays.numbers ? numbers[i] : 0.0f;
  }
  // Takes from `all` those that do not exist.
  static Ray<Float> loaded(const Numbers& from, bool from_centre, LaneMask& all) {
    Vec3<Float> direction = {Float::load(from[0]), Float::load(from[1]), Float::load(from[2])};
    all = all & (unit_direction_of(direction) > Float(0.0f));
    return {direction, {Float::load(from[3]), Float::load(from[4]), Float::load(from[5])}, from_centre};
  }
  static Ray<Float> chosen(LaneMask which, const Ray<Float>& yes, const Ray<Float>& no) {
    return {chosen(which, yes.direction, no.direction), chosen(which, yes.origin, no.origin),
            yes.from_centre};
  }
  static Vec3<Float> chosen(LaneMask which, const Vec3<Float>& yes, const Vec3<Float>& no) {
    return {select(which, yes.x, no.x), select(which, yes.y, no.y), select(which, yes.z, no.z)};
  }

  alignas(64) Numbers at_ = {}, right_ = {}, below_ = {};
};

// The gradient of the means and, in `v_canonical`, that of `canonical`, from the sums of kLanes splats.
template <class Family>
Vec2<Float> ray_splats_vjp(const RaySums<Float>& m, const Float* canonical, const RaysAround& around,
                           bool from_centre, Float* v_canonical) {
  const CameraTurn<Float> turn({canonical[9], canonical[10], canonical[11]});
  const RayFrame<Float> frame(turn, canonical, Float(0.0f));
  ray_splat_vjp(turn, canonical, m, v_canonical);
  return around.across<Family>(frame, canonical, from_centre).vjp(m.centre);
}
template <class Family>
Vec2<Float> ray_splats_vjp(const SurfelSums<Float>& m, const Float* canonical, const RaysAround& around,
                           bool from_centre, Float* v_canonical) {
  const SurfelFrame<Float> frame(canonical);
  surfel_vjp(frame, m, v_canonical);
  return around.across<Family>(frame, canonical, from_centre).vjp(m.by_inverse);
}

// Turns the sums of the splats from the number `first` on, `stride` floats apart, into their gradients; those
// of culled splats stay as they are.
template <class Family>
void finish_ray_splats(const CompositeInputs& in, int64_t first, int count, const float* totals,
                       int64_t stride, const CompositeGrads& out) {
  constexpr int kCanonical = RayInputs::kCanonical, kMoments = Family::kSums;
  const auto is_seen = [&](int lane) { return in.opacities[first + lane] > 0.0f; };
  RaysAround around;
  for (int lane = 0; lane < count; ++lane) {
    if (is_seen(lane)) around.set(in, first + lane, lane);
  }
  const auto block = LaneBlock<kCanonical>::load(in.rays.canonical + kCanonical * first, kCanonical, count);
  const auto sums = LaneBlock<kMoments>::load(totals, stride, count);
  Float canonical[kCanonical];
  repeat<kCanonical>([&](auto i) { canonical[i] = block[i]; });
  typename Family::template Sums<Float> moments;
  static_assert(sizeof(moments) == sizeof(sums.columns));
  std::memcpy(static_cast<void*>(&moments), sums.columns, sizeof(moments));

  Float v_canonical[kCanonical];
  const Vec2<Float> v_mean =
      ray_splats_vjp<Family>(moments, canonical, around, in.rays.numbers == 3, v_canonical);
  LaneBlock<kCanonical> v_frames;
  LaneBlock<2> v_means;
  repeat<kCanonical>([&](auto i) { v_frames.set(i, v_canonical[i]); });
  v_means.set(0, v_mean.x);
  v_means.set(1, v_mean.y);
  for (int lane = 0; lane < count; ++lane) {
    if (!is_seen(lane)) continue;
    const int64_t id = first + lane;
    for (int i = 0; i < kCanonical; ++i) out.canonical[kCanonical * id + i] = v_frames.columns[i][lane];
    for (int i = 0; i < 2; ++i) out.means2d[2 * id + i] = v_means.columns[i][lane];
    out.opacities[id] = sums.columns[kMoments - 1][lane] / in.opacities[id];
  }
}

}  // namespace gsplat::GSPLAT_ISA
