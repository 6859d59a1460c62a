// Forward mode of projection: the formulas of math/project.h with dual numbers, one SIMD lane per Gaussian.
#include "cpu/rasterizer_jvp.h"
#include "cpu/simd/projection_lanes.h"
#include "math/forward_mode.h"

namespace gsplat::GSPLAT_ISA {
namespace {

template <class Method, class Model, template <class> class Shape>
void project_all(const GaussianInputs& in, const GaussianInputs& tangents, const RenderSettings& settings,
                 const int32_t* radii, const SplatTangents& out) {
  const int64_t n = in.gaussians;
  const auto method = constants(MethodOf<Method>::of(settings));
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const auto camera =
          moving_camera(load_camera<Float, Model>(in, image), load_camera<Float, Model>(tangents, image));
      chunk.each_block([&](int64_t i, int count) {
        const int64_t row = chunk.batch * n + i, splat = image * n + i;
        const LaneMask m = visible_lanes(radii + 2 * splat, count);
        LaneBlock<2> mean;
        LaneBlock<3> root;
        LaneBlock<1> depth, opacity;
        if (any(m)) {
          const auto gaussians = moving_gaussian(load_gaussians<Shape>(in, row, count),
                                                 load_gaussians<Shape>(tangents, row, count));
          const ProjectedSplat<Dual<Float>> s = method.splat(camera, gaussians);
          mean.set(0, zero_unless(m, s.mean.x.tangent));
          mean.set(1, zero_unless(m, s.mean.y.tangent));
          root.set(0, zero_unless(m, s.l11.tangent));
          root.set(1, zero_unless(m, s.l21.tangent));
          root.set(2, zero_unless(m, s.l22.tangent));
          depth.set(0, zero_unless(m, s.depth.tangent));
          opacity.set(0, zero_unless(m, s.opacity.tangent));
        } else {
          mean = LaneBlock<2>::load(nullptr, 0, 0);
          root = LaneBlock<3>::load(nullptr, 0, 0);
          depth = opacity = LaneBlock<1>::load(nullptr, 0, 0);
        }
        mean.store(out.means2d + 2 * splat, 2, count);
        root.store(out.shapes + 3 * splat, 3, count);
        depth.store(out.depths + splat, 1, count);
        opacity.store(out.opacities + splat, 1, count);
      });
    }
  });
}

}  // namespace

void project_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const RenderSettings& settings,
                 const int32_t* radii, const SplatTangents& out) {
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    if (settings.unscented) {
      project_all<Unscented<Float>, Model, Shape>(in, tangents, settings, radii, out);
    } else {
      project_all<Linearized<Float>, Model, Shape>(in, tangents, settings, radii, out);
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
