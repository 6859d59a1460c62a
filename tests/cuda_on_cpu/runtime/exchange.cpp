// How the lanes' values are exchanged once all lanes of a collective have arrived.
#include "block.h"
#include "reports.h"

namespace cuda_on_cpu {

void complete_shuffle(Exchange& exchange, uint32_t lanes) {
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest), source = exchange.argument[lane];
    if ((lanes >> source & 1) != 0) {
      exchange.out[lane] = exchange.in[source];
    } else {
      exchange.out[lane] = ~uint64_t(0);  // undefined on a GPU
      report("shuffle from an inactive lane",
             text("lane ", lane, " reads from lane ", source, ", which takes no part"));
    }
  }
}

void complete_vote(Exchange& exchange, uint32_t lanes) {
  uint64_t yes = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    yes |= exchange.in[lane] << lane;
  }
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    exchange.out[__builtin_ctz(rest)] = yes | static_cast<uint64_t>(lanes) << 32;
  }
}

void complete_match(Exchange& exchange, uint32_t lanes) {
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    uint64_t same = 0;
    for (uint32_t others = lanes; others != 0; others &= others - 1) {
      const int other = __builtin_ctz(others);
      if (exchange.in[other] == exchange.in[lane]) same |= uint64_t(1) << other;
    }
    exchange.out[lane] = same;
  }
}

}  // namespace cuda_on_cpu
