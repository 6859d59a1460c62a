// Projection of radiative fields to the splats of their line integrals.
#include "cpu/radiative.h"
#include "cpu/simd/projection_passes.h"
#include "raster/line_integrals.h"

namespace gsplat::GSPLAT_ISA {

void project_integrals(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out) {
  with_beam(in.camera, [&]<class Model>(Model) {
    project_all<LineIntegral<Float>, Model, ScaledRotation>(in, settings, out);
  });
}

void project_integrals_backward(const GaussianInputs& in, const RenderSettings& settings,
                                const int32_t* radii, const SplatGrads& v, const GaussianGrads& out) {
  with_beam(in.camera, [&]<class Model>(Model) {
    backward_all<LineIntegral<Float>, Model, ScaledRotation>(in, settings, radii, v, out);
  });
}

}  // namespace gsplat::GSPLAT_ISA
