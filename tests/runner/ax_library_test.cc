#include "runner/npu/ax_library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "runner/error.h"
#include "tests/runner/sim_npu.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

std::string opening_error(const fs::path& directory, const fs::path& root) {
  try {
    AxLibrary::open(directory, root);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotBuilt);
    return error.what();
  }
  return "no Error";
}

// In a process of its own: libraries stay open, and what of a copy is open would serve the tests
// that come after.
void in_a_child(const std::function<void()>& test) {
  EXPECT_EXIT(
      {
        test();
        std::exit(::testing::Test::HasFailure() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "");
}

void expect_in(const std::string& words, const std::string& text) {
  EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST(AxLibrary, OpensAllThreeLibraries) {
  const auto library = sim_library();
  EXPECT_EQ(library->folder, AX_SIM_DIR);
  EXPECT_NE(library->AX_ENGINE_RunGroupIOSync, nullptr);
  EXPECT_NE(library->AX_SYS_MflushCache, nullptr);
}

TEST(AxLibrary, WhatIsMissingIsNamed) {
  const TemporaryDirectory directory;
  const std::string empty = opening_error(directory.path(), "/");
  expect_in("libax_sys.so", empty);
  expect_in("--ax-lib-dir", empty);

  in_a_child([&] {
    fs::copy_file(AX_SIM_DIR "/libax_sys.so", directory / "libax_sys.so");
    expect_in("libax_interpreter.so", opening_error(directory.path(), "/"));
    fs::copy_file(AX_SIM_DIR "/libax_interpreter.so", directory / "libax_interpreter.so");
    expect_in("libax_engine.so not found in " + directory.path().string(),
              opening_error(directory.path(), "/"));
    write_file(directory / "libax_engine.so", "no library");
    expect_in("cannot be used: ", opening_error(directory.path(), "/"));
  });
}

TEST(AxLibrary, AFunctionThatIsMissingIsNamedWithItsLibrary) {
  sim_library();  // what the interpreter needs is there
  const TemporaryDirectory directory;
  fs::copy_file(AX_SIM_DIR "/libax_sys.so", directory / "libax_sys.so");
  for (const char* name : {"libax_interpreter.so", "libax_engine.so"}) {
    fs::copy_file(AX_SIM_DIR "/libax_interpreter.so", directory / name);
  }
  expect_in("libax_engine.so has no function AX_ENGINE_", opening_error(directory.path(), "/"));
}

TEST(AxLibrary, VendorsFoldersAreLookedInBelowTheRoot) {
  if (dlopen("libax_sys.so", RTLD_NOW | RTLD_NOLOAD) != nullptr) {
    GTEST_SKIP() << "a test before this one has opened the libraries; ctest runs each by itself";
  }
  const TemporaryDirectory root;
  const std::string nowhere = opening_error({}, root.path());
  expect_in((root / "soc/lib").string(), nowhere);
  expect_in((root / "usr/local/m5stack/lib/ax-lib").string(), nowhere);
  expect_in("add it to the loader's path", nowhere);

  in_a_child([&] {
    // A folder with a part of them is passed by, and named if no other has all.
    fs::create_directories(root / "soc/lib");
    fs::copy_file(AX_SIM_DIR "/libax_sys.so", root / "soc/lib/libax_sys.so");
    expect_in("soc/lib (without libax_interpreter.so, libax_engine.so)",
              opening_error({}, root.path()));
    fs::create_directories(root / "opt/lib");
    for (const char* name : {"libax_sys.so", "libax_interpreter.so", "libax_engine.so"}) {
      fs::copy_file(fs::path(AX_SIM_DIR) / name, root / "opt/lib" / name);
    }
    EXPECT_EQ(AxLibrary::open({}, root.path())->folder, (root / "opt/lib").string());
  });
}

TEST(AxLibrary, LooksUpNothingButWhatTheVendorExports) {
  std::ifstream file(TEST_DATA_DIR "/ax_symbols.txt");
  std::set<std::string> exported;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') exported.insert(line);
  }
  ASSERT_GT(exported.size(), 40U);
#define EXPECT_EXPORTED(library, is_needed, result, name, parameters) \
  EXPECT_EQ(exported.count("libax_" #library ".so " #name), 1U) << #name;
  RUNNER_AX_FUNCTIONS(EXPECT_EXPORTED)
#undef EXPECT_EXPORTED
}

TEST(AxCodes, AreHexWithTheirMeaning) {
  EXPECT_EQ(ax_code_text(static_cast<std::int32_t>(0x80060081U)),
            "0x80060081 (no handle or context)");
  EXPECT_EQ(ax_code_text(-1), "0xFFFFFFFF (failed)");
  EXPECT_EQ(ax_code_text(0x1234), "0x00001234");
}

}  // namespace
}  // namespace runner
