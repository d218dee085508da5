// Files in and out: mapped for reading, written beside and then renamed so that nothing
// half-written is ever seen.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

// A read-only mapping of a whole file; pages are loaded when touched. Movable, unmapped at
// destruction.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);  // InputError when missing or not a regular file
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

std::string read_text_file(const std::string& path);  // InputError when missing

// Writes `path` whole or not at all: into a temporary file in the same folder, flushed, then
// renamed. MachineError with the reason (no permission, disk full) and nothing left behind on
// failure. Creates no folder. Refuses what check_writable refuses: renaming onto a device such as
// /dev/full would replace the device.
void write_file(const std::string& path, std::string_view content);

// The same for content made in pieces: `fill` is given a sink to call with each piece.
using Sink = std::function<void(std::span<const std::byte>)>;
void write_file(const std::string& path, const std::function<void(const Sink&)>& fill);

// To be called before long work whose result goes to `path`. InputError for an empty name and for a
// file that is one of `inputs`, MachineError where the folder is missing or not writable or `path`
// is anything but a regular file.
void check_writable(const std::string& path, std::span<const std::string> inputs = {});

void make_folder(const std::string& path);  // with parents; MachineError when it cannot be written

// SHA-256 as 64 lower-case hexadecimal digits.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::span<const std::byte> data);
  void add(std::string_view text);
  std::string hex();  // ends the hash

 private:
  struct State;
  std::unique_ptr<State> state_;
};
std::string sha256(std::string_view text);

// Where the project's data (models, accelerators, reference model) lies: $MOESIM_DATA, else the
// source tree the program was built in, else the installed share folder. MachineError when none
// exists.
std::string data_path(const std::string& relative);
std::vector<std::string> data_folders();  // those of them that there are

}  // namespace moesim
