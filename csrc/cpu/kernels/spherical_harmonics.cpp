// View-dependent colours from spherical harmonics, one SIMD lane per Gaussian.
#include <cstring>
#include <vector>

#include "cpu/rasterizer.h"
#include "cpu/simd/harmonics_lanes.h"

namespace gsplat::GSPLAT_ISA {
namespace {

Vec3<Float> load_camera_centre(const float* viewmat) {
  Mat3<float> rotation;
  Vec3<float> translation;
  load_pose(viewmat, rotation, translation);
  const Vec3<float> centre = camera_centre(rotation, translation);
  return {Float(centre.x), Float(centre.y), Float(centre.z)};
}

// Writes the gradients of the evaluated coefficients, and zeros for the others.
void store_coefficients(Coefficients& v, const ShInputs& in, int64_t row, int count, const ShGrads& out) {
  store_vec3(v.of[0], out.first + row * in.first_stride, in.first_stride, count);
  float* rest = out.rest + row * in.rest_stride;
  const int bases = sh_bases(in.degree), columns = 3 * (bases - 1), stored = 3 * (in.bases - 1);
  if (fits_columns(columns, count)) {
    store_columns(v.rest(), columns, rest, in.rest_stride);
  } else {
    for (int k = 1; k < bases; ++k) store_vec3(v.of[k], rest + 3 * (k - 1), in.rest_stride, count);
  }
  if (stored == columns) return;
  for (int i = 0; i < count; ++i) {
    std::memset(rest + i * in.rest_stride + columns, 0, sizeof(float) * (stored - columns));
  }
}

void colors_of_block(const ShInputs& in, const Vec3<Float>& centre, int64_t row, int64_t splat, int count,
                     float* colors) {
  const LaneMask m = visible_lanes(in.radii + 2 * splat, count);
  if (!any(m)) {
    std::memset(colors + 3 * splat, 0, sizeof(float) * 3 * count);
    return;
  }
  const Vec3<Float> direction = unit_direction(load_vec3(in.means + 3 * row, 3, count) - centre);
  Float basis[kMaxShBases];
  sh_basis(in.degree, direction, basis);
  Vec3<Float> color = {Float(0.5f), Float(0.5f), Float(0.5f)};
  const Coefficients coefficients = load_coefficients(in, row, count);
  for (int k = 0; k < sh_bases(in.degree); ++k) {
    const Vec3<Float>& c = coefficients.of[k];
    color = {fma(basis[k], c.x, color.x), fma(basis[k], c.y, color.y), fma(basis[k], c.z, color.z)};
  }
  const Float zero(0.0f);
  color = {max(color.x, zero), max(color.y, zero), max(color.z, zero)};
  store_vec3(zero_unless(m, color), colors + 3 * splat, 3, count);
}

void backward_of_block(const ShInputs& in, const std::vector<Vec3<Float>>& centres, const float* colors,
                       const float* v_colors, const ShGrads& out, int64_t batch, int64_t first, int count,
                       std::vector<Vec3<Float>>& v_centres) {
  const int64_t row = batch * in.gaussians + first;
  const int bases = sh_bases(in.degree);
  const Float zero(0.0f);
  Coefficients coefficients, v_coefficients;
  for (int k = 0; k < bases; ++k) v_coefficients.of[k] = {zero, zero, zero};
  Vec3<Float> v_mean = {zero, zero, zero};
  bool seen = false;
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t splat = (batch * in.cameras + c) * in.gaussians + first;
    // A channel that was clamped at zero passes no gradient.
    const Vec3<Float> color = load_vec3(colors + 3 * splat, 3, count);
    Vec3<Float> v = load_vec3(v_colors + 3 * splat, 3, count);
    v = {zero_unless(color.x > zero, v.x), zero_unless(color.y > zero, v.y),
         zero_unless(color.z > zero, v.z)};
    const LaneMask m = visible_lanes(in.radii + 2 * splat, count) & nonzero(v);
    if (!any(m)) continue;
    v = zero_unless(m, v);
    if (!seen) coefficients = load_coefficients(in, row, count);
    seen = true;
    const Vec3<Float> offset = load_vec3(in.means + 3 * row, 3, count) - centres[c];
    // No NaN of a culled lane may reach the sums, not even times zero.
    const Vec3<Float> direction = zero_unless(m, unit_direction(offset));
    Float basis[kMaxShBases], v_basis[kMaxShBases];
    sh_basis(in.degree, direction, basis);
    for (int k = 0; k < bases; ++k) {
      v_coefficients.of[k] = v_coefficients.of[k] + basis[k] * v;
      v_basis[k] = dot(coefficients.of[k], v);
    }
    const Vec3<Float> v_offset =
        zero_unless(m, unit_direction_vjp(offset, sh_basis_vjp(in.degree, direction, v_basis)));
    v_mean = v_mean + v_offset;
    if (!v_centres.empty()) v_centres[c] = v_centres[c] - v_offset;
  }
  if (out.means != nullptr) store_vec3(v_mean, out.means + 3 * row, 3, count);
  store_coefficients(v_coefficients, in, row, count, out);
}

void write_viewmat_grad(const float* viewmat, const Vec3<double>& v_centre, float* out) {
  Mat3<double> rotation, v_rotation;
  Vec3<double> translation, v_translation;
  load_pose(viewmat, rotation, translation);
  camera_centre_vjp(rotation, translation, v_centre, v_rotation, v_translation);
  const double column[3] = {v_translation.x, v_translation.y, v_translation.z};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) out[4 * i + j] = static_cast<float>(v_rotation.m[i][j]);
    out[4 * i + 3] = static_cast<float>(column[i]);
  }
  for (int j = 0; j < 4; ++j) out[12 + j] = 0.0f;
}

}  // namespace

