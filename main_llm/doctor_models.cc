#include <simdjson.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <system_error>

#include "main_llm/doctor.h"
#include "main_llm/doctor_facts.h"
#include "main_llm/host_info.h"
#include "runner/cmm_info.h"
#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/model_directory.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

bool starts_as_lfs_pointer(const fs::path& file) {
  std::array<char, 64> start{};
  std::ifstream(file, std::ios::binary).read(start.data(), start.size());
  return runner::is_git_lfs_pointer({start.data(), start.size()});
}

// The files below a folder that git left as pointers, relative to it.
std::vector<std::string> lfs_pointers(const fs::path& folder) {
  constexpr std::uintmax_t kMostPointerBytes = 1024;  // of the specification
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code no_file;
    const bool is_small =
        entry->is_regular_file(no_file) && entry->file_size(no_file) <= kMostPointerBytes;
    if (is_small && starts_as_lfs_pointer(entry->path())) {
      names.push_back(entry->path().lexically_relative(folder).string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string reinstall_model(const DoctorView& view, const std::string& name,
                            const fs::path& folder) {
  const std::string package = "llm-model-" + name;
  if (find_package(view, package)) return "apt-get install --reinstall " + package;
  return "copy " + view.shown(folder) + " again, with all its files";
}

// "llm", "asr", …; "llm" where a description does not say, or is too broken to.
std::string type_of(const fs::path& mode_json) {
  try {
    return runner::mode_type(runner::read_text_file(mode_json));
  } catch (const runner::Error&) {  // inspecting it says why
  }
  return "llm";
}

void check_fit(std::uint64_t bytes, std::uint64_t free_kib, std::uint64_t total_kib,
               const std::string& memory, Finding& finding) {
  const std::string needs = "; needs " + mib_text(bytes) + " of ";
  finding.found += needs + mib_text(free_kib * 1024) + " free " + memory;
  if (bytes > total_kib * 1024) {
    finding.state = CheckState::kFail;
    finding.found += " (" + mib_text(total_kib * 1024) + " in all): it never fits";
    finding.fix = "choose a smaller model";
  } else if (bytes > free_kib * 1024) {
    finding.state = CheckState::kWarn;
    finding.found += ": it does not fit now";
    finding.fix = "end tasks or stop units that hold memory (systemctl stop llm-vlm, …)";
  }
}

// `facts`: what inspecting says.
void check_memory_of(const DoctorView& view, const simdjson::dom::object& facts, Finding& finding) {
  std::string_view engine;
  std::uint64_t bytes = 0;
  if (facts["engine"].get(engine) != simdjson::SUCCESS) return;
  finding.found = "engine " + std::string(engine);
  if (facts["weights_bytes"].get(bytes) != simdjson::SUCCESS) return;
  if (engine == "cpu") {
    const HostMemory memory = host_memory(view.root);
    if (memory.total_kib > 0) {
      check_fit(bytes, memory.available_kib, memory.total_kib, "memory", finding);
    }
    return;
  }
  bool on_demand = false;
  const bool is_read = facts["layers_on_demand"].get(on_demand) == simdjson::SUCCESS;
  const auto cmm = runner::read_cmm_info(view.root);
  if (is_read && on_demand) {
    finding.found += "; layers are loaded one by one";
  } else if (cmm) {
    check_fit(bytes, cmm->remain_kib, cmm->total_kib, "NPU memory (CMM)", finding);
  } else {
    finding.state = CheckState::kSkip;
    finding.found += "; its files are in order, no NPU here to run it";
  }
}

Finding check_model(const DoctorView& view, ModelLoader& loader,
                    const runner::ModelLocation& location) {
  Finding finding{"model." + location.name, CheckState::kOk, "", ""};
  const std::string folder = view.shown(location.directory);
  if (const auto pointers = lfs_pointers(location.directory); !pointers.empty()) {
    finding.state = CheckState::kFail;
    finding.found = "Git LFS pointers instead of files in " + folder + ": " + joined(pointers);
    finding.fix = "git lfs install && git lfs pull where the folder was cloned, then copy it again";
    return finding;
  }
  try {
    simdjson::dom::parser parser;
    const simdjson::padded_string json(loader.inspect(location.name, false));
    simdjson::dom::object facts;
    if (parser.parse(json).get(facts) == simdjson::SUCCESS) check_memory_of(view, facts, finding);
  } catch (const runner::Error& error) {
    // What this program was built without is no fault of the machine.
    const bool is_not_built = error.code() == runner::ErrorCode::kNotBuilt;
    finding.state = is_not_built ? CheckState::kWarn : CheckState::kFail;
    finding.found = error.what();
    finding.fix = is_not_built ? "use another model, or one with a tokenizer/tokenizer.json"
                               : reinstall_model(view, location.name, location.directory);
  }
  return finding;
}

bool has_graphs(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".axmodel") return true;
  }
  return false;
}

// What the folders of models hold, by name.
struct ModelSurvey {
  std::vector<runner::ModelLocation> models;
  Findings faults;               // of folders that are no models and look like one
  std::set<std::string> others;  // of other units
};

void survey_folder(const DoctorView& view, const fs::path& folder, ModelSurvey& survey) {
  const std::string name = folder.filename().string();
  try {
    runner::ModelLocation location = runner::find_model(name, view.models);
    if (location.mode_json && type_of(*location.mode_json) != "llm") {
      survey.others.insert(name);
    } else {
      survey.models.push_back(std::move(location));
    }
  } catch (const runner::Error& error) {
    Finding finding{"model." + name, CheckState::kFail, error.what(),
                    reinstall_model(view, name, folder)};
    if (error.code() == runner::ErrorCode::kNotFound) {
      if (!has_graphs(folder)) return;
      finding.found =
          view.shown(folder) + " has axmodels, and no mode_" + name + ".json that describes them";
    }
    survey.faults.push_back(std::move(finding));
  }
}

// Descriptions whose folder has gone.
void survey_descriptions(const DoctorView& view, const fs::path& root,
                         const std::set<std::string>& folders, ModelSurvey& survey) {
  constexpr std::string_view kPrefix = "mode_";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "models", error)) {
    const std::string stem = entry.path().stem().string();
    if (!stem.starts_with(kPrefix) || entry.path().extension() != ".json") continue;
    const std::string name = stem.substr(kPrefix.size());
    if (folders.count(name) > 0 || type_of(entry.path()) != "llm") continue;
    survey.faults.push_back({"model." + name, CheckState::kWarn,
                             view.shown(entry.path()) + " describes it, and there is no folder " +
                                 view.shown(root / name),
                             reinstall_model(view, name, root / name) + ", or remove the file"});
  }
}

