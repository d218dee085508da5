// moesim place: where a strategy puts the experts for given loads or a trace, without a simulation.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "sim/io/files.h"
#include "sim/plan/expert_load_file.h"
#include "sim/plan/placement/check_input.h"
#include "sim/plan/placement_file.h"
#include "sim/study/eplb_cases.h"
#include "sim/trace/request_rows.h"
#include "sim/trace/routing_trace.h"

namespace moesim {
namespace {

struct PlaceArguments {
  std::string strategy = "eplb", loads, trace, previous, check, out, format = "moesim";
  int replicas = 0, gpus = 1, nodes = 1, groups = 1;
  std::uint64_t seed = 1;
  bool json = false;
};

// What a strategy is given, and what it points into.
struct Request {
  RoutingTrace trace;
  std::vector<std::uint32_t> rows;
  PlacementInput input;
  std::vector<int> layer_ids;  // empty = unknown
};

void print_cases(const std::vector<EplbCaseResult>& results, std::size_t failed) {
  for (const EplbCaseResult& result : results) {
    fmt::print("{}  {}\n", result.difference.empty() ? "pass" : "FAIL", result.name);
    if (!result.difference.empty()) fmt::print("      {}\n", result.difference);
  }
  fmt::print("{} of {} cases pass\n", results.size() - failed, results.size());
}

void print_cases_json(const std::vector<EplbCaseResult>& results) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const EplbCaseResult& result : results) {
    json.push_back({{"name", result.name}, {"passed", result.difference.empty()}});
    if (!result.difference.empty()) json.back()["difference"] = result.difference;
  }
  fmt::print("{}\n", json.dump(1));
}

void check_cases(const std::string& path, bool as_json) {
  const std::vector<EplbCaseResult> results = check_eplb_cases(path);
  const auto failed = static_cast<std::size_t>(
      std::count_if(results.begin(), results.end(),
                    [](const EplbCaseResult& result) { return !result.difference.empty(); }));
  if (as_json)
    print_cases_json(results);
  else
    print_cases(results, failed);
  std::fflush(stdout);
  if (failed > 0) throw CheckError(fmt::format("{}: {} cases fail", path, failed));
}

void read_tokens(const std::string& path, Request& request) {
  request.trace = open_trace(path);
  if (request.trace.moe_layers() == 0) throw InputError(path + ": has no MoE layer");
  request.rows = all_rows(request.trace.tokens());
  request.layer_ids = request.trace.header.layer_ids;
  request.input.load = expert_load(request.trace, request.rows);
  request.input.tokens = {&request.trace, request.rows};
}

// More would put an expert on a rank twice, where its replicas share nothing.
void check_redundant(const PlacementInput& input) {
  const auto most = static_cast<std::int64_t>(input.load.front().size()) * input.ranks;
  if (input.slots > most)
    throw InputError({"", 0, 0, "--replicas"},
                     fmt::format("{} is too many: at {} each of the {} GPUs holds all {} experts",
                                 input.slots, most, input.ranks, input.load.front().size()));
}

std::unique_ptr<Request> read_request(const PlaceArguments& arguments) {
  if (arguments.loads.empty() == arguments.trace.empty())
    throw InputError("place needs --loads or --trace, and not both (or --check)");
  auto request = std::make_unique<Request>();
  if (arguments.trace.empty())
    request->input.load = read_expert_load(arguments.loads);
  else
    read_tokens(arguments.trace, *request);
  PlacementInput& input = request->input;
  const auto experts = static_cast<int>(input.load.front().size());
  input.slots = arguments.replicas == 0 ? experts : arguments.replicas;
  input.ranks = arguments.gpus;
  input.nodes = arguments.nodes;
  input.groups = arguments.groups;
  input.seed = arguments.seed;
  check_input(input, {"--replicas", "--gpus", "--nodes", "--groups"});
  check_redundant(input);
  if (arguments.previous.empty()) return request;
  input.previous = read_placement(arguments.previous, {experts, input.slots, input.ranks});
  if (input.previous.size() != input.load.size())
    throw InputError(
        {arguments.previous, 0, 0, "physical_to_logical_map"},
        fmt::format("has {} layers, the loads {}", input.previous.size(), input.load.size()));
  return request;
}

std::vector<double> balancedness_by_layer(const std::vector<Placement>& placements,
                                          const PlacementInput& input) {
  std::vector<double> by_layer;
  for (std::size_t layer = 0; layer < placements.size(); ++layer)
    by_layer.push_back(balancedness(
        rank_load(placements[layer], input.load[layer], static_cast<std::size_t>(input.ranks))));
  return by_layer;
}

