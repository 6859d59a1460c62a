// Projection of Gaussians to splats by linearization.
#include "cpu/rasterizer.h"
#include "cpu/simd/projection_passes.h"

namespace gsplat::GSPLAT_ISA {

void project(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out) {
  if (settings.unscented) return project_unscented(in, settings, out);
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    project_all<Linearized<Float>, Model, Shape>(in, settings, out);
  });
}

void project_backward(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                      const SplatGrads& v, const GaussianGrads& out) {
  if (settings.unscented) return project_unscented_backward(in, settings, radii, v, out);
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    backward_all<Linearized<Float>, Model, Shape>(in, settings, radii, v, out);
  });
}

}  // namespace gsplat::GSPLAT_ISA
