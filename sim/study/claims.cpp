// Claims as files: made, renewed, found abandoned.
#include "sim/study/claims.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/core/error.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// This machine since it started, and the numbering of its processes (a container has its own).
std::string machine() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::error_code none;
  return std::string(host.data()) + " " + first_line("/proc/sys/kernel/random/boot_id") + " " +
         fs::read_symlink("/proc/self/ns/pid", none).string();
}

// When a process started, in ticks since boot: a number that is used again has another start. Empty
// when there is none. Field 22 of proc(5)'s stat; the name before it may hold spaces.
std::string start_of(const std::string& process) {
  const std::string stat = first_line("/proc/" + process + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  return field;
}

// In nanoseconds; 0 where there is no such file.
std::int64_t changed(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return 0;
  return status.st_mtim.tv_sec * 1000000000LL + status.st_mtim.tv_nsec;
}

bool make(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0 && errno == EEXIST) return false;
  if (file < 0) throw MachineError("cannot write " + path + ": " + std::strerror(errno));
  const bool whole = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  if (whole) return true;
  ::unlink(path.c_str());
  throw MachineError("cannot write " + path + ": " + std::strerror(errno));
}

}  // namespace

std::string claim_file(const std::string& result_file) {
  return fs::path(result_file).replace_extension(".claim").string();
}

Claims::Claims(std::chrono::seconds lease)
    : lease_(lease),
      own_(machine() + "\n" + std::to_string(::getpid()) + "\n" +
           start_of(std::to_string(::getpid())) + "\n"),
      renewed_(std::chrono::steady_clock::now()) {}

Claims::~Claims() {
  for (const auto& [file, claim] : held_) ::unlink(claim.c_str());
}

bool Claims::take(const std::string& file) {
  const std::string claim = claim_file(file);
  if (!make(claim, own_)) {
    if (!abandoned(claim)) return false;
    remove_abandoned(claim);
    if (!make(claim, own_)) return false;  // another was faster
  }
  held_[file] = claim;
  return true;
}

void Claims::give_back(const std::string& file) {
  const auto found = held_.find(file);
  if (found == held_.end()) return;
  ::unlink(found->second.c_str());
  held_.erase(found);
}

void Claims::renew() {
  const auto now = std::chrono::steady_clock::now();
  if (now - renewed_ < lease_ / 4) return;
  renewed_ = now;
  for (const auto& [file, claim] : held_) ::utimensat(AT_FDCWD, claim.c_str(), nullptr, 0);
}

bool Claims::abandoned(const std::string& claim) const {
  std::ifstream text(claim);
  std::string where, process, start;
  std::getline(text, where) && std::getline(text, process) && std::getline(text, start);
  if (!start.empty() && where == machine()) return start_of(process) != start;
  // Both times come from the file system, so the clocks of two machines need not agree.
  const std::string probe = claim + ".now-" + std::to_string(::getpid());
  if (!make(probe, "")) return false;
  const std::int64_t now = changed(probe);
  ::unlink(probe.c_str());
  const std::int64_t then = changed(claim);
  return then != 0 && now - then > std::chrono::nanoseconds(lease_).count();
}

// By a rename, so that of several who find it abandoned one removes it.
void Claims::remove_abandoned(const std::string& claim) const {
  const std::string aside = claim + ".abandoned-" + std::to_string(::getpid());
  if (::rename(claim.c_str(), aside.c_str()) == 0) ::unlink(aside.c_str());
}

}  // namespace moesim
