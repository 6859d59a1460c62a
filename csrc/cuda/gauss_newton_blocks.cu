// From the moments of splats to the blocks of J^T W J of their Gaussians.
//
// A block is the sum over images of X^T M X, where X are the influences of the parameters on the splat and M
// its moments. A lane for each parameter follows its influence through the projection by forward mode, and
// the lanes of a Gaussian exchange M X. Each SH coefficient moves the colour alone: of those there is only
// the diagonal.
#include <cstring>

#include "cuda/gauss_newton.h"
#include "cuda/harmonics.cuh"
#include "math/cholesky.h"
#include "math/forward_mode.h"
#include "math/gauss_newton.h"

namespace gsplat::cuda {
namespace {

constexpr int kRgb = 3;
constexpr int kGroup = 16;  // lanes of a Gaussian, of which the last five only keep up
constexpr int kThreads = 128;
constexpr int kGaussians = kThreads / kGroup;  // of a block
static_assert(kGeometry <= kGroup);

// Of ln alpha alone; the colour's stays zero.
template <class Model>
__device__ Influence<float> log_alpha_influence(const Camera<float, Model>& camera,
                                                const Gaussian<float, ScaledRotation>& gaussian,
                                                const ProjectOptions<float>& options, int parameter) {
  float axis[kGeometry];
#pragma unroll
  for (int i = 0; i < kGeometry; ++i) axis[i] = i == parameter ? 1.0f : 0.0f;
  Gaussian<float, ScaledRotation> tangent;
  static_assert(sizeof(tangent) == sizeof(axis));
  memcpy(static_cast<void*>(&tangent), axis, sizeof(axis));
  const ProjectedSplat<Dual<float>> s =
      project(constant_camera(camera), moving_gaussian(gaussian, tangent), constants(options));
  const SplatChange<float> change = {
      {s.mean.x.tangent, s.mean.y.tangent}, {s.l11.tangent, s.l21.tangent, s.l22.tangent}, s.opacity.tangent};
  Influence<float> x = {};
  log_alpha_change({s.l11.value, s.l21.value, s.l22.value}, s.opacity.value, change, x.log_alpha);
  return x;
}

// The gradient of a channel by the mean, which moves it through the direction of view.
__device__ Vec3<float> color_gradient(const ShInputs& sh, int64_t row, int channel,
                                      const Vec3<float>& offset) {
  const float* rest = sh.rest + row * sh.rest_stride + channel;
  const int bases = sh_bases(sh.degree);
  float v_basis[kMaxShBases] = {};  // the first basis function is a constant
#pragma unroll
  for (int k = 1; k < kMaxShBases; ++k) {
    if (k < bases) v_basis[k] = rest[3 * (k - 1)];
  }
  return unit_direction_vjp(offset, sh_basis_vjp(sh.degree, unit_direction(offset), v_basis));
}

// What lane `source` has.
__device__ Influence<float> from_lane(const Influence<float>& y, int source) {
  Influence<float> result;
#pragma unroll
  for (int i = 0; i < kQuadratic; ++i) {
    result.log_alpha[i] = __shfl_sync(kAllLanes, y.log_alpha[i], source);
  }
#pragma unroll
  for (int c = 0; c < kRgb; ++c) result.color[c] = __shfl_sync(kAllLanes, y.color[c], source);
  return result;
}

template <class Model>
__global__ void __launch_bounds__(kThreads)
    geometry_blocks(GaussianInputs in, RenderSettings settings, ShInputs sh, const float* colors,
                    const float* moments, float* out) {
  const int64_t blocks = (in.gaussians + kGaussians - 1) / kGaussians, batch = blockIdx.x / blocks;
  const int64_t gaussian = blockIdx.x % blocks * kGaussians + threadIdx.x / kGroup;
  const int64_t row = batch * in.gaussians + gaussian;
  const int parameter = static_cast<int>(threadIdx.x % kGroup), group = lane_index() - parameter;
  const bool exists = gaussian < in.gaussians;
  float sums[kGeometry] = {};  // the parameter's row of the block
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + gaussian;
    const bool visible = exists && is_visible(sh.radii, splat);
    if (__ballot_sync(kAllLanes, visible) == 0) continue;
    Influence<float> x = {}, y = {};
    Vec3<float> gradient = {0.0f, 0.0f, 0.0f};  // of channel `parameter`, zero where it is clamped
    if (visible && parameter < kGeometry) {
      const auto camera = load_camera<float, Model>(in, image);
      const auto g = load_gaussian<ScaledRotation>(in, row);
      x = log_alpha_influence(camera, g, project_options<float>(settings), parameter);
      if (parameter < kRgb && colors[kRgb * splat + parameter] > 0.0f) {
        const Vec3<float> centre = camera_centre(camera.rotation, camera.translation);
        gradient = color_gradient(sh, row, parameter, g.mean - centre);
      }
    }
#pragma unroll
    for (int channel = 0; channel < kRgb; ++channel) {
      const float by_x = __shfl_sync(kAllLanes, gradient.x, group + channel);
      const float by_y = __shfl_sync(kAllLanes, gradient.y, group + channel);
      const float by_z = __shfl_sync(kAllLanes, gradient.z, group + channel);
      x.color[channel] = parameter == 0 ? by_x : parameter == 1 ? by_y : parameter == 2 ? by_z : 0.0f;
    }
    if (visible && parameter < kGeometry) y = multiply_moments(moments + kSplatMoments * splat, x);
#pragma unroll
    for (int b = 0; b < kGeometry; ++b) sums[b] += dot(x, from_lane(y, group + b));
  }
  if (!exists) return;
#pragma unroll
  for (int b = 0; b < kGeometry; ++b) {
    if (b >= parameter) out[kGeometryPairs * row + triangle_place<kGeometry>(parameter, b)] = sums[b];
  }
}

template <int kDegree>
__global__ void __launch_bounds__(kHarmonicsThreads)
    harmonics_diagonals(ShInputs in, const float* colors, const float* moments, GaussNewtonBlocks out) {
  using Rows = CoefficientRows<kDegree>;
  __shared__ float shared[kHarmonicsThreads / kWarp * Rows::kFloats];
  const Rows rows = {{shared + warp_index() * Rows::kFloats}};
  const GaussianPlace<kHarmonicsThreads> place(in.gaussians);
  const int64_t batch = place.scene, scene_row = batch * in.gaussians, row = scene_row + place.gaussian;
  float diagonal[kRgb * Rows::kBases] = {};
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + place.gaussian;
    if (!place.exists || !is_visible(in.radii, splat)) continue;
    float basis[Rows::kBases];
    sh_basis(kDegree, unit_direction(load_vec3(in.means, row) - load_centre(in.viewmats + 16 * image)),
             basis);
#pragma unroll
    for (int channel = 0; channel < kRgb; ++channel) {
      // A channel that is clamped does not move.
      const bool moves = colors[kRgb * splat + channel] > 0.0f;
      const float moment = zero_unless(moves, moments[kSplatMoments * splat + kChannelMoments + channel]);
#pragma unroll
      for (int k = 0; k < Rows::kBases; ++k) {
        float& sum = diagonal[kRgb * k + channel];
        sum = fma(basis[k] * basis[k], moment, sum);
      }
    }
  }
  if (place.exists) {
    for (int i = 0; i < kRgb; ++i) out.first[row * in.first_stride + i] = diagonal[i];
  }
#pragma unroll
  for (int k = 1; k < Rows::kBases; ++k) {
    for (int i = 0; i < kRgb; ++i) rows.of(k)[i] = diagonal[kRgb * k + i];
  }
  rows.store(out.rest, in.rest_stride, scene_row + place.first(), place.count(in.gaussians),
             kRgb * (in.bases - 1));
}

}  // namespace

void gauss_newton_blocks(const GaussianInputs& in, const RenderSettings& settings, const ShInputs& sh,
                         const float* colors, const float* moments, const GaussNewtonBlocks& out,
                         Stream stream) {
  const unsigned batches = static_cast<unsigned>(in.batches);
  if (batches == 0 || in.gaussians == 0) return;
  with_camera(in.camera, [&]<class Model>(Model) {
    geometry_blocks<Model><<<batches * blocks_of(kGaussians, in.gaussians), kThreads, 0, stream>>>(
        in, settings, sh, colors, moments, out.geometry);
  });
  check_launch("geometry_blocks");
  const unsigned grid = batches * blocks_of(kHarmonicsThreads, in.gaussians);
  with_degree(sh.degree, [&](auto degree) {
    harmonics_diagonals<degree()><<<grid, kHarmonicsThreads, 0, stream>>>(sh, colors, moments, out);
  });
  check_launch("harmonics_diagonals");
}

}  // namespace gsplat::cuda
