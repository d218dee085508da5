// Who computes which point, among processes that share nothing but a folder.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace moesim {

// A claim is a file beside the point's result, made by O_EXCL: one process gets it. Its holder
// renews its time of change; a claim is abandoned, and may be taken, when its holder is known to
// have ended (a process of this machine) or has not renewed it for `lease`, by the clock of the
// folder's file system. Claims only save work: two processes that compute the same point write the
// same bytes, each by rename.
class Claims {
 public:
  static constexpr std::chrono::seconds kLease{60};

  explicit Claims(std::chrono::seconds lease = kLease);
  ~Claims();  // gives back what it still holds
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // Of the result file `file`: false where another process holds it. MachineError where none can be
  // made.
  bool take(const std::string& file);
  void give_back(const std::string& file);
  void renew();  // all that are held, if a quarter of the lease has passed

 private:
  bool abandoned(const std::string& claim) const;
  void remove_abandoned(const std::string& claim) const;

  std::chrono::seconds lease_;
  std::string own_;                          // who holds: machine, boot, process and its start
  std::map<std::string, std::string> held_;  // result file -> claim
  std::chrono::steady_clock::time_point renewed_;
};

std::string claim_file(const std::string& result_file);

}  // namespace moesim
