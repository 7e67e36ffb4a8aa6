#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>

#include "main_llm/doctor.h"
#include "main_llm/doctor_facts.h"
#include "runner/cmm_info.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoNpu = "no AXERA NPU here";

// The folders of a library in ldconfig's result, which holds whole paths, ended by NUL.
std::vector<fs::path> loader_folders(const DoctorView& view, const std::string& name) {
  const std::string cache = view.text("/etc/ld.so.cache");
  const std::string end = "/" + name + '\0';
  std::vector<fs::path> folders;
  for (std::size_t at = cache.find(end); at != std::string::npos; at = cache.find(end, at + 1)) {
    const std::size_t begin = cache.rfind('\0', at) + 1;  // 0 where there is none
    folders.push_back(view.at(cache.substr(begin, at - begin)));
  }
  return folders;
}

bool is_in_loaders_path(const DoctorView& view, const std::string& name,
                        const std::string& folder) {
  const std::vector<fs::path> folders = loader_folders(view, name);
  return std::any_of(folders.begin(), folders.end(),
                     [&](const fs::path& cached) { return view.shown(cached) == folder; });
}

// Where else the libraries have been seen, or might have been copied to.
std::vector<fs::path> more_library_folders(const DoctorView& view) {
  std::vector<fs::path> folders;
  for (const char* name : {"/opt/m5stack/lib", "/usr/local/lib", "/usr/lib/aarch64-linux-gnu"}) {
    folders.push_back(view.at(name));
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(view.at("/usr/local/m5stack/lib"), error)) {
    std::error_code not_a_folder;
    if (entry.is_directory(not_a_folder)) folders.push_back(entry.path());
  }
  return folders;
}

// The folders that hold each library, as the machine's user names them.
using LibraryPlaces = std::map<std::string, std::vector<std::string>>;

LibraryPlaces find_libraries(const DoctorView& view, const NpuLibraries& libraries) {
  LibraryPlaces places;
  for (const std::string& name : libraries.names) {
    std::vector<fs::path> folders = libraries.folders;
    if (!libraries.folder_is_given) {
      for (const fs::path& folder : loader_folders(view, name)) folders.push_back(folder);
      for (const fs::path& folder : more_library_folders(view)) folders.push_back(folder);
    }
    std::vector<std::string>& found = places[name];
    for (const fs::path& folder : folders) {
      std::error_code error;
      const std::string shown = view.shown(folder);
      if (fs::exists(folder / name, error) &&
          std::find(found.begin(), found.end(), shown) == found.end()) {
        found.push_back(shown);
      }
    }
  }
  return places;
}

// One that holds all, "" when none does.
std::string folder_with_all(const LibraryPlaces& places) {
  if (places.empty()) return "";
  for (const std::string& folder : places.begin()->second) {
    const bool has_all = std::all_of(places.begin(), places.end(), [&](const auto& library) {
      return std::count(library.second.begin(), library.second.end(), folder) > 0;
    });
    if (has_all) return folder;
  }
  return "";
}

std::string loader_line(const std::vector<std::string>& folders) {
  std::string words;
  for (const std::string& folder : folders) words += " " + folder;
  const std::string print = folders.size() == 1 ? "echo" : "printf '%s\\n'";
  return print + words + " > /etc/ld.so.conf.d/llm_llm.conf && ldconfig";
}

// A folder each, where no folder holds all.
std::vector<std::string> folders_of_split(const LibraryPlaces& places) {
  std::vector<std::string> folders;
  for (const auto& [name, found] : places) {
    if (std::count(folders.begin(), folders.end(), found.front()) == 0) {
      folders.push_back(found.front());
    }
  }
  return folders;
}

// They work here; do they for others?
Finding opened_libraries(const DoctorView& view, const NpuLibraries& libraries) {
  Finding finding{"npu.libraries", CheckState::kOk, "opened", ""};
  if (libraries.folder.empty()) {
    finding.found += " by the loader's path";
    return finding;
  }
  const std::string folder = view.shown(libraries.folder);
  finding.found += " from " + folder;
  const bool is_cached = is_in_loaders_path(view, libraries.names.front(), folder);
  if (libraries.folder_is_given || is_cached) return finding;
  finding.state = CheckState::kWarn;
  finding.found +=
      ", where this program looks by itself; other programs do not: it is not in the "
      "loader's path";
  finding.fix = loader_line({folder});
  return finding;
}

