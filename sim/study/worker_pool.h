// Worker processes, each started once by exec, which take one point after another.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sim/study/study.h"

namespace moesim {

// What a worker is told of a point.
struct PointWork {
  std::size_t point = 0;  // in the study, from 0
  std::string trace;      // file it replays
  std::string file;       // of its result
  PointFiles beside = {};
};

// "moesim worker" processes that talk over a socket: a line of JSON for each point, a line with its
// exit status back. When the pool goes, workers end after the point they are at.
class WorkerPool {
 public:
  struct Ended {
    std::size_t point = 0;
    int status = 0;  // as waitpid's; of the worker, where that has ended too
  };

  // `command`: the words after "moesim". Nothing is started yet.
  WorkerPool(std::vector<std::string> command, std::size_t jobs);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  std::size_t busy() const;
  bool full() const { return busy() == jobs_; }
  void start(const PointWork& work);  // not when full; MachineError where no process can be started
  std::optional<Ended> wait(std::chrono::milliseconds most);  // nullopt: nothing has ended yet

 private:
  struct Worker {
    pid_t process = 0;
    int channel = -1;
    bool busy = false;
    std::size_t point = 0;
  };
  Worker& idle_worker();
  Worker spawn() const;
  std::optional<Ended> answer_of(Worker& worker);
  static int end(Worker& worker);

  std::vector<std::string> command_;
  std::size_t jobs_;
  std::vector<Worker> workers_;
};

// The worker's side: reads points from `channel` until it is closed, and runs each in a process
// forked for it, so that all begin alike (docs/decisions/0019). The caller must have started no
// thread. Returns in the forked process too, once its point is done: it then has to end.
void serve_points(const std::string& scenario,
                  const std::vector<std::string>& overrides,
                  int threads,
                  int channel);

}  // namespace moesim
