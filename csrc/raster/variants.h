// What a renderer can be made of: a part is one header and one line here, and nothing else lists them in C++.
// The build (csrc/build_units.py) reads the lines, dispatch and declarations are made of them, and Python
// asks an operator (csrc/ops/variants.cpp).
#pragma once

#include <cstdint>

// V(name, Type) for the struct Type of each csrc/math/camera/NAME.h.
#define GSPLAT_CAMERAS(V)             \
  V(pinhole, Pinhole)                 \
  V(ortho, Ortho)                     \
  V(fisheye, Fisheye)                 \
  V(opencv, Opencv)                   \
  V(equirectangular, Equirectangular) \
  V(ftheta, FTheta)

// V(name, Type, ...) for the struct Type of each csrc/math/response/NAME.h; the kernels of
// {cpu/kernels,cuda}/response are compiled for each of them.
#define GSPLAT_RESPONSES(V, ...)                                        \
  V(gaussian, GaussianResponse __VA_OPT__(, ) __VA_ARGS__)              \
  V(generalized, GeneralizedResponse __VA_OPT__(, ) __VA_ARGS__)        \
  V(analytic, AnalyticResponse __VA_OPT__(, ) __VA_ARGS__)              \
  V(ray, RayResponse __VA_OPT__(, ) __VA_ARGS__)                        \
  V(ray_generalized, RayGeneralizedResponse __VA_OPT__(, ) __VA_ARGS__) \
  V(surfel, SurfelResponse __VA_OPT__(, ) __VA_ARGS__)

// V(name, Type) for the struct Type of each csrc/math/payload/NAME.h: what the backward pass sums up per
// splat if it is asked to. Their sums lie in this order.
#define GSPLAT_PAYLOADS(V)  \
  V(statistics, Statistics) \
  V(absgrad, AbsGrad)

// V(name, Type, ...) for the struct Type of each csrc/math/compositor/NAME.h: there is one, which all kernels
// use; compositor/over.h says what a second one takes.
#define GSPLAT_COMPOSITORS(V, ...) V(over, Over __VA_OPT__(, ) __VA_ARGS__)

namespace gsplat {

#define GSPLAT_NAME(name, ...) name,
enum class CameraModel : int32_t { GSPLAT_CAMERAS(GSPLAT_NAME) };
enum class ResponseName : int32_t { GSPLAT_RESPONSES(GSPLAT_NAME) };
enum class PayloadName : int32_t { GSPLAT_PAYLOADS(GSPLAT_NAME) };
#undef GSPLAT_NAME

#define GSPLAT_ONE(name, Type) +1
inline constexpr int kPayloads = GSPLAT_PAYLOADS(GSPLAT_ONE);
#undef GSPLAT_ONE

// What one must know of a response without its formulas, see math/response/radial.h.
struct ResponseTraits {
  int extras;
  bool quadratic;
  bool integrates;  // over the window of a pixel, math/response/window.h
  bool along_rays;  // of the pixels through the Gaussian in the world, which RayInputs describe
  bool flat;        // of surfels, which pixels see at depths of their own, math/response/surfel.h
};

}  // namespace gsplat
