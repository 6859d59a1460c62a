// Launches: the blocks of a grid run one after the other.
#include "emulation/launch.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string_view>

#include "block.h"
#include "counters.h"
#include "device_memory.h"
#include "host_calls.h"
#include "reports.h"
#include "settings.h"

namespace cuda_on_cpu {

namespace {

uint32_t launches = 0;

// "kernel<3, AbsGrad>" from the signature of a function that has the kernel as its template argument
// `kernel`: without namespaces, which GCC writes as "a::" or "<unnamed>::".
std::string kernel_name(std::string_view signature) {
  constexpr std::string_view before = "kernel = ", unnamed = "<unnamed>::";
  std::string rest(signature.substr(signature.find(before) + before.size()));
  for (size_t at = rest.find(unnamed); at != rest.npos; at = rest.find(unnamed))
    rest.erase(at, unnamed.size());
  std::string name;
  size_t word = 0;  // where the last name starts
  int depth = 0;
  for (const char c : rest) {
    if (depth == 0 && (c == ';' || c == ']' || c == ',')) break;
    depth += (c == '<' || c == '(') - (c == '>' || c == ')');
    if (c == ':') {
      name.resize(word);
    } else {
      name += c;
    }
    if (c == '<' || c == '(' || c == ' ') word = name.size();
  }
  return name;
}

bool legal(const LaunchConfig& config) {
  const dim3 &block = config.block, &grid = config.grid;
  return block.count() >= 1 && block.x <= 1024 && block.y <= 1024 && block.z <= 64 &&
         static_cast<uint64_t>(block.x) * block.y * block.z <= Block::kMostThreads && grid.x >= 1 &&
         grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535 &&
         config.dynamic_shared <= SharedMemory::kLimit;
}

}  // namespace

void run_grid(const char* signature, Site site, const LaunchConfig& config, void (*thread)(void*),
              void* arguments) {
  static Block block;
  const Grid grid = {kernel_name(signature), config, thread, arguments, ++launches};
  if (!legal(config)) {
    report("illegal launch", text(grid.kernel, " at ", text_of(site), " with grid ",
                                  text_of_index(config.grid), ", block ", text_of_index(config.block),
                                  " and ", config.dynamic_shared, " bytes of dynamic shared memory"));
    return set_error(cudaErrorInvalidConfiguration);
  }
  const uint64_t count = static_cast<uint64_t>(config.grid.x) * config.grid.y * config.grid.z;
  std::mt19937_64 random(settings.seed + grid.number);
  std::vector<uint64_t> order(count);
  std::iota(order.begin(), order.end(), uint64_t(0));
  if (settings.seed != 0) std::shuffle(order.begin(), order.end(), random);

  if (note_work(grid.kernel, config.stream) != cudaSuccess) return;

  ++counters[grid.kernel].launches;
  running = &block;
  for (uint64_t rank : order) {
    if (block.run(grid, rank, random() | 1)) continue;
    set_error(cudaErrorLaunchFailure);
    break;
  }
  running = nullptr;
}

}  // namespace cuda_on_cpu
