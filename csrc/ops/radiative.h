// Operators `project_integrals`, `sum_splats`, `voxelize` and their derivatives: radiative fields in pixels
// and voxels, see raster/radiative.h. `Kernels` are those of a device.
#pragma once

#include <cmath>
#include <tuple>
#include <vector>

#include "ops/project.h"
#include "raster/radiative.h"

namespace gsplat::ops {

// The operators `project_integrals` and `project_integrals_backward` are `project` for beams.
template <class Kernels>
struct IntegralKernels {
  static void project(const Tensor& like, const GaussianInputs& in, const RenderSettings& settings,
                      const SplatOutputs& out) {
    check(in);
    Kernels::project_integrals(like, in, settings, out);
  }
  static void project_backward(const Tensor& like, const GaussianInputs& in, const RenderSettings& settings,
                               const int32_t* radii, const SplatGrads& v, const GaussianGrads& out) {
    check(in);
    Kernels::project_integrals_backward(like, in, settings, radii, v, out);
  }

private:
  static void check(const GaussianInputs& in) {
    STD_TORCH_CHECK(in.camera == CameraModel::pinhole || in.camera == CameraModel::ortho,
                    "gsplat_core: argument 'camera' must be 'pinhole' or 'ortho' for line integrals");
    STD_TORCH_CHECK(
        in.covars == nullptr && in.levels == nullptr && in.motion == nullptr,
        "gsplat_core: line integrals need 'quats' and 'scales', and take no levels and no motion");
  }
};

inline float check_unit(double unit) {
  STD_TORCH_CHECK(unit > 0.0 && std::isfinite(unit), "gsplat_core: argument 'unit' must be positive, got ",
                  unit);
  return static_cast<float>(unit);
}

// Keeps the packed copies alive that `lists` points to.
struct ListArguments {
  Tensor tile_offsets, flatten_ids;
  SumLists lists;

  ListArguments(const Tensor& like, const Tensor& offsets, const Tensor& ids, int64_t images, ImageSize image,
                int64_t tile_size)
      : tile_offsets(packed(offsets)), flatten_ids(packed(ids)) {
    const TileGrid grid(image, static_cast<int>(tile_size));
    check_tensor(tile_offsets, "tile_offsets", {images * grid.count() + 1}, ScalarType::Int);
    check_tensor(flatten_ids, "flatten_ids", {kAny}, ScalarType::Int);
    check_same_device({{"means", like}, {"tile_offsets", tile_offsets}, {"flatten_ids", flatten_ids}});
    lists = {static_cast<int32_t>(tile_size), ints(tile_offsets), ints(flatten_ids)};
  }
};

struct SplatSumArguments {
  Tensor means2d, shapes, opacities2d;
  SummedSplats inputs;

