// Operators that make meshes of depth images.
#include "cpu/tsdf.h"

#include <torch/csrc/stable/library.h>

#include <cmath>
#include <cstring>
#include <tuple>
#include <vector>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

const double* doubles(const Tensor& tensor) { return static_cast<const double*>(tensor.const_data_ptr()); }
const int64_t* longs(const Tensor& tensor) { return static_cast<const int64_t*>(tensor.const_data_ptr()); }

template <class Value>
Tensor as_tensor(const std::vector<Value>& values, const Tensor& like, int64_t columns, ScalarType dtype) {
  const auto rows = static_cast<int64_t>(values.size()) / columns;
  Tensor result =
      columns == 1 ? empty_like_device(like, {rows}, dtype) : empty_like_device(like, {rows, columns}, dtype);
  if (!values.empty()) std::memcpy(result.mutable_data_ptr(), values.data(), values.size() * sizeof(Value));
  return result;
}

VoxelGrid check_grid(double side, double truncation) {
  STD_TORCH_CHECK(side > 0 && std::isfinite(side), "gsplat_core: argument 'side' must be positive, got ",
                  side);
  STD_TORCH_CHECK(truncation >= side && std::isfinite(truncation),
                  "gsplat_core: argument 'truncation' must be at least 'side', got ", truncation);
  return {side, truncation};
}

// These check tensors, and pack them.
DepthView check_view(Tensor& depths, Tensor& weights, Tensor& viewmat, Tensor& K) {
  check_tensor(depths, "depths", {kAny, kAny});
  const int64_t height = depths.size(0), width = depths.size(1);
  check_image(width, height);
  check_tensor(weights, "weights", {height, width});
  check_tensor(viewmat, "viewmat", {4, 4}, ScalarType::Double);
  check_tensor(K, "K", {3, 3}, ScalarType::Double);
  depths = packed(depths);
  weights = packed(weights);
  viewmat = packed(viewmat);
  K = packed(K);
  for (int i = 0; i < 16; ++i) {
    STD_TORCH_CHECK(std::isfinite(doubles(viewmat)[i]), "gsplat_core: argument 'viewmat' must be finite");
  }
  STD_TORCH_CHECK(doubles(K)[0] > 0 && doubles(K)[4] > 0 && std::isfinite(doubles(K)[0]) &&
                      std::isfinite(doubles(K)[4]) && std::isfinite(doubles(K)[2]) &&
                      std::isfinite(doubles(K)[5]),
                  "gsplat_core: argument 'K' must have positive focal lengths and be finite");
  return {doubles(viewmat), doubles(K), width, height, floats(depths), floats(weights)};
}

int64_t check_keys(Tensor& keys) {
  check_tensor(keys, "keys", {kAny}, ScalarType::Long);
  keys = packed(keys);
  for (int64_t i = 1; i < keys.size(0); ++i) {
    STD_TORCH_CHECK(longs(keys)[i - 1] < longs(keys)[i], "gsplat_core: argument 'keys' must ascend, but row ",
                    i, " does not");
  }
  return keys.size(0);
}

void check_voxels(const Tensor& voxels, int64_t blocks) {
  check_tensor(voxels, "voxels", {blocks, kBlockVoxels, kVoxelValues});
  STD_TORCH_CHECK(voxels.is_contiguous(), "gsplat_core: argument 'voxels' must be contiguous");
}

Tensor tsdf_blocks(Tensor depths, Tensor weights, Tensor viewmat, Tensor K, double side, double truncation) {
  const VoxelGrid grid = check_grid(side, truncation);
  const DepthView view = check_view(depths, weights, viewmat, K);
  return as_tensor(blocks_near_surfaces(view, grid), depths, 1, ScalarType::Long);
}

void tsdf_integrate(Tensor voxels, Tensor keys, Tensor depths, Tensor weights, Tensor colors, Tensor viewmat,
                    Tensor K, double side, double truncation) {
  const VoxelGrid grid = check_grid(side, truncation);
  const DepthView view = check_view(depths, weights, viewmat, K);
  check_tensor(colors, "colors", {view.height, view.width, 3});
  colors = packed(colors);
  const int64_t blocks = check_keys(keys);
  check_voxels(voxels, blocks);
  integrate_view(view, floats(colors), grid, longs(keys), blocks, mutable_floats(voxels));
}

std::tuple<Tensor, Tensor, Tensor> tsdf_mesh(Tensor voxels, Tensor keys, double side, double least_weight) {
  check_grid(side, side);
  const int64_t blocks = check_keys(keys);
  check_voxels(voxels, blocks);
  STD_TORCH_CHECK(blocks <= kMostMeshedBlocks, "gsplat_core: argument 'keys' must name at most ",
                  kMostMeshedBlocks, " blocks, got ", blocks);
  const ColoredMesh mesh = mesh_of_zeros(floats(voxels), longs(keys), blocks, side, least_weight);
  return {as_tensor(mesh.vertices, voxels, 3, ScalarType::Float),
          as_tensor(mesh.faces, voxels, 3, ScalarType::Int),
          as_tensor(mesh.colors, voxels, 3, ScalarType::Float)};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "tsdf_blocks(Tensor depths, Tensor weights, Tensor viewmat, Tensor K, float side, float truncation) "
      "-> Tensor");
  m.def(
      "tsdf_integrate(Tensor(a!) voxels, Tensor keys, Tensor depths, Tensor weights, Tensor colors, "
      "Tensor viewmat, Tensor K, float side, float truncation) -> ()");
  m.def("tsdf_mesh(Tensor voxels, Tensor keys, float side, float least_weight) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("tsdf_blocks", TORCH_BOX(&tsdf_blocks));
  m.impl("tsdf_integrate", TORCH_BOX(&tsdf_integrate));
  m.impl("tsdf_mesh", TORCH_BOX(&tsdf_mesh));
}

}  // namespace gsplat::ops
