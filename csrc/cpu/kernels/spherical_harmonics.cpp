// View-dependent colours from spherical harmonics, one SIMD lane per Gaussian.
#include <cstring>

#include "cpu/rasterizer.h"
#include "cpu/simd/harmonics_lanes.h"

namespace gsplat::GSPLAT_ISA {
namespace {

template <int kDegree>
void colors_of_block(const ShInputs& in, const Vec3<Float>& centre, int64_t row, int64_t splat, int count,
                     float* colors) {
  const LaneMask m = visible_lanes(in.radii + 2 * splat, count);
  if (!any(m)) {
    std::memset(colors + 3 * splat, 0, sizeof(float) * 3 * count);
    return;
  }
  const Vec3<Float> direction = unit_direction(load_vec3(in.means + 3 * row, 3, count) - centre);
  Float basis[sh_bases(kDegree)];
  sh_basis(kDegree, direction, basis);
  Vec3<Float> color = {Float(0.5f), Float(0.5f), Float(0.5f)};
  Coefficients coefficients;
  load_coefficients(in, kDegree, row, count, coefficients);
  for (int k = 0; k < sh_bases(kDegree); ++k) {
    const Vec3<Float>& c = coefficients.of[k];
    color = {fma(basis[k], c.x, color.x), fma(basis[k], c.y, color.y), fma(basis[k], c.z, color.z)};
  }
  const Float zero(0.0f);
  color = {max(color.x, zero), max(color.y, zero), max(color.z, zero)};
  store_vec3(zero_unless(m, color), colors + 3 * splat, 3, count);
}

template <int kDegree>
void colors_of_all(const ShInputs& in, float* colors) {
  const int64_t n = in.gaussians;
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const Vec3<Float> centre = load_camera_centre(in.viewmats + 16 * image);
      chunk.each_block([&](int64_t i, int count) {
        colors_of_block<kDegree>(in, centre, chunk.batch * n + i, image * n + i, count, colors);
      });
    }
  });
}

}  // namespace

void spherical_harmonics(const ShInputs& in, float* colors) {
  with_degree(in.degree, [&]<int kDegree> { colors_of_all<kDegree>(in, colors); });
}

}  // namespace gsplat::GSPLAT_ISA
