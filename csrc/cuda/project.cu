// Projection of Gaussians to splats by linearization.
#include "cuda/projection_kernels.cuh"

namespace gsplat::cuda {

void project(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
             Stream stream) {
  if (settings.unscented) return project_unscented(in, settings, out, stream);
  launch_splats<Linearized<float>>(in, settings, out, stream);
}

size_t project_backward_workspace(const GaussianInputs& in, bool wants_camera) {
  if (!wants_camera) return 0;
  size_t numbers = 0;
  with_camera(in.camera, [&]<class Model>(Model) { numbers = kCameraNumbers<Model>; });
  return sizeof(float) * numbers * in.batches * in.cameras * blocks_of(kProjectThreads, in.gaussians);
}

void project_backward(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                      const SplatGrads& v, const GaussianGrads& out, void* workspace, Stream stream) {
  if (settings.unscented) {
    return project_unscented_backward(in, settings, radii, v, out, workspace, stream);
  }
  launch_backward<Linearized<float>>(in, settings, radii, v, out, workspace, stream);
}

}  // namespace gsplat::cuda
