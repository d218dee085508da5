#include "sim/io/files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using moesim::test::TemporaryFolder;
namespace fs = std::filesystem;

TEST_CASE("A written file is read back whole") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  write_file(path, "hello");
  CHECK(read_text_file(path) == "hello");
  write_file(path, "again");
  CHECK(read_text_file(path) == "again");
  CHECK(folder.entries() == 1);
}

TEST_CASE("A write that fails half-way leaves the old file and nothing else") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  write_file(path, "old");
  CHECK_THROWS_AS(write_file(path,
                             [](const Sink& sink) {
                               sink(std::as_bytes(std::span("new", 3)));
                               throw MachineError("disk full");
                             }),
                  MachineError);
  CHECK(read_text_file(path) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("A disk that fills while writing is reported and nothing half-written stays") {
  // A limit on the file size stands in for the full disk: write() fails in the middle in the same
  // way.
  const TemporaryFolder folder;
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  CHECK_THROWS_AS(write_file(folder / "a.txt", std::string(4096, 'x')), MachineError);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  CHECK(folder.entries() == 0);
}

TEST_CASE("A process killed while it writes leaves the old file and nothing else") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  write_file(path, "old");
  const int unnamed = ::open(folder.path().c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (unnamed < 0) {
    MESSAGE("the file system here knows no O_TMPFILE: a killed process leaves its temporary file");
    return;
  }
  ::close(unnamed);
  const pid_t child = ::fork();
  if (child == 0) {
    write_file(path, [](const Sink& sink) {
      sink(std::as_bytes(std::span("new", 3)));
      ::kill(::getpid(), SIGKILL);
    });
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(read_text_file(path) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("A pipe, which stands for every device, is refused and stays what it is") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(write_file(pipe, "text"),
                       ("cannot write " + pipe + ": it is not a regular file").c_str(),
                       MachineError);
  CHECK(fs::is_fifo(pipe));
  CHECK(folder.entries() == 1);
}

TEST_CASE("A file to write is refused before the work: empty name, no folder, an input") {
  const TemporaryFolder folder;
  const std::string input = folder / "in";
  write_file(input, "text");
  const std::vector<std::string> inputs{input};
  CHECK_NOTHROW(check_writable(folder / "out", inputs));
  CHECK_NOTHROW(check_writable(input));
  CHECK_THROWS_AS(check_writable(""), InputError);
  CHECK_THROWS_AS(check_writable(fs::path(input).parent_path() / "." / "in", inputs), InputError);
  CHECK_THROWS_AS(check_writable(folder / "missing/out"), MachineError);
  CHECK_THROWS_AS(check_writable(fs::path(input).parent_path()), MachineError);
}

TEST_CASE("A folder that does not exist is reported, not made") {
  CHECK_THROWS_AS(write_file("/proc/moesim_cannot_exist/a.txt", "x"), MachineError);
}

TEST_CASE("A missing file is the user's mistake and is named") {
  CHECK_THROWS_WITH_AS(MappedFile("/nonexistent/a.json"),
                       "/nonexistent/a.json: cannot be read: No such file or directory",
                       InputError);
  CHECK_THROWS_AS(MappedFile("/tmp"), InputError);
}

TEST_CASE("SHA-256 of abc is the one FIPS 180-4 prints") {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
