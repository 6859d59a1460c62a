// Operators `project_integrals`, `sum_splats`, `voxelize` and their derivatives on the CPU, and their
// schemas.
#include "ops/radiative.h"

#include <torch/csrc/stable/library.h>

#include "cpu/radiative.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void project_integrals(const Tensor&, const GaussianInputs& in, const RenderSettings& settings,
                                const SplatOutputs& out) {
    GSPLAT_CALL(project_integrals, in, settings, out);
  }
  static void project_integrals_backward(const Tensor&, const GaussianInputs& in,
                                         const RenderSettings& settings, const int32_t* radii,
                                         const SplatGrads& v, const GaussianGrads& out) {
    GSPLAT_CALL(project_integrals_backward, in, settings, radii, v, out);
  }
  static void sum_splats(const Tensor&, const SummedSplats& in, const SumLists& lists, float* sums) {
    GSPLAT_CALL(sum_splats, in, lists, sums);
  }
  static void sum_splats_backward(const Tensor&, const SummedSplats& in, const float* v_sums,
                                  const SummedSplatGrads& out) {
    GSPLAT_CALL(sum_splats_backward, in, v_sums, out);
  }
  static void voxelize(const Tensor&, const VoxelInputs& in, const SumLists& lists, float* volume) {
    GSPLAT_CALL(voxelize, in, lists, volume);
  }
  static void voxelize_backward(const Tensor&, const VoxelInputs& in, const float* v_volume,
                                const VoxelGrads& out) {
    GSPLAT_CALL(voxelize_backward, in, v_volume, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "project_integrals(Tensor means, Tensor? quats, Tensor? scales, Tensor? covars, Tensor opacities, "
      "Tensor "
      "viewmats, Tensor Ks, Tensor? lens, str camera, int width, int height, float[] settings, Tensor? "
      "levels=None, Tensor? motion=None) -> "
      "(Tensor means2d, Tensor shapes, Tensor depths, Tensor opacities2d, Tensor radii)");
  m.def(
      "project_integrals_backward(Tensor means, Tensor? quats, Tensor? scales, Tensor? covars, Tensor "
      "opacities, "
      "Tensor viewmats, Tensor Ks, Tensor? lens, str camera, int width, int height, float[] settings, "
      "Tensor radii, Tensor v_means2d, Tensor v_shapes, Tensor v_depths, Tensor v_opacities2d, bool "
      "needs_camera) -> "
      "(Tensor v_means, Tensor v_quats, Tensor v_scales, Tensor v_covars, Tensor v_opacities, "
      "Tensor v_viewmats, Tensor v_Ks, Tensor v_lens)");
  m.def(
      "sum_splats(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets, Tensor "
      "flatten_ids, "
      "int width, int height, float[] settings, float unit) -> Tensor");
  m.def(
      "sum_splats_backward(Tensor means2d, Tensor shapes, Tensor opacities2d, int width, int height, float "
      "unit, Tensor v_sums) -> (Tensor v_means2d, Tensor v_shapes, Tensor v_opacities2d)");
  m.def(
      "voxelize(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor radii, Tensor "
      "tile_offsets, "
      "Tensor flatten_ids, float[] origin, float[] spacing, int nx, int ny, int nz, float unit) -> Tensor");
  m.def(
      "voxelize_backward(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor radii, float[] "
      "origin, float[] spacing, int nx, int ny, int nz, float unit, Tensor v_volume) -> (Tensor v_means, "
      "Tensor "
      "v_quats, Tensor v_scales, Tensor v_opacities)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("project_integrals", TORCH_BOX(&project<IntegralKernels<CpuKernels>>));
  m.impl("project_integrals_backward", TORCH_BOX(&project_backward<IntegralKernels<CpuKernels>>));
  m.impl("sum_splats", TORCH_BOX(&sum_splats<CpuKernels>));
  m.impl("sum_splats_backward", TORCH_BOX(&sum_splats_backward<CpuKernels>));
  m.impl("voxelize", TORCH_BOX(&voxelize<CpuKernels>));
  m.impl("voxelize_backward", TORCH_BOX(&voxelize_backward<CpuKernels>));
}

}  // namespace gsplat::ops
