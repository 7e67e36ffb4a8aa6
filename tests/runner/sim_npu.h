#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runner/npu/ax_library.h"
#include "runner/npu/device.h"
#include "runner/npu/layered_engine.h"
#include "runner/npu/npu_model.h"
#include "tests/ax_sim/ax_sim.h"
#include "tests/ax_sim/sim_model_writer.h"
#include "tests/runner/random_model.h"

// The simulated NPU in a test's own process: tests/ax_sim/README.md.

// The simulator's libraries; opened by the first call.
std::shared_ptr<const runner::AxLibrary> sim_library();

// An environment variable that the simulator reads when a device is made, for the life of this.
class SimEnvironment {
 public:
  SimEnvironment(const char* name, const std::string& value);
  ~SimEnvironment();
  SimEnvironment(const SimEnvironment&) = delete;
  SimEnvironment& operator=(const SimEnvironment&) = delete;

 private:
  const char* name_;
};

std::shared_ptr<runner::NpuDevice> make_sim_device();

AxSimCounters sim_counters();
std::string last_sim_violation();

// A random model, compiled for the simulator.
class SimModel {
 public:
  // Of `options` those about groups count.
  SimModel(const RandomModel& model, SimModelOptions options);

  const std::filesystem::path& huggingface() const { return source_; }
  runner::NpuModelFiles files() const;
  std::shared_ptr<const runner::NpuModel> load(std::shared_ptr<runner::NpuDevice> device,
                                               const runner::NpuModelOptions& options) const;
  std::shared_ptr<const runner::NpuModel> load() const;

 private:
  TemporaryDirectory directory_;
  std::filesystem::path source_;
};

// Seeded rows [count, hidden] of about unit size.
std::vector<runner::Bf16> some_rows(int count, int hidden, unsigned seed);

// Checks, when it ends, that the simulator saw nothing wrong meanwhile.
class NoViolations {
 public:
  NoViolations() : before_(sim_counters().violations) {}
  ~NoViolations();
  NoViolations(const NoViolations&) = delete;
  NoViolations& operator=(const NoViolations&) = delete;

 private:
  std::uint64_t before_;
};