// A line a layer; beside it, where something was in place before, what has to move.
void print_layers(std::FILE* to,
                  const Request& request,
                  const PlacementOrigin& origin,
                  const std::vector<Placement>& placements) {
  for (std::size_t layer = 0; layer < placements.size(); ++layer) {
    const int id = request.layer_ids.empty() ? static_cast<int>(layer) : request.layer_ids[layer];
    fmt::print(to, "layer {:>3}: balancedness {:.4f} contiguous, {:.4f} {}", id,
               origin.contiguous[layer], origin.balancedness[layer], origin.strategy);
    if (!request.input.previous.empty())
      fmt::print(to, ", {} of {} replicas move",
                 replicas_that_move(request.input.previous[layer], placements[layer]),
                 placements[layer].replica_of.size());
    fmt::print(to, "\n");
  }
}

void print_layers_json(const Request& request,
                       const PlacementOrigin& origin,
                       const std::vector<Placement>& placements) {
  nlohmann::ordered_json json{{"strategy", origin.strategy},
                              {"layers", nlohmann::ordered_json::array()}};
  for (std::size_t layer = 0; layer < placements.size(); ++layer) {
    json["layers"].push_back(
        {{"layer", request.layer_ids.empty() ? static_cast<int>(layer) : request.layer_ids[layer]},
         {"contiguous_balancedness", origin.contiguous[layer]},
         {"balancedness", origin.balancedness[layer]},
         {"replicas", placements[layer].replica_of.size()}});
    if (!request.input.previous.empty())
      json["layers"].back()["replicas_that_move"] =
          replicas_that_move(request.input.previous[layer], placements[layer]);
  }
  fmt::print("{}\n", json.dump(1));
}

void place(const PlaceArguments& arguments) {
  if (!arguments.check.empty()) return check_cases(arguments.check, arguments.json);
  const PlacementFormat format = placement_format_named(arguments.format);
  const auto& catalog = Catalog<PlacementPart>::instance();
  const PlacementPart& part = catalog.at(arguments.strategy, "placement");
  if (!arguments.out.empty()) {
    const std::vector<std::string> inputs{arguments.loads, arguments.trace, arguments.previous};
    check_writable(arguments.out, inputs);
  }
  const std::unique_ptr<Request> request = read_request(arguments);
  const PlacementInput& input = request->input;
  const std::vector<Placement> placements = part(input);
  PlacementOrigin origin{arguments.strategy,
                         static_cast<int>(input.load.front().size()),
                         input.ranks,
                         input.nodes,
                         input.groups,
                         input.seed,
                         request->layer_ids,
                         balancedness_by_layer(catalog.at("contiguous", "placement")(input), input),
                         balancedness_by_layer(placements, input)};
  const std::string text = placement_text(placements, origin, format);
  if (arguments.json && !arguments.out.empty())
    print_layers_json(*request, origin, placements);
  else
    print_layers(arguments.out.empty() ? stderr : stdout, *request, origin, placements);
  if (arguments.out.empty())
    fmt::print("{}", text);
  else
    write_file(arguments.out, text);
}

void add_place(CLI::App& command) {
  const auto arguments = std::make_shared<PlaceArguments>();
  command.add_option("--strategy", arguments->strategy, "placement, as `moesim list placements`")
      ->capture_default_str();
  command.add_option("--loads", arguments->loads,
                     "expert loads, [layer][expert] (JSON), bare or as \"loads\"");
  command.add_option("--trace", arguments->trace,
                     "routing trace instead: loads, and tokens for strategies that need them");
  command.add_option("--replicas", arguments->replicas,
                     "slots of all GPUs, redundant ones included; default: the experts");
  command.add_option("--groups", arguments->groups, "expert groups of the router")
      ->capture_default_str();
  command.add_option("--nodes", arguments->nodes, "nodes, dividing the GPUs")
      ->capture_default_str();
  command.add_option("--gpus", arguments->gpus, "GPUs of the EP group, dividing the slots")
      ->capture_default_str();
  command.add_option("--seed", arguments->seed, "of strategies that search at random")
      ->capture_default_str();
  command.add_option("--previous", arguments->previous,
                     "placement in place now, a file of any of the formats");
  command.add_option("--out", arguments->out, "write the placement here, not to standard output");
  command.add_option("--format", arguments->format, "moesim, sglang or vllm")
      ->capture_default_str();
  command.add_option("--check", arguments->check,
                     "instead: check EPLB against a file of cases with known answers");
  command.add_flag("--json", arguments->json,
                   "with --out or --check: print the table as JSON (a placement itself is JSON)");
  command.footer(
      "Example: moesim place --strategy eplb --loads loads.json --replicas 288 --groups 8 "
      "--nodes 4 --gpus 32 --out placement.json\n"
      "         moesim place --check tests/data/eplb_cases.json");
  command.callback([arguments] { place(*arguments); });
}

const Registered<Command> registered{
    "place", "Place experts for given loads or a trace, without a simulation", {add_place}};

}  // namespace
}  // namespace moesim
