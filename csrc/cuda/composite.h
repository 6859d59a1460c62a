// Compositing of splats to images, for every response of raster/variants.h.
#pragma once

#include "cuda/launch.h"
#include "raster/sightings.h"
#include "raster/tangents.h"
#include "raster/types.h"

// The functions of the response NAME are in the namespace of that name.
//
// composite_backward(): `out` must be cleared by the caller; so must that of contributions() and of
// label_weights(), which have a row for every splat. response_levels(): `levels` [count], see
// response_level() of math/ellipse.h, of splats or of Gaussians.
#define GSPLAT_DECLARE_FOR_RESPONSE(name, ...)                                                         \
  namespace name {                                                                                     \
  void composite(const CompositeInputs& in, const CompositeOutputs& out, Stream stream);               \
  void composite_backward(const CompositeInputs& in, const CompositeGradInputs& v,                     \
                          const CompositeGrads& out, Stream stream);                                   \
  void composite_jvp(const CompositeInputs& in, const CompositeTangents& tangents,                     \
                     const CompositeOutputs& out, Stream stream);                                      \
  void contributions(const CompositeInputs& in, Contribution* out, Stream stream);                     \
  void sightings(const CompositeInputs& in, const SightingOutputs& out, Stream stream);                \
  void label_weights(const CompositeInputs& in, const LabelInputs& labels, float* out, Stream stream); \
  void describe_response(ResponseTraits& traits);                                                      \
  void response_levels(const float* opacities, const float* extras, int64_t count, float* levels,      \
                       Stream stream);                                                                 \
  }

namespace gsplat::cuda {

GSPLAT_RESPONSES(GSPLAT_DECLARE_FOR_RESPONSE)

}  // namespace gsplat::cuda

#undef GSPLAT_DECLARE_FOR_RESPONSE

// Calls that of a response.
#define GSPLAT_CUDA_CALL_FOR_RESPONSE(response, function, ...)                                  \
  do {                                                                                          \
    switch (response) { GSPLAT_RESPONSES(GSPLAT_CUDA_CASE_OF_RESPONSE, function, __VA_ARGS__) } \
  } while (false)
#define GSPLAT_CUDA_CASE_OF_RESPONSE(name, type, function, ...) \
  case ::gsplat::ResponseName::name:                            \
    ::gsplat::cuda::name::function(__VA_ARGS__);                \
    break;
