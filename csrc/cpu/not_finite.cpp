#include "cpu/not_finite.h"

namespace gsplat {

NotFinite find_not_finite(const float* values, int64_t rows, int64_t columns) {
  NotFinite found = {0, rows};
  for (int64_t i = rows - 1; i >= 0; --i) {
    if (is_finite_row(values + i * columns, columns)) continue;
    ++found.rows;
    found.first = i;
  }
  return found;
}

}  // namespace gsplat
