#include "checker/profile.h"

#include <algorithm>

#include "block.h"
#include "checker/checker.h"
#include "checker/code_positions.h"

namespace cuda_on_cpu {

namespace {
constexpr uint64_t kSectorSize = 32;
constexpr int kSectorBits = 48;
}  // namespace

void Profile::access(const Block& block, const Access& access, bool global) {
  const auto [entry, is_new] = instructions_.try_emplace(access.code, code_.size());
  if (is_new) {
    code_.push_back(access.code);
    executions_.emplace_back().fill(0);
  }
  const uint32_t instruction = entry->second;
  const Thread& thread = *block.current();
  const uint32_t execution = executions_[instruction][thread.rank]++;
  if (!global) return;
  const auto start = reinterpret_cast<uintptr_t>(access.address);
  for (uint64_t sector = start / kSectorSize; sector <= (start + access.size - 1) / kSectorSize; ++sector) {
    touched_.push_back(
        {instruction, execution, static_cast<uint64_t>(thread.warp()) << kSectorBits | sector});
  }
}

void Profile::end_block(Block& block) {
  Counters& counters = block.counters();
  std::map<std::string, Turns> busiest;
  for (size_t instruction = 0; instruction < code_.size(); ++instruction) {
    auto& executions = executions_[instruction];
    Turns turns;
    for (unsigned first = 0; first < block.thread_count(); first += 32) {
      const auto lanes = executions.begin() + first;
      turns.warps += *std::max_element(lanes, lanes + 32);
      for (int i = 0; i < 32; ++i) turns.lanes += lanes[i];
    }
    if (turns.lanes == 0) continue;
    executions.fill(0);
    counters.memory_instructions.lanes += turns.lanes;
    counters.memory_instructions.warps += turns.warps;
    Turns& line = busiest[code_position(code_[instruction])];
    if (turns.warps > line.warps || (turns.warps == line.warps && turns.lanes > line.lanes)) line = turns;
  }
  for (const auto& [position, turns] : busiest) {
    counters.lines[position].lanes += turns.lanes;
    counters.lines[position].warps += turns.warps;
  }

  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  counters.global_sectors += touched_.size();
  const auto same_request = [](const Touch& a, const Touch& b) {
    return a.instruction == b.instruction && a.execution == b.execution &&
           a.warp_and_sector >> kSectorBits == b.warp_and_sector >> kSectorBits;
  };
  counters.global_requests += std::unique(touched_.begin(), touched_.end(), same_request) - touched_.begin();
  touched_.clear();
}

}  // namespace cuda_on_cpu
