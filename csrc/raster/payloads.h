// The payloads of raster/variants.h: their headers, and all of them in one pack.
#pragma once

#include "math/payload/payload.h"
#include "raster/variants.h"

// clang-format off
#define GSPLAT_HEADER(name, Type) GSPLAT_TEXT(math/payload/name.h),
#define GSPLAT_HEADERS GSPLAT_PAYLOADS(GSPLAT_HEADER)
#include "raster/listed_headers.h"
// clang-format on

GSPLAT_MATH_BEGIN

#define GSPLAT_PLACE_OF(name, Type) \
  template <>                       \
  inline constexpr int kPayloadPlace<Type> = static_cast<int>(PayloadName::name);
GSPLAT_PAYLOADS(GSPLAT_PLACE_OF)
#undef GSPLAT_PLACE_OF

template <class Nothing, class... P>
using PayloadsAfter = Payloads<P...>;
#define GSPLAT_TYPE(name, Type) , Type
using AllPayloads = PayloadsAfter<void GSPLAT_PAYLOADS(GSPLAT_TYPE)>;
#undef GSPLAT_TYPE

GSPLAT_MATH_END
