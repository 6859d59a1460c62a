// Projection of Gaussians to splats by sigma points.
#include "cuda/projection_kernels.cuh"

namespace gsplat::cuda {

void project_unscented(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
                       Stream stream) {
  if (in.motion == nullptr) {
    launch_splats<Unscented<float>>(in, settings, out, stream);
  } else {
    launch_splats<Unscented<float, RollingShutter<float>>>(in, settings, out, stream);
  }
}

void project_unscented_backward(const GaussianInputs& in, const RenderSettings& settings,
                                const int32_t* radii, const SplatGrads& v, const GaussianGrads& out,
                                void* workspace, Stream stream) {
  launch_backward<Unscented<float>>(in, settings, radii, v, out, workspace, stream);
}

}  // namespace gsplat::cuda
