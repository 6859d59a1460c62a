// From the moments of splats to the blocks of J^T W J of their Gaussians, one SIMD lane per Gaussian.
//
// A Gaussian's block is the sum over images of X^T M X, where X are the influences of its parameters on the
// splat and M its moments. Each SH coefficient moves the colour alone.
#include <cstring>
#include <vector>

#include "cpu/gauss_newton.h"
#include "cpu/simd/harmonics_lanes.h"
#include "cpu/simd/projection_lanes.h"
#include "math/gauss_newton.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kRgb = 3;
constexpr int kMean = 3;  // the first parameters of the geometry

// X, but for the colours.
template <class Model>
void log_alpha_influences(const Camera<Float, Model>& camera, const Gaussian<Float, ScaledRotation>& g,
                          const ProjectOptions<Float>& options, Influence<Float>* x) {
  const ProjectedSplat<Float> splat = project(camera, g, options);
  // The gradients of the splat's six numbers: mean 2, root 3, opacity.
  Float rows[6][kGeometry];
  const Float zero(0.0f), one(1.0f);
  for (int r = 0; r < 6; ++r) {
    const auto unit = [&](int i) { return i == r ? one : zero; };
    CameraGrad<Float, Model> unused = {};
    const auto v = project_vjp(camera, g, options, {unit(0), unit(1)}, {unit(2), unit(3), unit(4)}, zero,
                               unit(5), unused);
    static_assert(sizeof(v) == sizeof(rows[r]));
    std::memcpy(static_cast<void*>(rows[r]), &v, sizeof(v));
  }
  for (int a = 0; a < kGeometry; ++a) {
    const SplatChange<Float> change = {
        {rows[0][a], rows[1][a]}, {rows[2][a], rows[3][a], rows[4][a]}, rows[5][a]};
    log_alpha_change({splat.l11, splat.l21, splat.l22}, splat.opacity, change, x[a].log_alpha);
  }
}

// The mean moves the three channels through the direction of view, where they are not clamped.
void color_influences(const ShInputs& sh, const Vec3<Float>& offset, const Coefficients& coefficients,
                      const LaneMask* unclamped, Influence<Float>* x) {
  const Vec3<Float> direction = unit_direction(offset);
  for (int c = 0; c < kRgb; ++c) {
    Float v_basis[kMaxShBases];
    for (int k = 0; k < sh_bases(sh.degree); ++k) {
      v_basis[k] = c == 0 ? coefficients.of[k].x : c == 1 ? coefficients.of[k].y : coefficients.of[k].z;
    }
    const Vec3<Float> gradient =
        zero_unless(unclamped[c], unit_direction_vjp(offset, sh_basis_vjp(sh.degree, direction, v_basis)));
    x[0].color[c] = gradient.x;
    x[1].color[c] = gradient.y;
    x[2].color[c] = gradient.z;
    for (int a = kMean; a < kGeometry; ++a) x[a].color[c] = Float(0.0f);
  }
}

struct BlockSums {
  Float geometry[kGeometryPairs];
  Vec3<Float> harmonics[kMaxShBases];
};

// Adds one image's part; lanes outside the mask add nothing.
void add_image(const Influence<Float>* x, const Float* basis, int bases, const LaneMask* unclamped,
               LaneMask m, const Float* moments, BlockSums& sums) {
  Influence<Float> y[kGeometry];
  for (int a = 0; a < kGeometry; ++a) y[a] = multiply_moments(moments, x[a]);
  int pair = 0;
  for (int a = 0; a < kGeometry; ++a) {
    for (int b = a; b < kGeometry; ++b, ++pair) sums.geometry[pair] += zero_unless(m, dot(x[a], y[b]));
  }
  Vec3<Float> channels = {zero_unless(m & unclamped[0], moments[kChannelMoments]),
                          zero_unless(m & unclamped[1], moments[kChannelMoments + 1]),
                          zero_unless(m & unclamped[2], moments[kChannelMoments + 2])};
  for (int k = 0; k < bases; ++k) {
    sums.harmonics[k] = sums.harmonics[k] + zero_unless(m, basis[k] * basis[k]) * channels;
  }
}

template <class Model>
void blocks_of(const GaussianInputs& in, const std::vector<Camera<Float, Model>>& cameras,
               const ProjectOptions<Float>& options, const ShInputs& sh, const float* colors,
               const float* moments, int64_t batch, int64_t first, int count, const GaussNewtonBlocks& out) {
  const int64_t row = batch * in.gaussians + first;
  const int bases = sh_bases(sh.degree);
  BlockSums sums = {};
  Gaussian<Float, ScaledRotation> gaussians;
  Coefficients coefficients;
  bool loaded = false;
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + first;
    const LaneMask m = visible_lanes(sh.radii + 2 * splat, count);
    if (!any(m)) continue;
    if (!loaded) {
      gaussians = load_gaussians<ScaledRotation>(in, row, count);
      load_coefficients(sh, row, count, coefficients);
      loaded = true;
    }
    const Vec3<Float> color = load_vec3(colors + 3 * splat, 3, count);
    const Float zero(0.0f);
    const LaneMask unclamped[kRgb] = {color.x > zero, color.y > zero, color.z > zero};
    const Vec3<Float> offset = gaussians.mean - load_camera_centre(in.viewmats + 16 * image);
    Influence<Float> x[kGeometry];
    log_alpha_influences(cameras[c], gaussians, options, x);
    color_influences(sh, offset, coefficients, unclamped, x);
    Float basis[kMaxShBases];
    sh_basis(sh.degree, unit_direction(offset), basis);
    const auto sums_of =
        LaneBlock<kSplatMoments>::load(moments + kSplatMoments * splat, kSplatMoments, count);
    Float image_moments[kSplatMoments];
    for (int i = 0; i < kSplatMoments; ++i) image_moments[i] = sums_of[i];
    add_image(x, basis, bases, unclamped, m, image_moments, sums);
  }
  LaneBlock<kGeometryPairs> geometry;
  for (int i = 0; i < kGeometryPairs; ++i) geometry.set(i, sums.geometry[i]);
  geometry.store(out.geometry + kGeometryPairs * row, kGeometryPairs, count);
  store_vec3(sums.harmonics[0], out.first + row * sh.first_stride, sh.first_stride, count);
  for (int k = 1; k < sh.bases; ++k) {
    store_vec3(sums.harmonics[k], out.rest + row * sh.rest_stride + 3 * (k - 1), sh.rest_stride, count);
  }
}

}  // namespace

void gauss_newton_blocks(const GaussianInputs& in, const RenderSettings& settings, const ShInputs& sh,
                         const float* colors, const float* moments, const GaussNewtonBlocks& out) {
  const ProjectOptions<Float> options = project_options<Float>(settings);
  with_camera(in.camera, [&]<class Model>(Model) {
    each_gaussian_chunk(in.batches, in.gaussians, [&](const GaussianChunk& chunk) {
      std::vector<Camera<Float, Model>> cameras(in.cameras);
      for (int64_t c = 0; c < in.cameras; ++c) {
        cameras[c] = load_camera<Float, Model>(in, chunk.batch * in.cameras + c);
      }
      chunk.each_block([&](int64_t i, int count) {
        blocks_of(in, cameras, options, sh, colors, moments, chunk.batch, i, count, out);
      });
    });
  });
}

}  // namespace gsplat::GSPLAT_ISA
