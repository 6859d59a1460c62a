// Slices of directional Gaussians, one SIMD lane per Gaussian.
#include "cpu/directional.h"

#include <algorithm>

#include "cpu/simd/gaussian_lanes.h"
#include "math/directional.h"

namespace gsplat::GSPLAT_ISA {
namespace {

DirectionalGaussian<Float> load(const DirectionalArrays& in, int64_t i, int rows) {
  const auto q = LaneBlock<4>::load(in.lobe_quats + 4 * i, 4, rows);
  const auto x = LaneBlock<9>::load(in.slopes + 9 * i, 9, rows);
  return {load_vec3(in.means + 3 * i, 3, rows),
          load_vec3(in.directions + 3 * i, 3, rows),
          {q[0], q[1], q[2], q[3]},
          load_vec3(in.lobe_scales + 3 * i, 3, rows),
          {{{x[0], x[1], x[2]}, {x[3], x[4], x[5]}, {x[6], x[7], x[8]}}}};
}

Vec3<Float> centre_of(const DirectionalArrays& in) {
  return {Float(in.centre[0]), Float(in.centre[1]), Float(in.centre[2])};
}

void store_number(Float value, float* to, int rows) {
  LaneBlock<1> block;
  block.set(0, value);
  block.store(to, 1, rows);
}

void store_zeros(const DirectionalGradients& v, int64_t i, int rows) {
  std::fill_n(v.means + 3 * i, 3 * rows, 0.0f);
  if (v.along != nullptr) std::fill_n(v.along + 3 * i, 3 * rows, 0.0f);
  std::fill_n(v.opacities + i, rows, 0.0f);
  std::fill_n(v.directions + 3 * i, 3 * rows, 0.0f);
  std::fill_n(v.lobe_scales + 3 * i, 3 * rows, 0.0f);
  std::fill_n(v.lobe_quats + 4 * i, 4 * rows, 0.0f);
  std::fill_n(v.slopes + 9 * i, 9 * rows, 0.0f);
}

}  // namespace

void directional_slices(const DirectionalArrays& in, const DirectionalSlices& out, int64_t count) {
  const Vec3<Float> centre = centre_of(in);
  const Float falloff(in.falloff);
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t i, int rows) {
      const auto g = load(in, i, rows);
      const auto slice = directional_slice(g, centre, falloff);
      const Float opacity = LaneBlock<1>::load(in.opacities + i, 1, rows)[0];
      store_vec3(g.place + slice.shift, out.means + 3 * i, 3, rows);
      store_number(opacity * slice.factor, out.opacities + i, rows);
    });
  });
}

void directional_slices_backward(const DirectionalArrays& in, const DirectionalGradients& v, int64_t count) {
  const Vec3<Float> centre = centre_of(in);
  const Float falloff(in.falloff);
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t i, int rows) {
      const Vec3<Float> v_mean = load_vec3(v.of_means + 3 * i, 3, rows);
      const Float v_opacity = LaneBlock<1>::load(v.of_opacities + i, 1, rows)[0];
      // What no camera sees has gradients of zero, and must not make more of them than that.
      const LaneMask seen = nonzero(v_mean) | nonzero(v_opacity);
      if (!any(seen)) {
        store_zeros(v, i, rows);
        return;
      }
      const auto g = load(in, i, rows);
      const Float opacity = LaneBlock<1>::load(in.opacities + i, 1, rows)[0];
      Float factor(0.0f);
      auto v_g = directional_slice_vjp(g, centre, falloff, v_mean, opacity * v_opacity, factor);
      const auto kept = [&](Float x) { return zero_unless(seen, x); };
      const Vec3<Float> along = zero_unless(seen, v_g.place);
      store_vec3(v.through_means ? v_mean + along : v_mean, v.means + 3 * i, 3, rows);
      if (v.along != nullptr) store_vec3(along, v.along + 3 * i, 3, rows);
      store_number(kept(v_opacity * factor), v.opacities + i, rows);
      store_vec3(zero_unless(seen, v_g.direction), v.directions + 3 * i, 3, rows);
      store_vec3(zero_unless(seen, v_g.lobe_log_deviation), v.lobe_scales + 3 * i, 3, rows);
      LaneBlock<4> quats;
      quats.set(0, kept(v_g.lobe_rotation.w));
      quats.set(1, kept(v_g.lobe_rotation.x));
      quats.set(2, kept(v_g.lobe_rotation.y));
      quats.set(3, kept(v_g.lobe_rotation.z));
      quats.store(v.lobe_quats + 4 * i, 4, rows);
      LaneBlock<9> slopes;
      for (int k = 0; k < 9; ++k) slopes.set(k, kept(v_g.slopes.m[k / 3][k % 3]));
      slopes.store(v.slopes + 9 * i, 9, rows);
    });
  });
}

}  // namespace gsplat::GSPLAT_ISA
