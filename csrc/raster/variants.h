// What a renderer can be made of: a part is one header and one line here, and nothing else lists them in C++.
#pragma once

#include <cstdint>

// V(name, Type) for the struct Type of each csrc/math/camera/NAME.h.
#define GSPLAT_CAMERAS(V) \
  V(pinhole, Pinhole)     \
  V(ortho, Ortho)

namespace gsplat {

#define GSPLAT_NAME(name, Type) name,
enum class CameraModel : int32_t { GSPLAT_CAMERAS(GSPLAT_NAME) };
#undef GSPLAT_NAME

}  // namespace gsplat
