// Projection of Gaussians to splats by sigma points.
#include "cpu/rasterizer.h"
#include "cpu/simd/projection_passes.h"

namespace gsplat::GSPLAT_ISA {

void project_unscented(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out) {
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    if (in.motion == nullptr) {
      project_all<Unscented<Float>, Model, Shape>(in, settings, out);
    } else {
      project_all<Unscented<Float, RollingShutter<Float>>, Model, Shape>(in, settings, out);
    }
  });
}

void project_unscented_backward(const GaussianInputs& in, const RenderSettings& settings,
                                const int32_t* radii, const SplatGrads& v, const GaussianGrads& out) {
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    backward_all<Unscented<Float>, Model, Shape>(in, settings, radii, v, out);
  });
}

}  // namespace gsplat::GSPLAT_ISA
