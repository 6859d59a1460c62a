// Forward mode of projection: the formulas of math/project.h with dual numbers, one thread per splat.
#include "cuda/gaussians.cuh"
#include "cuda/rasterizer_jvp.h"
#include "math/forward_mode.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

template <class Method, class Model, template <class> class Shape>
__global__ void __launch_bounds__(kThreads)
    project_tangents(GaussianInputs in, GaussianInputs tangents, RenderSettings settings,
                     const int32_t* radii, SplatTangents out) {
  const GaussianPlace<kThreads> place(in.gaussians);
  if (!place.exists) return;
  const int64_t image = place.scene, splat = image * in.gaussians + place.gaussian;
  const int64_t row = image / in.cameras * in.gaussians + place.gaussian;
  Vec3<float> mean_and_depth = {0.0f, 0.0f, 0.0f}, root = {0.0f, 0.0f, 0.0f};
  float opacity = 0.0f;
  if (is_visible(radii, splat)) {
    const auto camera =
        moving_camera(load_camera<float, Model>(in, image), load_camera<float, Model>(tangents, image));
    const auto gaussian = moving_gaussian(load_gaussian<Shape>(in, row), load_gaussian<Shape>(tangents, row));
    const ProjectedSplat<Dual<float>> s = constants(MethodOf<Method>::of(settings)).splat(camera, gaussian);
    mean_and_depth = {s.mean.x.tangent, s.mean.y.tangent, s.depth.tangent};
    root = {s.l11.tangent, s.l21.tangent, s.l22.tangent};
    opacity = s.opacity.tangent;
  }
  out.means2d[2 * splat] = mean_and_depth.x;
  out.means2d[2 * splat + 1] = mean_and_depth.y;
  store_vec3(out.shapes, splat, root);
  out.depths[splat] = mean_and_depth.z;
  out.opacities[splat] = opacity;
}

}  // namespace

void project_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const RenderSettings& settings,
                 const int32_t* radii, const SplatTangents& out, Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kThreads, in.gaussians);
  if (grid == 0) return;
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    if (settings.unscented) {
      project_tangents<Unscented<float>, Model, Shape>
          <<<grid, kThreads, 0, stream>>>(in, tangents, settings, radii, out);
    } else {
      project_tangents<Linearized<float>, Model, Shape>
          <<<grid, kThreads, 0, stream>>>(in, tangents, settings, radii, out);
    }
  });
  check_launch("project_tangents");
}

}  // namespace gsplat::cuda
