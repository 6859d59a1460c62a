// Operators `directional_slices` and `directional_slices_backward`: what a camera sees of Gaussians over
// places and directions (math/directional.h). `Kernels` are those of a device.
#pragma once

#include <tuple>

#include "ops/checks.h"
#include "raster/directional.h"

namespace gsplat::ops {

// The arguments of both operators, checked.
struct DirectionalInputs {
  Tensor means, opacities, directions, lobe_quats, lobe_scales, slopes, centre;
  double falloff;

  int64_t check() {
    check_tensor(means, "means", {kAny, 3});
    const int64_t n = means.size(0);
    check_tensor(opacities, "opacities", {n});
    check_tensor(directions, "directions", {n, 3});
    check_tensor(lobe_quats, "lobe_quats", {n, 4});
    check_tensor(lobe_scales, "lobe_scales", {n, 3});
    check_tensor(slopes, "slopes", {n, 3, 3});
    check_tensor(centre, "centre", {3});
    for (Tensor* t : {&means, &opacities, &directions, &lobe_quats, &lobe_scales, &slopes, &centre}) {
      *t = packed(*t);
    }
    check_same_device({{"means", means},
                       {"opacities", opacities},
                       {"directions", directions},
                       {"lobe_quats", lobe_quats},
                       {"lobe_scales", lobe_scales},
                       {"slopes", slopes},
                       {"centre", centre}});
    return n;
  }

  DirectionalArrays arrays() const {
    return {floats(means),       floats(opacities), floats(directions), floats(lobe_quats),
            floats(lobe_scales), floats(slopes),    floats(centre),     static_cast<float>(falloff)};
  }
};

template <class Kernels>
std::tuple<Tensor, Tensor> directional_slices(Tensor means, Tensor opacities, Tensor directions,
                                              Tensor lobe_quats, Tensor lobe_scales, Tensor slopes,
                                              Tensor centre, double falloff, bool) {
  DirectionalInputs in = {means, opacities, directions, lobe_quats, lobe_scales, slopes, centre, falloff};
  const int64_t n = in.check();
  Tensor seen = empty_like_device(in.means, {n, 3});
  Tensor shown = empty_like_device(in.means, {n});
  Kernels::slices(in.means, in.arrays(), {mutable_floats(seen), mutable_floats(shown)}, n);
  return {seen, shown};
}

// `detached`: whether the direction is a constant to the means; `wants_along`: whether the part of their
// gradient that comes through it is returned, too, else that is empty.
template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> directional_slices_backward(
    Tensor means, Tensor opacities, Tensor directions, Tensor lobe_quats, Tensor lobe_scales, Tensor slopes,
    Tensor centre, double falloff, bool detached, Tensor v_means, Tensor v_opacities, bool wants_along) {
  DirectionalInputs in = {means, opacities, directions, lobe_quats, lobe_scales, slopes, centre, falloff};
  const int64_t n = in.check();
  check_tensor(v_means, "v_means", {n, 3});
  check_tensor(v_opacities, "v_opacities", {n});
  v_means = packed(v_means);
  v_opacities = packed(v_opacities);
  check_same_device({{"means", in.means}, {"v_means", v_means}, {"v_opacities", v_opacities}});
  Tensor of_means = empty_like_device(means, {n, 3}), of_opacities = empty_like_device(means, {n});
  Tensor of_directions = empty_like_device(means, {n, 3}), of_quats = empty_like_device(means, {n, 4});
  Tensor of_scales = empty_like_device(means, {n, 3}), of_slopes = empty_like_device(means, {n, 3, 3});
  Tensor along = wants_along ? empty_like_device(means, {n, 3}) : absent(means);
  Kernels::backward(
      in.means, in.arrays(),
      {floats(v_means), floats(v_opacities), !detached, mutable_floats(of_means),
       mutable_floats(of_opacities), mutable_floats(of_directions), mutable_floats(of_quats),
       mutable_floats(of_scales), mutable_floats(of_slopes), wants_along ? mutable_floats(along) : nullptr},
      n);
  return {of_means, of_opacities, of_directions, of_quats, of_scales, of_slopes, along};
}

}  // namespace gsplat::ops
