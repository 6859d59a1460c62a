// View-dependent colours from spherical harmonics, one thread per Gaussian.
#include "cuda/harmonics.cuh"
#include "cuda/spherical_harmonics.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = kHarmonicsThreads;

template <int kDegree>
__global__ void __launch_bounds__(kThreads) sh_colors(ShInputs in, float* colors) {
  using Rows = CoefficientRows<kDegree>;
  __shared__ float shared[kThreads / kWarp * Rows::kFloats];
  const Rows rows = {{shared + warp_index() * Rows::kFloats}};
  const GaussianPlace<kThreads> place(in.gaussians);
  const int64_t image = place.scene, scene_row = image / in.cameras * in.gaussians;
  const int64_t splat = image * in.gaussians + place.gaussian, row = scene_row + place.gaussian;
  const bool visible = place.exists && is_visible(in.radii, splat);
  rows.load(in.rest, in.rest_stride, scene_row + place.first(), __ballot_sync(kAllLanes, visible));
  if (!place.exists) return;
  Vec3<float> color = {0.0f, 0.0f, 0.0f};
  if (visible) {
    const Vec3<float> centre = load_centre(in.viewmats + 16 * image);
    float basis[Rows::kBases];
    sh_basis(kDegree, unit_direction(load_vec3(in.means, row) - centre), basis);
    const float* first = in.first + row * in.first_stride;
    color = {fma(basis[0], first[0], 0.5f), fma(basis[0], first[1], 0.5f), fma(basis[0], first[2], 0.5f)};
#pragma unroll
    for (int k = 1; k < Rows::kBases; ++k) {
      const Vec3<float> c = rows[k];
      color = {fma(basis[k], c.x, color.x), fma(basis[k], c.y, color.y), fma(basis[k], c.z, color.z)};
    }
    color = {max(color.x, 0.0f), max(color.y, 0.0f), max(color.z, 0.0f)};
  }
  store_vec3(colors, splat, color);
}

// Adds up the gradients of one Gaussian over the cameras. Those of the cameras' centres are summed over the
// block: centre_sums [images, blocks per scene, 3].
template <int kDegree, bool kCamera>
__global__ void __launch_bounds__(kThreads)
    sh_gradients(ShInputs in, const float* colors, const float* v_colors, ShGrads out, float* centre_sums) {
  using Rows = CoefficientRows<kDegree>;
  __shared__ float shared[kThreads / kWarp * Rows::kFloats];
  const Rows rows = {{shared + warp_index() * Rows::kFloats}};
  const GaussianPlace<kThreads> place(in.gaussians);
  const int64_t batch = place.scene, scene_row = batch * in.gaussians, row = scene_row + place.gaussian;
  bool seen = false;
  for (int64_t c = 0; c < in.cameras && place.exists && !seen; ++c) {
    seen = is_visible(in.radii, (batch * in.cameras + c) * in.gaussians + place.gaussian);
  }
  rows.load(in.rest, in.rest_stride, scene_row + place.first(), __ballot_sync(kAllLanes, seen));

  float v_coefficients[3 * Rows::kBases];
#pragma unroll
  for (int i = 0; i < 3 * Rows::kBases; ++i) v_coefficients[i] = 0.0f;
  Vec3<float> v_mean = {0.0f, 0.0f, 0.0f};
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + place.gaussian;
    Vec3<float> v_offset = {0.0f, 0.0f, 0.0f};
    if (seen && is_visible(in.radii, splat)) {
      const Vec3<float> offset = load_vec3(in.means, row) - load_centre(in.viewmats + 16 * image);
      const Vec3<float> direction = unit_direction(offset);
      float basis[Rows::kBases], v_basis[Rows::kBases];
      sh_basis(kDegree, direction, basis);
      // A channel that was clamped at zero passes no gradient.
      const Vec3<float> color = load_vec3(colors, splat);
      Vec3<float> v = load_vec3(v_colors, splat);
      v = {zero_unless(color.x > 0.0f, v.x), zero_unless(color.y > 0.0f, v.y),
           zero_unless(color.z > 0.0f, v.z)};
#pragma unroll
      for (int k = 0; k < Rows::kBases; ++k) {
        v_coefficients[3 * k] = fma(basis[k], v.x, v_coefficients[3 * k]);
        v_coefficients[3 * k + 1] = fma(basis[k], v.y, v_coefficients[3 * k + 1]);
        v_coefficients[3 * k + 2] = fma(basis[k], v.z, v_coefficients[3 * k + 2]);
        v_basis[k] = k == 0 ? 0.0f : dot(rows[k], v);  // the first basis function is a constant
      }
      v_offset = unit_direction_vjp(offset, sh_basis_vjp(kDegree, direction, v_basis));
      v_mean = v_mean + v_offset;
    }
    if constexpr (kCamera) {
      float sums[3] = {-v_offset.x, -v_offset.y, -v_offset.z};
      const float sum = block_sums<3, kThreads>(sums);
      const int64_t blocks = (in.gaussians + kThreads - 1) / kThreads;
      if (threadIdx.x < 3) {
        centre_sums[(image * blocks + blockIdx.x % blocks) * 3 + threadIdx.x] = sum;
      }
    }
  }
  if (place.exists) {
    for (int i = 0; i < 3; ++i) out.first[row * in.first_stride + i] = v_coefficients[i];
    if (out.means != nullptr) store_vec3(out.means, row, v_mean);
  }
  // Each lane has read its own row for the last time.