ModelSurvey survey_models(const DoctorView& view) {
  ModelSurvey survey;
  std::set<std::string> seen;
  for (const fs::path& root : view.models) {
    std::set<fs::path> folders;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root, error)) {
      std::error_code no_folder;
      if (entry.is_directory(no_folder)) folders.insert(entry.path());
    }
    for (const fs::path& folder : folders) {
      if (seen.insert(folder.filename().string()).second) survey_folder(view, folder, survey);
    }
  }
  for (const fs::path& root : view.models) survey_descriptions(view, root, seen, survey);
  return survey;
}

}  // namespace

Findings check_models(const DoctorView& view, ModelLoader& loader) {
  ModelSurvey survey = survey_models(view);
  Findings findings = std::move(survey.faults);
  for (const runner::ModelLocation& location : survey.models) {
    findings.push_back(check_model(view, loader, location));
  }
  std::sort(findings.begin(), findings.end(),
            [](const Finding& a, const Finding& b) { return a.id < b.id; });
  std::vector<std::string> places;
  for (const fs::path& root : view.models) places.push_back(view.shown(root));
  if (survey.models.empty()) {
    findings.push_back({"models", CheckState::kWarn, "no language model in " + joined(places),
                        "install one (apt-cache search llm-model), or name its folder's folder "
                        "with --models"});
  }
  if (!survey.others.empty()) {
    findings.push_back({"models.others", CheckState::kSkip,
                        "of other units: " + joined({survey.others.begin(), survey.others.end()}),
                        ""});
  }
  return findings;
}

}  // namespace main_llm
