#include "checker/code_positions.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <unordered_map>

#include "reports.h"

namespace cuda_on_cpu {

namespace {

// addr2line prints the place itself and then every function that it was inlined into.
std::string find_position(const void* code) {
  Dl_info library;
  if (dladdr(code, &library) == 0 || library.dli_fname == nullptr) return "?";
  const uintptr_t offset =
      reinterpret_cast<uintptr_t>(code) - 1 - reinterpret_cast<uintptr_t>(library.dli_fbase);
  const std::string unknown = text("instruction ", offset);
  FILE* output = popen(text("addr2line -i -e '", library.dli_fname, "' ", std::hex, offset).c_str(), "r");
  if (output == nullptr) return unknown;
  std::string found;
  char line[1024];
  while (fgets(line, sizeof line, output) != nullptr) {
    std::string position(line);
    position.resize(position.find_first_of(" \n"));
    const bool ours =
        position.find("/cuda_on_cpu/include/") != std::string::npos || position.starts_with("/usr/");
    if (found.empty() && !ours && !position.starts_with("?"))
      found = position.substr(position.rfind('/') + 1);
  }
  pclose(output);
  return found.empty() ? unknown : found;
}

}  // namespace

const std::string& code_position(const void* code) {
  static std::unordered_map<const void*, std::string> known;
  const auto [entry, is_new] = known.try_emplace(code);
  if (is_new) entry->second = find_position(code);
  return entry->second;
}

bool is_constant(const void* address) {
  Dl_info library;
  return dladdr(address, &library) != 0;
}

}  // namespace cuda_on_cpu
