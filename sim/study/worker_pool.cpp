// The parent's side of workers: sockets, points handed out, ends noticed.
#include "sim/study/worker_pool.h"

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/core/error.h"
#include "sim/io/program_path.h"

namespace moesim {
namespace {

// Ours, and memory in huge pages where the system has some: a large step touches most of what it
// has once, and touching 4 KiB at a time took a quarter of its time. Only glibc's environment turns
// them on; what the user says there of huge pages holds. Small points do without
// (serve_points.cpp).
std::vector<std::string> worker_environment() {
  const std::string variable = "GLIBC_TUNABLES=", tunable = "glibc.malloc.hugetlb=";
  std::vector<std::string> all;
  std::string tunables = variable + tunable + "1";
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string text = *one;
    if (text.rfind(variable, 0) != 0)
      all.push_back(text);
    else if (text.find(tunable) != std::string::npos)
      tunables = text;
    else
      tunables += ":" + text.substr(variable.size());
  }
  all.push_back(tunables);
  return all;
}

// Ends with a null pointer. The words must outlive it.
std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

WorkerPool::WorkerPool(std::vector<std::string> command, std::size_t jobs)
    : command_(std::move(command)), jobs_(std::max<std::size_t>(jobs, 1)) {
  command_.insert(command_.begin(), "moesim");
}

WorkerPool::~WorkerPool() {
  for (Worker& worker : workers_) ::shutdown(worker.channel, SHUT_WR);
  for (Worker& worker : workers_) end(worker);
}

std::size_t WorkerPool::busy() const {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(),
                                                [](const Worker& worker) { return worker.busy; }));
}

WorkerPool::Worker WorkerPool::spawn() const {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw MachineError("cannot make a socket for a worker process");
  std::vector<std::string> words = command_, variables = worker_environment();
  const std::vector<char*> arguments = pointers_to(words), environment = pointers_to(variables);
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  Worker worker;
  const int failed = posix_spawn(&worker.process, worker_program().c_str(), &actions, nullptr,
                                 arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  worker.channel = ends[0];
  if (failed == 0) return worker;
  ::close(ends[0]);
  throw MachineError("cannot start a worker process");
}

WorkerPool::Worker& WorkerPool::idle_worker() {
  for (Worker& worker : workers_)
    if (!worker.busy) return worker;
  return workers_.emplace_back(spawn());
}

void WorkerPool::start(const PointWork& work) {
  Worker& worker = idle_worker();
  worker.busy = true;
  worker.point = work.point;
  const std::string line =
      nlohmann::json{{"point", work.point},
                     {"trace", work.trace},
                     {"out", work.file},
                     {"links", work.beside.links},
                     {"timeline", work.beside.timeline},
                     {"ranks", work.beside.shown.ranks},
                     {"layers", {work.beside.shown.first_layer, work.beside.shown.last_layer}}}
          .dump() +
      "\n";
  // A worker that is gone is noticed by wait(), as one that goes later.
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t now =
        ::send(worker.channel, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return;
    sent += static_cast<std::size_t>(now);
  }
}

int WorkerPool::end(Worker& worker) {
  ::close(worker.channel);
  int status = 0;
  while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

// A status fits into one read: the worker writes it at once.
std::optional<WorkerPool::Ended> WorkerPool::answer_of(Worker& worker) {
  std::array<char, 64> text{};
  const ssize_t size = ::recv(worker.channel, text.data(), text.size() - 1, 0);
  if (size < 0 && errno == EINTR) return std::nullopt;
  Ended ended{worker.point, 0};
  if (size > 0) {
    worker.busy = false;
    ended.status = std::atoi(text.data());
    return ended;
  }
  ended.status = end(worker);
  if (ended.status == 0) ended.status = 1 << 8;  // it went without a word: its point is not done
  workers_.erase(workers_.begin() + (&worker - workers_.data()));
  return ended;
}

std::optional<WorkerPool::Ended> WorkerPool::wait(std::chrono::milliseconds most) {
  std::vector<pollfd> channels;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i].busy) continue;
    channels.push_back({workers_[i].channel, POLLIN, 0});
    of.push_back(i);
  }
  if (::poll(channels.data(), channels.size(), static_cast<int>(most.count())) <= 0)
    return std::nullopt;
  for (std::size_t i = 0; i < channels.size(); ++i)
    if (channels[i].revents != 0) return answer_of(workers_[of[i]]);
  return std::nullopt;
}

}  // namespace moesim
