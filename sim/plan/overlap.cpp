// What overlap schedules have in common.
#include "sim/plan/overlap.h"

#include <algorithm>
#include <stdexcept>

namespace moesim {
namespace {

// Tasks of list `micro_batch` that its task number `task` waits for, as places in the graph.
std::vector<std::uint32_t> waits_for(const LayerTasks& list,
                                     std::size_t task,
                                     const std::vector<std::uint32_t>& placed,
                                     std::size_t before) {
  std::vector<std::uint32_t> after;
  for (const std::uint32_t local : list[task].after) after.push_back(placed.at(local));
  if (after.empty() && task > 0) after.push_back(placed.at(task - 1));
  if (after.empty() && before > 0) after.push_back(static_cast<std::uint32_t>(before - 1));
  return after;
}

}  // namespace

// ... router, shared expert, dispatch, experts ... becomes router, dispatch, shared expert,
// experts.
void free_shared_experts(LayerTasks& tasks) {
  for (std::size_t i = 1; i + 2 < tasks.size(); ++i) {
    if (tasks[i].kind != TaskKind::shared_expert || tasks[i + 1].kind != TaskKind::dispatch)
      continue;
    const auto router = static_cast<std::uint32_t>(i - 1);
    std::size_t last = i + 1;  // of the dispatch's stages
    while (last + 2 < tasks.size() && tasks[last + 1].kind == TaskKind::dispatch) ++last;
    std::rotate(tasks.begin() + static_cast<std::ptrdiff_t>(i),
                tasks.begin() + static_cast<std::ptrdiff_t>(i + 1),
                tasks.begin() + static_cast<std::ptrdiff_t>(last + 1));
    tasks[last].after = {router};
    tasks[last + 1].after = {static_cast<std::uint32_t>(last - 1)};
  }
}

std::vector<std::pair<std::size_t, std::size_t>> stretches(const LayerTasks& tasks) {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  std::size_t first = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const bool ends =
        tasks[i].exchange >= 0 && (i + 1 == tasks.size() || tasks[i + 1].exchange < 0);
    if (!ends && i + 1 < tasks.size()) continue;
    found.emplace_back(first, i + 1);
    first = i + 1;
  }
  return found;
}

std::vector<TaskPlace> alternate(const std::vector<LayerTasks>& lists, std::size_t behind) {
  std::vector<TaskPlace> order;
  const auto issue = [&](std::size_t micro_batch, std::pair<std::size_t, std::size_t> stretch) {
    for (std::size_t task = stretch.first; task < stretch.second; ++task)
      order.push_back({micro_batch, task});
  };
  const auto leading = stretches(lists.at(0)), following = stretches(lists.at(1));
  for (std::size_t i = 0; i < std::max(leading.size(), following.size() + behind); ++i) {
    if (i < leading.size()) issue(0, leading[i]);
    if (i >= behind && i - behind < following.size()) issue(1, following[i - behind]);
  }
  return order;
}

std::vector<std::uint32_t> append_tasks(std::vector<LayerTasks> lists,
                                        const std::vector<TaskPlace>& order,
                                        std::vector<Task>& tasks) {
  const std::size_t before = tasks.size();
  std::vector<std::vector<std::uint32_t>> placed(lists.size());
  for (const TaskPlace& place : order) {
    LayerTasks& list = lists.at(place.micro_batch);
    auto& own = placed[place.micro_batch];
    if (own.size() != place.task || place.task >= list.size())
      throw std::logic_error("an overlap schedule turned tasks of a micro-batch round");
    Task task = list[place.task];
    task.micro_batch = static_cast<int>(place.micro_batch);
    task.after = waits_for(list, place.task, own, before);
    if (task.after == std::vector<std::uint32_t>{static_cast<std::uint32_t>(tasks.size() - 1)} ||
        tasks.empty())
      task.after.clear();
    own.push_back(static_cast<std::uint32_t>(tasks.size()));
    tasks.push_back(std::move(task));
  }
  std::vector<std::uint32_t> last;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (placed[i].size() != lists[i].size())
      throw std::logic_error("an overlap schedule left out tasks of a micro-batch");
    if (!placed[i].empty()) last.push_back(placed[i].back());
  }
  return last;
}

}  // namespace moesim
