// Operators `project_surfels`, `project_surfels_backward` and `project_surfels_jvp`: what pixels need of
// surfels (math/surfel_projection.h). `Kernels` are those of a device.
#pragma once

#include <tuple>
#include <vector>

#include "ops/project_arguments.h"
#include "raster/surfels.h"

namespace gsplat::ops {

// The Gaussians and pinhole cameras of all three.
inline ProjectArguments surfel_arguments(const Tensor& means, const Tensor& quats, const Tensor& scales,
                                         const Tensor& opacities, const Tensor& viewmats, const Tensor& Ks,
                                         int64_t width, int64_t height, const std::vector<double>& settings) {
  return {means, quats,        scales,    std::nullopt, opacities, viewmats,
          Ks,    std::nullopt, "pinhole", width,        height,    settings};
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> project_surfels(Tensor means, Tensor quats,
                                                                           Tensor scales, Tensor opacities,
                                                                           Tensor viewmats, Tensor Ks,
                                                                           int64_t width, int64_t height,
                                                                           std::vector<double> settings) {
  const auto a = surfel_arguments(means, quats, scales, opacities, viewmats, Ks, width, height, settings);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  Tensor means2d = empty_like_device(a.means, {b, c, n, 2});
  Tensor shapes = empty_like_device(a.means, {b, c, n, 3});
  Tensor depths = empty_like_device(a.means, {b, c, n});
  Tensor opacities2d = empty_like_device(a.means, {b, c, n});
  Tensor radii = empty_like_device(a.means, {b, c, n, 2}, ScalarType::Int);
  Tensor canonical = empty_like_device(a.means, {b, c, n, RayInputs::kCanonical});
  const SplatOutputs splats = {mutable_floats(means2d), mutable_floats(shapes), mutable_floats(depths),
                               mutable_floats(opacities2d), mutable_ints(radii)};
  Kernels::project_surfels(a.means, a.inputs, a.settings, {splats, mutable_floats(canonical)});
  return {means2d, shapes, depths, opacities2d, radii, canonical};
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> project_surfels_backward(
    Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor viewmats, Tensor Ks, int64_t width,
    int64_t height, std::vector<double> settings, Tensor radii, Tensor v_depths, Tensor v_opacities2d,
    Tensor v_canonical, bool needs_camera) {
  const auto a = surfel_arguments(means, quats, scales, opacities, viewmats, Ks, width, height, settings);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  radii = packed(radii);
  v_depths = packed(v_depths);
  v_opacities2d = packed(v_opacities2d);
  v_canonical = packed(v_canonical);
  check_tensor(radii, "radii", {b, c, n, 2}, ScalarType::Int);
  check_tensor(v_depths, "v_depths", {b, c, n});
  check_tensor(v_opacities2d, "v_opacities2d", {b, c, n});
  check_tensor(v_canonical, "v_canonical", {b, c, n, RayInputs::kCanonical});
  check_same_device({{"means", a.means},
                     {"radii", radii},
                     {"v_depths", v_depths},
                     {"v_opacities2d", v_opacities2d},
                     {"v_canonical", v_canonical}});
  Tensor v_means = empty_like_device(a.means, {b, n, 3});
  Tensor v_quats = empty_like_device(a.means, {b, n, 4});
  Tensor v_scales = empty_like_device(a.means, {b, n, 3});
  Tensor v_opacities = empty_like_device(a.means, {b, n});
  Tensor v_viewmats = needs_camera ? empty_like_device(a.means, {b, c, 4, 4}) : absent(a.means);
  Tensor v_Ks = needs_camera ? empty_like_device(a.means, {b, c, 3, 3}) : absent(a.means);
  const GaussianGrads out = {mutable_floats(v_means),
                             mutable_floats(v_quats),
                             mutable_floats(v_scales),
                             nullptr,
                             mutable_floats(v_opacities),
                             needs_camera ? mutable_floats(v_viewmats) : nullptr,
                             needs_camera ? mutable_floats(v_Ks) : nullptr,
                             nullptr};
  Kernels::project_surfels_backward(a.means, a.inputs, ints(radii),
                                    {floats(v_depths), floats(v_opacities2d), floats(v_canonical)}, out);
  return {v_means, v_quats, v_scales, v_opacities, v_viewmats, v_Ks};
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor> project_surfels_jvp(Tensor means, Tensor quats, Tensor scales,
                                                       Tensor opacities, Tensor viewmats, Tensor Ks,
                                                       int64_t width, int64_t height,
                                                       std::vector<double> settings, Tensor radii,
                                                       Tensor t_means, Tensor t_quats, Tensor t_scales,
                                                       Tensor t_opacities, Tensor t_viewmats, Tensor t_Ks) {
  const auto a = surfel_arguments(means, quats, scales, opacities, viewmats, Ks, width, height, settings);
  const auto t =
      surfel_arguments(t_means, t_quats, t_scales, t_opacities, t_viewmats, t_Ks, width, height, settings);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  radii = packed(radii);
  check_tensor(t.means, "t_means", {b, n, 3});
  check_tensor(t.viewmats, "t_viewmats", {b, c, 4, 4});
  check_tensor(radii, "radii", {b, c, n, 2}, ScalarType::Int);
  check_same_device({{"means", a.means}, {"t_means", t.means}, {"radii", radii}});
  Tensor t_depths = empty_like_device(a.means, {b, c, n});
  Tensor t_opacities2d = empty_like_device(a.means, {b, c, n});
  Tensor t_canonical = empty_like_device(a.means, {b, c, n, RayInputs::kCanonical});
  Kernels::project_surfels_jvp(
      a.means, a.inputs, t.inputs, ints(radii),
      {mutable_floats(t_depths), mutable_floats(t_opacities2d), mutable_floats(t_canonical)});
  return {t_depths, t_opacities2d, t_canonical};
}

}  // namespace gsplat::ops
