// What passes between the forward-mode passes of the stages: tangents, the changes of values along one
// direction of the inputs. Shapes are those of the values in raster/types.h.
#pragma once

#include <cstdint>

#include "math/dual.h"
#include "math/response/along_rays.h"
#include "math/response/radial.h"
#include "math/response/surfel.h"
#include "math/response/window.h"
#include "raster/types.h"

namespace gsplat {

// Of SplatOutputs; rows of culled splats are zero.
struct SplatTangents {
  float* means2d;
  float* shapes;
  float* depths;
  float* opacities;
};

// Of the tensors of CompositeInputs, backgrounds excepted.
struct CompositeTangents {
  const float* means2d;
  const float* shapes;
  const float* opacities;
  const float* extras;  // null if the response has none
  const float* colors;
  const float* canonical;  // of RayInputs; null where these are
  const float* rays;
};

}  // namespace gsplat

GSPLAT_MATH_BEGIN

// How one splat changes, as the family of its response keeps it.
template <class Family>
GSPLAT_HD typename Family::MovingSplat load_moving(const CompositeInputs& in, const CompositeTangents& t,
                                                   int64_t id) {
  const float* t_root = t.shapes + 3 * id;
  if constexpr (Family::kFlat) {
    const int64_t first = RayInputs::kCanonical * id;
    return surfel_tangent(in.rays.canonical + first, t.canonical + first, t.opacities[id] / in.opacities[id]);
  } else if constexpr (Family::kAlongRays) {
    const float* centre = in.rays.canonical + RayInputs::kCanonical * id + 9;
    const CameraTurn<float> turn({centre[0], centre[1], centre[2]});
    const float* moved = t.canonical + RayInputs::kCanonical * id;
    const RayFrame<float> rows(turn, moved, 0.0f);
    return {rows.first, rows.second, rows.along, turn.turned({moved[9], moved[10], moved[11]}),
            t.opacities[id] / in.opacities[id]};
  } else if constexpr (Family::kIntegrates) {
    const float* root = in.shapes + 3 * id;
    return {root[0],   root[1],   root[2],   {t.means2d[2 * id], t.means2d[2 * id + 1]},
            t_root[0], t_root[1], t_root[2], t.opacities[id] / in.opacities[id]};
  } else {
    const float scale = static_cast<float>(kRootScale);
    return {t.means2d[2 * id], t.means2d[2 * id + 1],
            scale * t_root[0], scale * t_root[1],
            scale * t_root[2], log2(Dual<float>(in.opacities[id], t.opacities[id])).tangent};
  }
}

GSPLAT_MATH_END
