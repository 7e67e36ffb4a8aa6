#include "tests/runner/sim_npu.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "runner/npu/ax_device.h"
#include "runner/npu/npu_description.h"

namespace {

template <typename Function>
Function* sim_function(const char* name) {
  sim_library();
  void* sys = dlopen(AX_SIM_DIR "/libax_sys.so", RTLD_NOW | RTLD_NOLOAD);
  return reinterpret_cast<Function*>(dlsym(sys, name));
}

}  // namespace

std::shared_ptr<const runner::AxLibrary> sim_library() {
  static const auto library = runner::AxLibrary::open(AX_SIM_DIR, "/");
  return library;
}

SimEnvironment::SimEnvironment(const char* name, const std::string& value) : name_(name) {
  setenv(name, value.c_str(), 1);
}

SimEnvironment::~SimEnvironment() { unsetenv(name_); }

std::shared_ptr<runner::NpuDevice> make_sim_device() {
  return runner::make_ax_device(sim_library(), "/");
}

AxSimCounters sim_counters() {
  AxSimCounters counters{};
  sim_function<void(AxSimCounters*)>("AX_SIM_GetCounters")(&counters);
  return counters;
}

std::string last_sim_violation() { return sim_function<const char*()>("AX_SIM_LastViolation")(); }

SimModel::SimModel(const RandomModel& model, SimModelOptions options)
    : source_(directory_ / "source") {
  write_random_model(source_, model);
  write_file(source_ / "tokenizer.json", "{}");
  options.source = source_;
  options.out_base = directory_.path();
  options.name = "sim";
  write_sim_model(options);
}

runner::NpuModelFiles SimModel::files() const {
  const auto path = directory_ / "sim/mode_sim.json";
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return runner::read_npu_description(directory_ / "sim", text.str(), path).graphs;
}

std::shared_ptr<const runner::NpuModel> SimModel::load(
    std::shared_ptr<runner::NpuDevice> device, const runner::NpuModelOptions& options) const {
  return std::make_shared<const runner::NpuModel>(std::move(device), files(), options);
}

std::shared_ptr<const runner::NpuModel> SimModel::load() const {
  return load(make_sim_device(), {4096, std::nullopt, {}});
}

std::vector<runner::Bf16> some_rows(int count, int hidden, unsigned seed) {
  std::vector<runner::Bf16> rows;
  for (int i = 0; i < count * hidden; ++i) {
    seed = seed * 1664525U + 1013904223U;
    rows.push_back(runner::to_bf16(static_cast<float>(seed >> 16U) / 32768.0F - 1.0F));
  }
  return rows;
}

NoViolations::~NoViolations() {
  EXPECT_EQ(sim_counters().violations, before_) << last_sim_violation();
}
