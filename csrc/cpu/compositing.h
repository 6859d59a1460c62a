// Compositing on the CPU, forward, backward and in forward mode, for every response of raster/variants.h.
#pragma once

#include "cpu/isa.h"
#include "raster/sightings.h"
#include "raster/tangents.h"
#include "raster/types.h"

// The kernels of the response NAME are in the namespace of that name in that of each instruction set.
// label_weights(): `out` [images, gaussians, labels], which the caller has cleared for culled splats.
// `levels` [count], see response_level() of math/ellipse.h, of splats or of Gaussians.
#define GSPLAT_COMPOSITING_KERNELS                                                      \
  void composite(const CompositeInputs& in, const CompositeOutputs& out);               \
  void composite_backward(const CompositeInputs& in, const CompositeGradInputs& v,      \
                          const CompositeGrads& out);                                   \
  void composite_jvp(const CompositeInputs& in, const CompositeTangents& tangents,      \
                     const CompositeOutputs& out);                                      \
  void contributions(const CompositeInputs& in, Contribution* out);                     \
  void sightings(const CompositeInputs& in, const SightingOutputs& out);                \
  void label_weights(const CompositeInputs& in, const LabelInputs& labels, float* out); \
  void describe_response(ResponseTraits& traits);                                       \
  void response_levels(const float* opacities, const float* extras, int64_t count, float* levels);

#define GSPLAT_DECLARE_FOR_RESPONSE(name, ...) \
  namespace name {                             \
  GSPLAT_COMPOSITING_KERNELS                   \
  }
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_RESPONSES(GSPLAT_DECLARE_FOR_RESPONSE))
#undef GSPLAT_DECLARE_FOR_RESPONSE

// Calls the kernel of a response for the active instruction set.
#define GSPLAT_CALL_FOR_RESPONSE(response, function, ...)                                  \
  do {                                                                                     \
    switch (response) { GSPLAT_RESPONSES(GSPLAT_CASE_OF_RESPONSE, function, __VA_ARGS__) } \
  } while (false)
#define GSPLAT_CASE_OF_RESPONSE(name, type, function, ...) \
  case ::gsplat::ResponseName::name:                       \
    GSPLAT_CALL(name::function, __VA_ARGS__);              \
    break;