#pragma unroll
  for (int k = 1; k < Rows::kBases; ++k) {
    for (int i = 0; i < 3; ++i) rows.of(k)[i] = v_coefficients[3 * k + i];
  }
  rows.store(out.rest, in.rest_stride, scene_row + place.first(), place.count(in.gaussians),
             3 * (in.bases - 1));
}

// One block per image adds up the blocks' sums, always in the same order.
__global__ void __launch_bounds__(kThreads)
    sum_centre_gradients(const float* centre_sums, int64_t blocks, const float* viewmats, float* v_viewmats) {
  __shared__ double parts[3][kThreads];
  const int64_t image = blockIdx.x;
  double total[3] = {0.0, 0.0, 0.0};
  for (int64_t block = threadIdx.x; block < blocks; block += kThreads) {
    for (int i = 0; i < 3; ++i) total[i] += centre_sums[(image * blocks + block) * 3 + i];
  }
  for (int i = 0; i < 3; ++i) parts[i][threadIdx.x] = total[i];
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int part = 1; part < kThreads; ++part) {
    for (int i = 0; i < 3; ++i) total[i] += parts[i][part];
  }
  Mat3<double> rotation, v_rotation;
  Vec3<double> translation, v_translation;
  load_pose(viewmats + 16 * image, rotation, translation);
  camera_centre_vjp(rotation, translation, {total[0], total[1], total[2]}, v_rotation, v_translation);
  const double column[3] = {v_translation.x, v_translation.y, v_translation.z};
  float* out = v_viewmats + 16 * image;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) out[4 * i + j] = static_cast<float>(v_rotation.m[i][j]);
    out[4 * i + 3] = static_cast<float>(column[i]);
  }
  for (int j = 0; j < 4; ++j) out[12 + j] = 0.0f;
}

template <int kDegree>
void launch_colors(const ShInputs& in, float* colors, Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kThreads, in.gaussians);
  if (grid == 0) return;
  sh_colors<kDegree><<<grid, kThreads, 0, stream>>>(in, colors);
  check_launch("sh_colors");
}

template <int kDegree>
void launch_gradients(const ShInputs& in, const float* colors, const float* v_colors, const ShGrads& out,
                      float* centre_sums, Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches) * blocks_of(kThreads, in.gaussians);
  if (grid == 0) return;
  if (out.viewmats != nullptr) {
    sh_gradients<kDegree, true><<<grid, kThreads, 0, stream>>>(in, colors, v_colors, out, centre_sums);
  } else {
    sh_gradients<kDegree, false><<<grid, kThreads, 0, stream>>>(in, colors, v_colors, out, centre_sums);
  }
  check_launch("sh_gradients");
}

}  // namespace

void spherical_harmonics(const ShInputs& in, float* colors, Stream stream) {
  with_degree(in.degree, [&](auto degree) { launch_colors<degree()>(in, colors, stream); });
}

size_t spherical_harmonics_backward_workspace(const ShInputs& in, bool wants_camera) {
  if (!wants_camera) return 0;
  return sizeof(float) * 3 * in.batches * in.cameras * blocks_of(kThreads, in.gaussians);
}

void spherical_harmonics_backward(const ShInputs& in, const float* colors, const float* v_colors,
                                  const ShGrads& out, void* workspace, Stream stream) {
  float* centre_sums = static_cast<float*>(workspace);
  with_degree(in.degree, [&](auto degree) {
    launch_gradients<degree()>(in, colors, v_colors, out, centre_sums, stream);
  });
  const unsigned images = static_cast<unsigned>(in.batches * in.cameras);
  if (out.viewmats == nullptr || images == 0) return;
  sum_centre_gradients<<<images, kThreads, 0, stream>>>(centre_sums, blocks_of(kThreads, in.gaussians),
                                                        in.viewmats, out.viewmats);
  check_launch("sum_centre_gradients");
}

}  // namespace gsplat::cuda
