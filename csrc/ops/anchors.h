// Operators `decode_anchors` and `decode_anchors_backward`: the splats that networks make of anchors for a
// camera (math/anchors.h). `Kernels` are those of a device.
#pragma once

#include <optional>
#include <tuple>

#include "ops/checks.h"
#include "raster/anchors.h"

namespace gsplat::ops {

// The arguments of both operators, checked.
struct AnchorInputs {
  Tensor positions, features, offsets, offset_scales, scales, centre, frame;
  std::optional<Tensor> visible;
  Tensor networks;
  int64_t hidden;

  int64_t check() {
    check_tensor(positions, "positions", {kAny, 3});
    const int64_t n = positions.size(0);
    check_tensor(features, "features", {n, kAny});
    check_tensor(offsets, "offsets", {n, kAny, 3});
    check_tensor(offset_scales, "offset_scales", {n, 3});
    check_tensor(scales, "scales", {n, 3});
    check_tensor(centre, "centre", {3});
    check_tensor(frame, "frame", {3, 3});
    if (visible.has_value()) check_tensor(*visible, "visible", {n}, ScalarType::Bool);
    check_number("features' must have", features.size(1), kMostAnchorFeatures, "columns");
    check_number("offsets' must have", offsets.size(1), kMostSplatsOfAnchor, "splats");
    check_number("hidden' must be", hidden, kMostHiddenUnits, "units");
    check_tensor(networks, "networks", {shape().numbers()});
    for (Tensor* t : {&positions, &features, &offsets, &offset_scales, &scales, &centre, &frame, &networks}) {
      *t = packed(*t);
    }
    visible = packed(visible);
    check_same_device({{"positions", positions},
                       {"features", features},
                       {"offsets", offsets},
                       {"offset_scales", offset_scales},
                       {"scales", scales},
                       {"centre", centre},
                       {"frame", frame},
                       {"visible", visible},
                       {"networks", networks}});
    return n;
  }

  DecoderShape shape() const {
    return {static_cast<int>(features.size(1)), static_cast<int>(hidden), static_cast<int>(offsets.size(1))};
  }

  AnchorArrays arrays() const {
    return {floats(positions),
            floats(features),
            floats(offsets),
            floats(offset_scales),
            floats(scales),
            floats(centre),
            floats(frame),
            visible.has_value() ? static_cast<const uint8_t*>(visible->const_data_ptr()) : nullptr,
            floats(networks),
            shape()};
  }

private:
  static void check_number(const char* what, int64_t number, int most, const char* unit) {
    STD_TORCH_CHECK(number >= 1 && number <= most, "gsplat_core: argument '", what, " between 1 and ", most,
                    " ", unit, ", got ", number);
  }
};

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> decode_anchors(Tensor positions, Tensor features,
                                                                  Tensor offsets, Tensor offset_scales,
                                                                  Tensor scales, Tensor centre, Tensor frame,
                                                                  std::optional<Tensor> visible,
                                                                  Tensor networks, int64_t hidden) {
  AnchorInputs in = {positions, features, offsets, offset_scales, scales,
                     centre,    frame,    visible, networks,      hidden};
  const int64_t n = in.check(), splats = n * in.shape().splats;
  Tensor means = empty_like_device(positions, {splats, 3}), quats = empty_like_device(positions, {splats, 4});
  Tensor linear_scales = empty_like_device(positions, {splats, 3}),
         opacities = empty_like_device(positions, {splats});
  Tensor colors = empty_like_device(positions, {splats, 3});
  Kernels::decode(in.positions, in.arrays(),
                  {mutable_floats(means), mutable_floats(quats), mutable_floats(linear_scales),
                   mutable_floats(opacities), mutable_floats(colors)},
                  n);
  return {means, quats, linear_scales, opacities, colors};
}

// `wants_along`: whether the part of the positions' gradient that comes through the direction is returned,
// too, else that is empty.
template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> decode_anchors_backward(
    Tensor positions, Tensor features, Tensor offsets, Tensor offset_scales, Tensor scales, Tensor centre,
    Tensor frame, std::optional<Tensor> visible, Tensor networks, int64_t hidden, Tensor v_means,
    Tensor v_quats, Tensor v_linear_scales, Tensor v_opacities, Tensor v_colors, bool wants_along) {
  AnchorInputs in = {positions, features, offsets, offset_scales, scales,
                     centre,    frame,    visible, networks,      hidden};
  const int64_t n = in.check(), splats = n * in.shape().splats;
  check_tensor(v_means, "v_means", {splats, 3});
  check_tensor(v_quats, "v_quats", {splats, 4});
  check_tensor(v_linear_scales, "v_linear_scales", {splats, 3});
  check_tensor(v_opacities, "v_opacities", {splats});
  check_tensor(v_colors, "v_colors", {splats, 3});
  for (Tensor* t : {&v_means, &v_quats, &v_linear_scales, &v_opacities, &v_colors}) *t = packed(*t);
  check_same_device({{"positions", in.positions},
                     {"v_means", v_means},
                     {"v_quats", v_quats},
                     {"v_linear_scales", v_linear_scales},
                     {"v_opacities", v_opacities},
                     {"v_colors", v_colors}});
  Tensor of_positions = empty_like_device(positions, {n, 3});
  Tensor of_features = empty_like_device(positions, {n, in.shape().features});
  Tensor of_offsets = empty_like_device(positions, {n, in.shape().splats, 3});
  Tensor of_offset_scales = empty_like_device(positions, {n, 3});
  Tensor of_scales = empty_like_device(positions, {n, 3});
  Tensor along = wants_along ? empty_like_device(positions, {n, 3}) : absent(positions);
  Tensor of_networks = empty_like_device(positions, {in.shape().numbers()});
  Kernels::backward(
      in.positions, in.arrays(),
      {floats(v_means), floats(v_quats), floats(v_linear_scales), floats(v_opacities), floats(v_colors)},
      {mutable_floats(of_positions), mutable_floats(of_features), mutable_floats(of_offsets),
       mutable_floats(of_offset_scales), mutable_floats(of_scales),
       wants_along ? mutable_floats(along) : nullptr, mutable_floats(of_networks)},
      n);
  return {of_positions, of_features, of_offsets, of_offset_scales, of_scales, along, of_networks};
}

}  // namespace gsplat::ops
