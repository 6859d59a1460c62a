// Forward mode of view-dependent colours, one SIMD lane per Gaussian.
#include <cstring>

#include "cpu/rasterizer_jvp.h"
#include "cpu/simd/harmonics_lanes.h"
#include "math/forward_mode.h"

namespace gsplat::GSPLAT_ISA {
namespace {

Vec3<Dual<Float>> load_dual_centre(const float* viewmat, const float* t_viewmat) {
  Mat3<float> rotation, t_rotation;
  Vec3<float> translation, t_translation;
  load_pose(viewmat, rotation, translation);
  load_pose(t_viewmat, t_rotation, t_translation);
  const auto c = camera_centre(join<float, Mat3<Dual<float>>>(rotation, t_rotation),
                               join<float, Vec3<Dual<float>>>(translation, t_translation));
  return {{Float(c.x.value), Float(c.x.tangent)},
          {Float(c.y.value), Float(c.y.tangent)},
          {Float(c.z.value), Float(c.z.tangent)}};
}

void tangents_of_block(const ShInputs& in, const ShInputs& tangents, const Vec3<Dual<Float>>& centre,
                       int64_t row, int64_t splat, int count, const float* colors, float* out) {
  const LaneMask m = visible_lanes(in.radii + 2 * splat, count);
  if (!any(m)) {
    std::memset(out + 3 * splat, 0, sizeof(float) * 3 * count);
    return;
  }
  const auto means = join<Float, Vec3<Dual<Float>>>(load_vec3(in.means + 3 * row, 3, count),
                                                    load_vec3(tangents.means + 3 * row, 3, count));
  Dual<Float> basis[kMaxShBases];
  sh_basis(in.degree, unit_direction(means - centre), basis);
  const Float zero(0.0f);
  Vec3<Float> tangent = {zero, zero, zero};
  Coefficients value, change;
  load_coefficients(in, row, count, value);
  load_coefficients(tangents, row, count, change);
  for (int k = 0; k < sh_bases(in.degree); ++k) {
    tangent = tangent + basis[k].value * change.of[k] + basis[k].tangent * value.of[k];
  }
  // A channel that was clamped at zero stays there.
  const Vec3<Float> color = load_vec3(colors + 3 * splat, 3, count);
  tangent = {zero_unless(color.x > zero, tangent.x), zero_unless(color.y > zero, tangent.y),
             zero_unless(color.z > zero, tangent.z)};
  store_vec3(zero_unless(m, tangent), out + 3 * splat, 3, count);
}

}  // namespace

void spherical_harmonics_jvp(const ShInputs& in, const ShInputs& tangents, const float* colors, float* out) {
  const int64_t n = in.gaussians;
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const auto centre = load_dual_centre(in.viewmats + 16 * image, tangents.viewmats + 16 * image);
      chunk.each_block([&](int64_t i, int count) {
        tangents_of_block(in, tangents, centre, chunk.batch * n + i, image * n + i, count, colors, out);
      });
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
