// Includes the headers of GSPLAT_HEADERS, a list with a comma behind each, and forgets it and GSPLAT_HEADER.
//
// The preprocessor cannot loop over #include: there are eight places, of which those that nobody needs
// include a header that has no effect. No #pragma once: it is included for each list.
// clang-format off
#define GSPLAT_TEXT(path) #path
#define GSPLAT_NONE "math/scalar.h"
#define GSPLAT_PLACES GSPLAT_HEADERS \
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
#include GSPLAT_PLACE(1, GSPLAT_PLACES)
#include GSPLAT_PLACE(2, GSPLAT_PLACES)
#include GSPLAT_PLACE(3, GSPLAT_PLACES)
#include GSPLAT_PLACE(4, GSPLAT_PLACES)
#include GSPLAT_PLACE(5, GSPLAT_PLACES)
#include GSPLAT_PLACE(6, GSPLAT_PLACES)
#include GSPLAT_PLACE(7, GSPLAT_PLACES)
#include GSPLAT_PLACE(8, GSPLAT_PLACES)
#undef GSPLAT_HEADERS
#undef GSPLAT_HEADER
// clang-format on