  SplatSumArguments(const Tensor& means2d_, const Tensor& shapes_, const Tensor& opacities2d_, int64_t width,
                    int64_t height, double unit)
      : means2d(packed(means2d_)), shapes(packed(shapes_)), opacities2d(packed(opacities2d_)) {
    check_tensor(means2d, "means2d", {kAny, kAny, 2});
    const int64_t images = means2d.size(0), n = means2d.size(1);
    check_tensor(shapes, "shapes", {images, n, 3});
    check_tensor(opacities2d, "opacities2d", {images, n});
    check_same_device({{"means2d", means2d}, {"shapes", shapes}, {"opacities2d", opacities2d}});
    inputs = {
        images,          n, check_image(width, height), floats(means2d), floats(shapes), floats(opacities2d),
        check_unit(unit)};
  }
};

template <class Kernels>
Tensor sum_splats(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets, Tensor flatten_ids,
                  int64_t width, int64_t height, std::vector<double> settings, double unit) {
  const SplatSumArguments a(means2d, shapes, opacities2d, width, height, unit);
  const ListArguments lists(a.means2d, tile_offsets, flatten_ids, a.inputs.images, a.inputs.image,
                            check_settings(settings).tile_size);
  Tensor sums = empty_like_device(a.means2d, {a.inputs.images, height, width});
  Kernels::sum_splats(a.means2d, a.inputs, lists.lists, mutable_floats(sums));
  return sums;
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor> sum_splats_backward(Tensor means2d, Tensor shapes, Tensor opacities2d,
                                                       int64_t width, int64_t height, double unit,
                                                       Tensor v_sums) {
  const SplatSumArguments a(means2d, shapes, opacities2d, width, height, unit);
  const int64_t images = a.inputs.images, n = a.inputs.gaussians;
  v_sums = packed(v_sums);
  check_tensor(v_sums, "v_sums", {images, height, width});
  check_same_device({{"means2d", a.means2d}, {"v_sums", v_sums}});
  Tensor v_means2d = empty_like_device(a.means2d, {images, n, 2}),
         v_shapes = empty_like_device(a.means2d, {images, n, 3});
  Tensor v_opacities2d = empty_like_device(a.means2d, {images, n});
  Kernels::sum_splats_backward(
      a.means2d, a.inputs, floats(v_sums),
      {mutable_floats(v_means2d), mutable_floats(v_shapes), mutable_floats(v_opacities2d)});
  return {v_means2d, v_shapes, v_opacities2d};
}

struct VoxelArguments {
  Tensor means, quats, scales, opacities, radii;
  VoxelInputs inputs;

  VoxelArguments(const Tensor& means_, const Tensor& quats_, const Tensor& scales_, const Tensor& opacities_,
                 const Tensor& radii_, const std::vector<double>& origin, const std::vector<double>& spacing,
                 int64_t nx, int64_t ny, int64_t nz, double unit)
      : means(packed(means_)),
        quats(packed(quats_)),
        scales(packed(scales_)),
        opacities(packed(opacities_)),
        radii(packed(radii_)) {
    check_tensor(means, "means", {kAny, 3});
    const int64_t n = means.size(0);
    check_tensor(quats, "quats", {n, 4});
    check_tensor(scales, "scales", {n, 3});
    check_tensor(opacities, "opacities", {n});
    check_tensor(radii, "radii", {n, 2}, ScalarType::Int);
    check_same_device(
        {{"means", means}, {"quats", quats}, {"scales", scales}, {"opacities", opacities}, {"radii", radii}});
    STD_TORCH_CHECK(origin.size() == 3 && spacing.size() == 3,
                    "gsplat_core: arguments 'origin' and 'spacing' must have 3 numbers, got ", origin.size(),
                    " and ", spacing.size());
    const int64_t shape[3] = {nx, ny, nz};
    inputs = {n,  floats(means),   floats(quats), floats(scales), floats(opacities), ints(radii),
              {}, check_unit(unit)};
    for (int i = 0; i < 3; ++i) {
      STD_TORCH_CHECK(spacing[i] > 0.0, "gsplat_core: argument 'spacing' must be positive, got ", spacing[i]);
      STD_TORCH_CHECK(shape[i] > 0 && shape[i] <= kMostPixelsPerSide,
                      "gsplat_core: a grid must have between 1 and ", kMostPixelsPerSide,
                      " voxels along each axis, got ", shape[i]);
      inputs.grid.origin[i] = static_cast<float>(origin[i]);
      inputs.grid.spacing[i] = static_cast<float>(spacing[i]);
      inputs.grid.shape[i] = static_cast<int32_t>(shape[i]);
    }
  }
};

template <class Kernels>
Tensor voxelize(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor radii,
                Tensor tile_offsets, Tensor flatten_ids, std::vector<double> origin,
                std::vector<double> spacing, int64_t nx, int64_t ny, int64_t nz, double unit) {
  const VoxelArguments a(means, quats, scales, opacities, radii, origin, spacing, nx, ny, nz, unit);
  const ImageSize columns = {static_cast<int32_t>(ny), static_cast<int32_t>(nx)};
  const ListArguments lists(a.means, tile_offsets, flatten_ids, 1, columns, kVoxelTile);
  Tensor volume = empty_like_device(a.means, {nx, ny, nz});
  Kernels::voxelize(a.means, a.inputs, lists.lists, mutable_floats(volume));
  return volume;
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor> voxelize_backward(
    Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor radii, std::vector<double> origin,
    std::vector<double> spacing, int64_t nx, int64_t ny, int64_t nz, double unit, Tensor v_volume) {
  const VoxelArguments a(means, quats, scales, opacities, radii, origin, spacing, nx, ny, nz, unit);
  const int64_t n = a.inputs.gaussians;
  v_volume = packed(v_volume);
  check_tensor(v_volume, "v_volume", {nx, ny, nz});
  check_same_device({{"means", a.means}, {"v_volume", v_volume}});
  Tensor v_means = empty_like_device(a.means, {n, 3}), v_quats = empty_like_device(a.means, {n, 4});
  Tensor v_scales = empty_like_device(a.means, {n, 3}), v_opacities = empty_like_device(a.means, {n});
  Kernels::voxelize_backward(a.means, a.inputs, floats(v_volume),
                             {mutable_floats(v_means), mutable_floats(v_quats), mutable_floats(v_scales),
                              mutable_floats(v_opacities)});
  return {v_means, v_quats, v_scales, v_opacities};
}

}  // namespace gsplat::ops