void spherical_harmonics(const ShInputs& in, float* colors) {
  const int64_t n = in.gaussians;
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const Vec3<Float> centre = load_camera_centre(in.viewmats + 16 * image);
      chunk.each_block([&](int64_t i, int count) {
        colors_of_block(in, centre, chunk.batch * n + i, image * n + i, count, colors);
      });
    }
  });
}

void spherical_harmonics_backward(const ShInputs& in, const float* colors, const float* v_colors,
                                  const ShGrads& out) {
  const bool wants_camera = out.viewmats != nullptr;
  const int64_t chunks = gaussian_chunks(in.gaussians);
  // Of the gradient of each camera's centre, over the Gaussians of each chunk.
  std::vector<Vec3<double>> sums(wants_camera ? in.batches * chunks * in.cameras : 0);
  each_gaussian_chunk(in.batches, in.gaussians, [&](const GaussianChunk& chunk) {
    std::vector<Vec3<Float>> centres(in.cameras), v_centres;
    for (int64_t c = 0; c < in.cameras; ++c) {
      centres[c] = load_camera_centre(in.viewmats + 16 * (chunk.batch * in.cameras + c));
    }
    if (wants_camera) v_centres.assign(in.cameras, {Float(0.0f), Float(0.0f), Float(0.0f)});
    chunk.each_block([&](int64_t i, int count) {
      backward_of_block(in, centres, colors, v_colors, out, chunk.batch, i, count, v_centres);
    });
    for (size_t c = 0; c < v_centres.size(); ++c) {
      sums[chunk.index * in.cameras + c] = {sum(v_centres[c].x), sum(v_centres[c].y), sum(v_centres[c].z)};
    }
  });
  if (!wants_camera) return;
  for (int64_t image = 0; image < in.batches * in.cameras; ++image) {
    const int64_t batch = image / in.cameras, c = image % in.cameras;
    Vec3<double> total = {0.0, 0.0, 0.0};
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      total = total + sums[(batch * chunks + chunk) * in.cameras + c];
    }
    write_viewmat_grad(in.viewmats + 16 * image, total, out.viewmats + 16 * image);
  }
}

}  // namespace gsplat::GSPLAT_ISA
