// The camera models of raster/variants.h: their headers, and the choice among them.
#pragma once

#include "math/camera_model.h"
#include "raster/variants.h"

// Includes math/camera/NAME.h for each of them. The preprocessor cannot loop over #include: there are eight
// places, of which those that nobody needs include what is included already.
// clang-format off
#define GSPLAT_TEXT(path) #path
#define GSPLAT_HEADER(name, Type) GSPLAT_TEXT(math/camera/name.h),
#define GSPLAT_NONE "math/camera_model.h"
#define GSPLAT_HEADERS GSPLAT_CAMERAS(GSPLAT_HEADER) \
  GSPLAT_NONE, GSPLAT_NONE, GSPLAT_NONE, GSPLAT_NONE, GSPLAT_NONE, GSPLAT_NONE, GSPLAT_NONE, GSPLAT_NONE
#define GSPLAT_1(a, ...) a
#define GSPLAT_2(a, ...) GSPLAT_1(__VA_ARGS__)
#define GSPLAT_3(a, ...) GSPLAT_2(__VA_ARGS__)
#define GSPLAT_4(a, ...) GSPLAT_3(__VA_ARGS__)
#define GSPLAT_5(a, ...) GSPLAT_4(__VA_ARGS__)
#define GSPLAT_6(a, ...) GSPLAT_5(__VA_ARGS__)
#define GSPLAT_7(a, ...) GSPLAT_6(__VA_ARGS__)
#define GSPLAT_8(a, ...) GSPLAT_7(__VA_ARGS__)
#define GSPLAT_PLACE(n, ...) GSPLAT_##n(__VA_ARGS__)
#include GSPLAT_PLACE(1, GSPLAT_HEADERS)
#include GSPLAT_PLACE(2, GSPLAT_HEADERS)
#include GSPLAT_PLACE(3, GSPLAT_HEADERS)
#include GSPLAT_PLACE(4, GSPLAT_HEADERS)
#include GSPLAT_PLACE(5, GSPLAT_HEADERS)
#include GSPLAT_PLACE(6, GSPLAT_HEADERS)
#include GSPLAT_PLACE(7, GSPLAT_HEADERS)
#include GSPLAT_PLACE(8, GSPLAT_HEADERS)
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
