// Claims on points: one holder at a time, and none that outlives its holder.
#include "sim/study/claims.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using moesim::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

// Sets a file's time of change back.
void make_older(const std::string& path, std::chrono::seconds by) {
  fs::last_write_time(path, fs::last_write_time(path) - by);
}

std::size_t files_in(const std::string& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("A point is claimed by one, and free again when given back") {
  const TemporaryFolder folder;
  const std::string file = folder / "point.json";
  Claims first, second;
  CHECK(first.take(file));
  CHECK(fs::exists(claim_file(file)));
  CHECK(!second.take(file));
  first.give_back(file);
  CHECK(!fs::exists(claim_file(file)));
  CHECK(second.take(file));
}

TEST_CASE("Claims end with their holder's object") {
  const TemporaryFolder folder;
  {
    Claims claims;
    CHECK(claims.take(folder / "a.json"));
    CHECK(claims.take(folder / "b.json"));
    CHECK(files_in(folder.path()) == 2);
  }
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("The claim of a process that was killed is taken over at once on the same machine") {
  const TemporaryFolder folder;
  const std::string file = folder / "point.json";
  const pid_t process = ::fork();
  if (process == 0) {
    auto* claims = new Claims;  // never destroyed
    ::_exit(claims->take(file) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(process, &status, 0) == process);
  REQUIRE(status == 0);
  REQUIRE(fs::exists(claim_file(file)));
  Claims claims;
  CHECK(claims.take(file));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("A claim from another machine is taken over once it has not been renewed for the lease") {
  const TemporaryFolder folder;
  const std::string file = folder / "point.json";
  write_file(claim_file(file), "another machine\n1\n1\n");
  Claims claims(std::chrono::seconds(60));
  CHECK(!claims.take(file));
  make_older(claim_file(file), std::chrono::seconds(50));
  CHECK(!claims.take(file));
  make_older(claim_file(file), std::chrono::seconds(20));
  CHECK(claims.take(file));
  CHECK(files_in(folder.path()) == 1);  // no probe and nothing set aside stays
}

TEST_CASE("A claim that was cut short while it was written ends with its lease") {
  const TemporaryFolder folder;
  const std::string file = folder / "point.json";
  write_file(claim_file(file), "");
  Claims claims(std::chrono::seconds(60));
  CHECK(!claims.take(file));
  make_older(claim_file(file), std::chrono::seconds(70));
  CHECK(claims.take(file));
}

TEST_CASE("Renewing makes a claim young again") {
  const TemporaryFolder folder;
  const std::string file = folder / "point.json";
  Claims holder(std::chrono::seconds(0));  // renews whenever asked
  REQUIRE(holder.take(file));
  make_older(claim_file(file), std::chrono::seconds(1000));
  const auto before = fs::last_write_time(claim_file(file));
  holder.renew();
  CHECK(fs::last_write_time(claim_file(file)) > before + std::chrono::seconds(900));
}

TEST_CASE("A claim that cannot be made says why") {
  Claims claims;
  CHECK_THROWS_AS(claims.take("/no such folder/point.json"), MachineError);
}

TEST_CASE("Of many processes that want the same points, each point goes to one") {
  const TemporaryFolder folder;
  constexpr int kProcesses = 6, kPoints = 40;
  int counts[2], end[2];
  REQUIRE(::pipe(counts) == 0);
  REQUIRE(::pipe(end) == 0);
  for (int p = 0; p < kProcesses; ++p) {
    if (::fork() != 0) continue;
    ::close(end[1]);
    auto* claims = new Claims;
    char taken = 0;
    for (int i = 0; i < kPoints; ++i)
      taken += claims->take(folder / ("point" + std::to_string(i) + ".json")) ? 1 : 0;
    const bool told = ::write(counts[1], &taken, 1) == 1;
    ::_exit(::read(end[0], &taken, 1) == 0 && told ? 0 : 1);  // holds them until all have tried
  }
  int sum = 0;
  for (int p = 0; p < kProcesses; ++p) {
    char taken = 0;
    REQUIRE(::read(counts[0], &taken, 1) == 1);
    sum += taken;
  }
  for (const int pipe : {end[1], end[0], counts[0], counts[1]}) ::close(pipe);
  for (int p = 0; p < kProcesses; ++p) {
    int status = 0;
    ::wait(&status);
    CHECK(status == 0);
  }
  CHECK(sum == kPoints);
}
