// Counts what each memory instruction does: how many lanes of a warp take part, and how much memory is
// touched.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace cuda_on_cpu {

class Block;
struct Access;

class Profile {
public:
  void access(const Block& block, const Access& access, bool global);
  // Adds what was seen to the counters of the kernel.
  void end_block(Block& block);

private:
  // Lanes of a warp stay together: their k-th executions of an instruction are one.
  struct Touch {
    uint32_t instruction, execution;
    uint64_t warp_and_sector;
    auto operator<=>(const Touch&) const = default;
  };

  std::unordered_map<const void*, uint32_t> instructions_;
  std::vector<const void*> code_;
  std::vector<std::array<uint32_t, 1024>> executions_;  // [instruction][thread], of the running block
  std::vector<Touch> touched_;
};

}  // namespace cuda_on_cpu
