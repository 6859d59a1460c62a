// What fresh memory holds: as a float a NaN, as an integer a number that no kernel computes by chance.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_on_cpu {

inline constexpr uint32_t kPoison = 0xffc0dead;

void fill_with_poison(void* address, size_t size);

// Whether one of the 4-byte words that the range touches is as nobody has ever written it.
bool has_poison(const void* address, size_t size);

}  // namespace cuda_on_cpu
