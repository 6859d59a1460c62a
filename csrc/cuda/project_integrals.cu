// Projection of radiative fields to the splats of their line integrals.
#include "cuda/projection_kernels.cuh"
#include "cuda/radiative.h"
#include "raster/line_integrals.h"

namespace gsplat::cuda {

void project_integrals(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
                       Stream stream) {
  const unsigned grid =
      static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kProjectThreads, in.gaussians);
  if (grid == 0) return;
  with_beam(in.camera, [&]<class Model>(Model) {
    project_splats<LineIntegral<float>, Model, ScaledRotation, false>
        <<<grid, kProjectThreads, 0, stream>>>(in, settings, out);
  });
  check_launch("project_splats");
}

size_t project_integrals_backward_workspace(const GaussianInputs& in, bool wants_camera) {
  if (!wants_camera) return 0;
  return sizeof(float) * kCameraNumbers<Pinhole> * in.batches * in.cameras *
         blocks_of(kProjectThreads, in.gaussians);
}

void project_integrals_backward(const GaussianInputs& in, const RenderSettings& settings,
                                const int32_t* radii, const SplatGrads& v, const GaussianGrads& out,
                                void* workspace, Stream stream) {
  float* const camera_sums = static_cast<float*>(workspace);
  with_beam(in.camera, [&]<class Model>(Model) {
    launch_gradients<LineIntegral<float>, Model, ScaledRotation>(in, settings, radii, v, out, camera_sums,
                                                                 stream);
    const unsigned images = static_cast<unsigned>(in.batches * in.cameras);
    if (out.viewmats == nullptr || images == 0) return;
    sum_camera_gradients<Model>
        <<<images, kProjectThreads, 0, stream>>>(camera_sums, blocks_of(kProjectThreads, in.gaussians), out);
    check_launch("sum_camera_gradients");
  });
}

}  // namespace gsplat::cuda
