// Gradients of colours from spherical harmonics, one SIMD lane per Gaussian.
#include <cstring>
#include <vector>

#include "cpu/adam.h"
#include "cpu/harmonics_adam.h"
#include "cpu/rasterizer.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/harmonics_lanes.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// Writes the gradients of the evaluated coefficients, and zeros for the others if they are wanted, to rows
// from `row` on.
template <int kDegree>
void store_coefficients(Coefficients& v, const ShInputs& in, int64_t row, int count, float* first,
                        float* rest, bool zeros) {
  store_vec3(v.of[0], first + row * in.first_stride, in.first_stride, count);
  rest += row * in.rest_stride;
  constexpr int bases = sh_bases(kDegree), columns = 3 * (bases - 1);
  const int stored = 3 * (in.bases - 1);
  if (fits_columns(columns, count)) {
    store_columns(v.rest(), columns, rest, in.rest_stride);
  } else {
    for (int k = 1; k < bases; ++k) store_vec3(v.of[k], rest + 3 * (k - 1), in.rest_stride, count);
  }
  if (stored == columns || !zeros) return;
  for (int i = 0; i < count; ++i) {
    std::memset(rest + i * in.rest_stride + columns, 0, sizeof(float) * (stored - columns));
  }
}

// The gradients of a block of Gaussians. Those of the coefficients go to rows of `out` that start with
// `out_row`, with zeros for those that are not evaluated if they are wanted.
template <int kDegree>
void backward_of_block(const ShInputs& in, const std::vector<Vec3<Float>>& centres, const float* colors,
                       const float* v_colors, const ShGrads& out, int64_t batch, int64_t first, int count,
                       int64_t out_row, bool zeros, std::vector<Vec3<Float>>& v_centres) {
  const int64_t row = batch * in.gaussians + first;
  constexpr int bases = sh_bases(kDegree);
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
    if (!seen) load_coefficients(in, kDegree, row, count, coefficients);
    seen = true;
    const Vec3<Float> offset = load_vec3(in.means + 3 * row, 3, count) - centres[c];
    // No NaN of a culled lane may reach the sums, not even times zero.
    const Vec3<Float> direction = zero_unless(m, unit_direction(offset));
    Float basis[bases], v_basis[bases];
    sh_basis(kDegree, direction, basis);
    for (int k = 0; k < bases; ++k) {
      v_coefficients.of[k] = v_coefficients.of[k] + basis[k] * v;
      v_basis[k] = dot(coefficients.of[k], v);
    }
    const Vec3<Float> v_offset =
        zero_unless(m, unit_direction_vjp(offset, sh_basis_vjp(kDegree, direction, v_basis)));
    v_mean = v_mean + v_offset;
    if (!v_centres.empty()) v_centres[c] = v_centres[c] - v_offset;
  }
  if (out.means != nullptr) store_vec3(v_mean, out.means + 3 * row, 3, count);
  store_coefficients<kDegree>(v_coefficients, in, out_row, count, out.first, out.rest, zeros);
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

// Gradients of coefficients go where they were asked for.
struct Stored {
  const ShGrads& out;
  static constexpr bool wants_zeros() { return true; }

  // body(first, count, out, out_row) for the blocks of a chunk.
  template <class Body>
  void each_block(const GaussianChunk& chunk, int64_t first_row, Body&& body) const {
    chunk.each_block([&](int64_t i, int count) { body(i, count, out, first_row + i); });
  }
};

struct PieceGradients : Buffer<float> {};

// They stay in a piece of memory that fits the caches until Adam has made its step with them.
template <int kDegree>
struct GivenToAdam {
  const ShGrads& out;
  const ShAdam& adam;
  bool wants_zeros() const { return !adam.higher_at_rest; }

  static constexpr int64_t kRows = 256;

  template <class Body>
  void each_block(const GaussianChunk& chunk, int64_t first_row, Body&& body) const {
    float* first = per_thread<PieceGradients>().reserve(kRows * (adam.first.row_size + adam.rest.row_size));
    float* rest = first + kRows * adam.first.row_size;
    const ShGrads piece_out = {out.means, out.viewmats, first, rest};
    for (int64_t begin = chunk.begin; begin < chunk.end; begin += kRows) {
      const int64_t end = begin + kRows < chunk.end ? begin + kRows : chunk.end;
      const GaussianChunk piece = {chunk.index, chunk.batch, begin, end};
      piece.each_block([&](int64_t i, int count) { body(i, count, piece_out, i - begin); });
      step(adam.first, adam.first_step, first_row + begin, end - begin, first, adam.first.row_size);
      step(adam.rest, adam.rest_step, first_row + begin, end - begin, rest,
           adam.higher_at_rest ? 3 * (sh_bases(kDegree) - 1) : adam.rest.row_size);
    }
  }

private:
  static void step(const AdamArrays& all, const AdamStep& constants, int64_t row, int64_t rows,
                   const float* grad, int64_t columns) {
    if (columns == 0) return;
    const int64_t skipped = row * all.row_size;
    const AdamArrays some = {all.param + skipped,      grad, all.exp_avg + skipped,
                             all.exp_avg_sq + skipped, rows, all.row_size};
    adam_columns(some, constants, static_cast<int>(columns));
  }
};

template <int kDegree, class Destination>
void backward_of_all(const ShInputs& in, const float* colors, const float* v_colors, float* v_viewmats,
                     const Destination& destination) {
  const bool wants_camera = v_viewmats != nullptr;
  const bool zeros = destination.wants_zeros();
  const int64_t chunks = gaussian_chunks(in.gaussians);
  // Of the gradient of each camera's centre, over the Gaussians of each chunk.
  std::vector<Vec3<double>> sums(wants_camera ? in.batches * chunks * in.cameras : 0);
  each_gaussian_chunk(in.batches, in.gaussians, [&](const GaussianChunk& chunk) {
    std::vector<Vec3<Float>> centres(in.cameras), v_centres;
    for (int64_t c = 0; c < in.cameras; ++c) {
      centres[c] = load_camera_centre(in.viewmats + 16 * (chunk.batch * in.cameras + c));
    }
    if (wants_camera) v_centres.assign(in.cameras, {Float(0.0f), Float(0.0f), Float(0.0f)});
    const int64_t first_row = chunk.batch * in.gaussians;
    destination.each_block(chunk, first_row, [&](int64_t i, int count, const ShGrads& out, int64_t out_row) {
      backward_of_block<kDegree>(in, centres, colors, v_colors, out, chunk.batch, i, count, out_row, zeros,
                                 v_centres);
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
    write_viewmat_grad(in.viewmats + 16 * image, total, v_viewmats + 16 * image);
  }
}

}  // namespace

void spherical_harmonics_backward(const ShInputs& in, const float* colors, const float* v_colors,
                                  const ShGrads& out) {
  with_degree(in.degree, [&]<int kDegree> {
    backward_of_all<kDegree>(in, colors, v_colors, out.viewmats, Stored{out});
  });
}

void spherical_harmonics_backward_adam(const ShInputs& in, const float* colors, const float* v_colors,
                                       const ShGrads& out, const ShAdam& adam) {
  with_degree(in.degree, [&]<int kDegree> {
    backward_of_all<kDegree>(in, colors, v_colors, out.viewmats, GivenToAdam<kDegree>{out, adam});
  });
}

}  // namespace gsplat::GSPLAT_ISA
