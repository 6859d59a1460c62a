// Forward mode of view-dependent colours, one thread per Gaussian.
#include "cuda/harmonics.cuh"
#include "cuda/rasterizer_jvp.h"
#include "math/forward_mode.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = kHarmonicsThreads;

__device__ Vec3<Dual<float>> load_moving_centre(const float* viewmat, const float* t_viewmat) {
  Mat3<float> rotation, t_rotation;
  Vec3<float> translation, t_translation;
  load_pose(viewmat, rotation, translation);
  load_pose(t_viewmat, t_rotation, t_translation);
  return camera_centre(join<float, Mat3<Dual<float>>>(rotation, t_rotation),
                       join<float, Vec3<Dual<float>>>(translation, t_translation));
}

template <int kDegree>
__global__ void __launch_bounds__(kThreads)
    sh_tangents(ShInputs in, ShInputs tangents, const float* colors, float* out) {
  using Rows = CoefficientRows<kDegree>;
  __shared__ float shared[kThreads / kWarp * Rows::kFloats];
  const Rows rows = {{shared + warp_index() * Rows::kFloats}};
  const GaussianPlace<kThreads> place(in.gaussians);
  const int64_t image = place.scene, scene_row = image / in.cameras * in.gaussians;
  const int64_t splat = image * in.gaussians + place.gaussian, row = scene_row + place.gaussian;
  const bool visible = place.exists && is_visible(in.radii, splat);
  const uint32_t visible_lanes = __ballot_sync(kAllLanes, visible);

  Dual<float> basis[Rows::kBases];
  Vec3<float> tangent = {0.0f, 0.0f, 0.0f};
  // What the direction changes ...
  rows.load(in.rest, in.rest_stride, scene_row + place.first(), visible_lanes);
  if (visible) {
    const auto mean =
        join<float, Vec3<Dual<float>>>(load_vec3(in.means, row), load_vec3(tangents.means, row));
    const auto centre = load_moving_centre(in.viewmats + 16 * image, tangents.viewmats + 16 * image);
    sh_basis(kDegree, unit_direction(mean - centre), basis);  // the first one is a constant
#pragma unroll
    for (int k = 1; k < Rows::kBases; ++k) tangent = tangent + basis[k].tangent * rows[k];
  }
  // ... and what the coefficients do, which take the places of the values.
  __syncwarp();
  rows.load(tangents.rest, tangents.rest_stride, scene_row + place.first(), visible_lanes);
  if (!place.exists) return;
  if (visible) {
    const float* first = tangents.first + row * tangents.first_stride;
    tangent = tangent + basis[0].value * Vec3<float>{first[0], first[1], first[2]};
#pragma unroll
    for (int k = 1; k < Rows::kBases; ++k) tangent = tangent + basis[k].value * rows[k];
    // A channel that was clamped at zero stays there.
    const Vec3<float> color = load_vec3(colors, splat);
    tangent = {zero_unless(color.x > 0.0f, tangent.x), zero_unless(color.y > 0.0f, tangent.y),
               zero_unless(color.z > 0.0f, tangent.z)};
  }
  store_vec3(out, splat, tangent);
}

}  // namespace

void spherical_harmonics_jvp(const ShInputs& in, const ShInputs& tangents, const float* colors, float* out,
                             Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kThreads, in.gaussians);
  if (grid == 0) return;
  with_degree(in.degree, [&](auto degree) {
    sh_tangents<degree()><<<grid, kThreads, 0, stream>>>(in, tangents, colors, out);
  });
  check_launch("sh_tangents");
}

}  // namespace gsplat::cuda
