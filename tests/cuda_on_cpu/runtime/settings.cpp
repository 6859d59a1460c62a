#include "settings.h"

#include <cstring>

namespace cuda_on_cpu {

Settings settings;

namespace {
std::string removed_file;
unsigned removed_line = 0;

bool change_flag(bool& flag, const std::string& value) {
  flag = value == "1";
  return flag || value == "0";
}
}  // namespace

bool change_setting(const std::string& name, const std::string& value) {
  if (name == "check") return change_flag(settings.check, value);
  if (name == "profile") return change_flag(settings.profile, value);
  if (name == "calls") return change_flag(settings.calls, value);
  if (name == "seed") {
    settings.seed = std::stoull(value);
    return true;
  }
  if (name == "without") {
    const size_t colon = value.rfind(':');
    settings.without = value;
    removed_file = value.substr(0, colon);
    removed_line = colon == std::string::npos ? 0 : std::stoul(value.substr(colon + 1));
    return true;
  }
  return false;
}

bool removed(const std::source_location& site) {
  return removed_line == site.line() && std::string_view(site.file_name()).ends_with(removed_file);
}

}  // namespace cuda_on_cpu
