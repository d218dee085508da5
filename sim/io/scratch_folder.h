// A folder under the system's temporary one, removed with all in it when the object goes.
#pragma once

#include <string>

namespace moesim {

class ScratchFolder {
 public:
  ScratchFolder();  // MachineError where none can be made
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace moesim
