#include "poison.h"

#include <cstring>

namespace cuda_on_cpu {

void fill_with_poison(void* address, size_t size) {
  auto* byte = static_cast<unsigned char*>(address);
  unsigned char* const end = byte + size;
  // Words lie at multiples of 4, wherever the range begins.
  for (; byte != end; ++byte) *byte = kPoison >> 8 * (reinterpret_cast<uintptr_t>(byte) & 3);
}

bool has_poison(const void* address, size_t size) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(address) & ~uintptr_t(3);
  const uintptr_t end = reinterpret_cast<uintptr_t>(address) + size;
  for (uintptr_t word = first; word < end; word += 4) {
    uint32_t value;
    memcpy(&value, reinterpret_cast<const void*>(word), 4);
    if (value == kPoison) return true;
  }
  return false;
}

}  // namespace cuda_on_cpu
