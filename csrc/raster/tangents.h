// What passes between the forward-mode passes of the stages: tangents, the changes of values along one
// direction of the inputs. Shapes are those of the values in raster/types.h.
#pragma once

#include <cstdint>

#include "math/dual.h"
#include "math/response/radial.h"
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
};

}  // namespace gsplat

GSPLAT_MATH_BEGIN

// How one splat's place, shape and opacity change, in the units in which compositing keeps them.
struct MovingSplat {
  float mean_x, mean_y;
  float l11, l21, l22;  // scaled by kRootScale
  float log2_opacity;
};

GSPLAT_HD MovingSplat load_moving(const CompositeInputs& in, const CompositeTangents& t, int64_t id) {
  const float scale = static_cast<float>(kRootScale);
  const float* root = t.shapes + 3 * id;
  return {t.means2d[2 * id], t.means2d[2 * id + 1],
          scale * root[0],   scale * root[1],
          scale * root[2],   log2(Dual<float>(in.opacities[id], t.opacities[id])).tangent};
}

GSPLAT_MATH_END
