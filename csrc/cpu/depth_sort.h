// Sorting the visible splats of an image by depth.
#pragma once

#include <cstdint>

namespace gsplat {

// Stable ascending sort of `count` (key, id) pairs by key; `keys` and `ids` are used up as working memory, as
// are `spare_keys` and `spare_ids`. The sorted ids go to `sorted_ids`, which may be none of the others.
// Parallel; the result does not depend on the number of threads.
void radix_sort_ids(uint32_t* keys, int32_t* ids, uint32_t* spare_keys, int32_t* spare_ids, int64_t count,
                    int32_t* sorted_ids);

}  // namespace gsplat