// All three are there and yet of no use.
Finding unopened_libraries(const DoctorView& view, const NpuLibraries& libraries,
                           const LibraryPlaces& places) {
  Finding finding{"npu.libraries", CheckState::kFail, "", ""};
  const std::string folder = folder_with_all(places);
  const bool is_looked_in =
      std::any_of(libraries.folders.begin(), libraries.folders.end(),
                  [&](const fs::path& looked_in) { return view.shown(looked_in) == folder; }) ||
      is_in_loaders_path(view, libraries.names.front(), folder);
  if (folder.empty()) {
    finding.found = "no folder holds all three, and the loader's path does not cover them";
    finding.fix = loader_line(folders_of_split(places));
  } else if (is_looked_in) {
    finding.found = libraries.problem;
    finding.fix = "copy all three into " + folder + " from a module with the same image";
  } else {
    finding.found = "they are in " + folder + ", which is not in the loader's path";
    finding.fix = loader_line({folder}) + "; or start the program with --ax-lib-dir " + folder;
  }
  return finding;
}

// `beside`: a folder that holds one of the others, or where they usually are.
Finding missing_library(const DoctorView& view, const NpuLibraries& libraries,
                        const std::string& name, const std::string& beside) {
  Finding finding{"npu." + name, CheckState::kFail, "", ""};
  if (libraries.folder_is_given) {
    finding.found = "not in " + view.shown(libraries.folders.front()) + " (--ax-lib-dir)";
    finding.fix = "name the folder with all three, or leave out --ax-lib-dir";
    return finding;
  }
  std::vector<std::string> looked_in;
  for (const fs::path& folder : libraries.folders) looked_in.push_back(view.shown(folder));
  finding.found = "not found by the loader, nor in " + joined(looked_in);
  finding.fix = "copy it to " + beside + " from a module with the same image";
  return finding;
}

void check_libraries(const DoctorView& view, const NpuLibraries& libraries, Findings& findings) {
  const LibraryPlaces places = find_libraries(view, libraries);
  std::string beside = "/opt/lib";
  for (const auto& [name, found] : places) {
    if (!found.empty()) beside = found.front();
  }
  bool is_complete = true;
  for (const std::string& name : libraries.names) {
    const std::vector<std::string>& found = places.at(name);
    if (found.empty() && !libraries.are_open) {
      is_complete = false;
      findings.push_back(missing_library(view, libraries, name, beside));
    } else {
      findings.push_back({"npu." + name, CheckState::kOk,
                          found.empty() ? "in the loader's path" : "in " + joined(found), ""});
    }
  }
  if (libraries.are_open) {
    findings.push_back(opened_libraries(view, libraries));
  } else if (is_complete) {
    findings.push_back(unopened_libraries(view, libraries, places));
  }
}

Finding check_devices(const DoctorView& view) {
  std::vector<std::string> missing;
  std::vector<std::string> closed;
  for (const char* node : kNpuNodes) {
    if (!view.has(node)) {
      missing.push_back(node);
    } else if (access(view.at(node).c_str(), R_OK | W_OK) != 0) {
      closed.push_back(node);
    }
  }
  if (!missing.empty()) {
    constexpr const char* kLoadDrivers = "/soc/scripts/auto_load_all_drv.sh";
    return {"npu.devices", CheckState::kFail,
            joined(missing) + " missing: the NPU's drivers are not loaded",
            (view.has(kLoadDrivers) ? "sh " + std::string(kLoadDrivers) : "reboot") +
                "; if they stay away: ls /soc/ko; dmesg | grep -i ax_"};
  }
  if (!closed.empty()) {
    return {"npu.devices", CheckState::kFail, joined(closed) + ": no permission",
            "run as root, as the service does"};
  }
  return {"npu.devices", CheckState::kOk, "all there", ""};
}

Finding check_cmm(const DoctorView& view) {
  const auto cmm = runner::read_cmm_info(view.root);
  if (!cmm) {
    return {"npu.memory", CheckState::kFail,
            "/proc/ax_proc/mem_cmm_info does not tell: the driver of the NPU's memory (CMM) is not "
            "loaded",
            "reboot; if it stays away: dmesg | grep -i cmm"};
  }
  return {"npu.memory", CheckState::kOk,
          mib_text(cmm->remain_kib * 1024) + " of " + mib_text(cmm->total_kib * 1024) + " CMM free",
          ""};
}

}  // namespace

Findings check_npu(const DoctorView& view, ModelLoader& loader) {
  if (!view.has_npu()) {
    const bool has_card = view.has("/dev/axcl_host");
    return {{"npu", CheckState::kSkip,
             has_card ? "a PCIe card (axcl), which this program cannot use yet" : kNoNpu, ""}};
  }
  Findings findings;
  check_libraries(view, loader.open_npu_libraries(), findings);
  findings.push_back(check_devices(view));
  findings.push_back(check_cmm(view));
  return findings;
}

}  // namespace main_llm
