// The camera models of raster/variants.h: their headers, and the choice among them.
#pragma once

#include "math/camera_model.h"
#include "raster/variants.h"

// clang-format off
#define GSPLAT_HEADER(name, Type) GSPLAT_TEXT(math/camera/name.h),
#define GSPLAT_HEADERS GSPLAT_CAMERAS(GSPLAT_HEADER)
#include "raster/listed_headers.h"
// clang-format on

GSPLAT_MATH_BEGIN

// body(Type{}) with the type of a camera model.
template <class Body>
void with_camera(CameraModel model, Body&& body) {
  switch (model) {
#define GSPLAT_CASE(name, Type) \
  case CameraModel::name:       \
    return body(Type{});
    GSPLAT_CAMERAS(GSPLAT_CASE)
#undef GSPLAT_CASE
  }
}

GSPLAT_MATH_END
