// The response that a translation unit is compiled for: the build defines GSPLAT_RESPONSE, its name, and
// GSPLAT_RESPONSE_TYPE, its struct (csrc/build_ops.py, from raster/variants.h).
#pragma once

#define GSPLAT_RESPONSE_TEXT(text) #text
#define GSPLAT_RESPONSE_HEADER(path) GSPLAT_RESPONSE_TEXT(path)
// clang-format off
#include GSPLAT_RESPONSE_HEADER(math/response/GSPLAT_RESPONSE.h)
// clang-format on
