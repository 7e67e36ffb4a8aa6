#include "runner/model_directory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "runner/error.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

class ModelDirectoryTest : public ::testing::Test {
 protected:
  ModelDirectoryTest() {
    std::string pattern = (fs::temp_directory_path() / "model_directory_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~ModelDirectoryTest() override { fs::remove_all(root_); }

  void write(const fs::path& path, std::string_view text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  ModelRoots roots() const { return {root_ / "a", root_ / "b"}; }

  fs::path root_;
  static constexpr std::string_view kMode = R"({"mode_param":{"top_k":5}})";
};

TEST_F(ModelDirectoryTest, FindsAHuggingFaceFolder) {
  write("b/m/config.json", "{}");
  const ModelLocation found = find_model("m", roots());
  EXPECT_EQ(found.directory, root_ / "b" / "m");
  EXPECT_FALSE(found.mode_json);
}

TEST_F(ModelDirectoryTest, EarlierRootsWin) {
  write("a/m/config.json", "{}");
  write("b/m/config.json", "{}");
  EXPECT_EQ(find_model("m", roots()).directory, root_ / "a" / "m");
}

TEST_F(ModelDirectoryTest, LooksForTheDescriptionInOrder) {
  fs::create_directories(root_ / "a" / "m");
  for (const char* place :
       {"a/mode_m.json", "share/mode_m.json", "share/m.json", "etc/mode_m.json", "etc/m.json",
        "a/models/mode_m.json", "a/models/m.json", "a/m/mode_m.json", "a/m/m.json"}) {
    write(place, kMode);
    const ModelLocation found = find_model("m", roots());
    EXPECT_EQ(found.directory, root_ / "a" / "m");
    ASSERT_TRUE(found.mode_json) << place;
    EXPECT_TRUE(fs::equivalent(*found.mode_json, root_ / place)) << place;
  }
}

TEST_F(ModelDirectoryTest, AFileThatIsNoModeJsonIsNotTakenForOne) {
  write("a/config/config.json", R"({"model_type":"qwen2"})");
  EXPECT_FALSE(find_model("config", roots()).mode_json);
}

TEST_F(ModelDirectoryTest, NamesThatCouldLeaveTheRootsAreRefused) {
  write("a/m/config.json", "{}");
  for (const std::string& name : {std::string("../a/m"), std::string("a/m"), std::string(".."),
                                  std::string("."), std::string(), std::string("m\0", 2)}) {
    try {
      find_model(name, roots());
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadOption);
    }
  }
}

TEST_F(ModelDirectoryTest, AMissingModelNamesThePlaces) {
  try {
    find_model("m", roots());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    const std::string message = error.what();
    EXPECT_NE(message.find((root_ / "a" / "m").string() + "/"), std::string::npos) << message;
    EXPECT_NE(message.find((root_ / "b" / "m").string() + "/"), std::string::npos) << message;
  }
}

TEST_F(ModelDirectoryTest, ListsEachNameOnce) {
  write("a/x/config.json", "{}");
  write("b/x/config.json", "{}");
  write("b/y/mode_y.json", kMode);
  write("b/z/readme.txt", "no model");
  const auto models = list_models(roots());
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0].directory, root_ / "a" / "x");
  EXPECT_EQ(models[1].name, "y");
}

TEST_F(ModelDirectoryTest, AModelByPathHasItsFoldersName) {
  write("a/m/config.json", "{}");
  write("a/mode_m.json", kMode);
  const ModelLocation found = model_at(root_ / "a" / "m" / "");
  EXPECT_EQ(found.name, "m");
  EXPECT_TRUE(found.mode_json);
  EXPECT_THROW(model_at(root_ / "a" / "nothing"), Error);
}

TEST_F(ModelDirectoryTest, OneThatCannotBeReadIsFoundAllTheSame) {
  write("a/m/mode_m.json", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
  ASSERT_EQ(list_models(roots()).size(), 1U);
  EXPECT_THROW(read_mode_file(*list_models(roots())[0].mode_json), Error);
}

TEST_F(ModelDirectoryTest, TypesTellWhoseModelsTheyAre) {
  EXPECT_EQ(mode_type(R"({"type":"asr","mode_param":{}})"), "asr");
  for (const char* json :
       {"{}", R"({"type":""})", R"({"type":1})", "[]", "{", R"({"type":"llm"})"}) {
    EXPECT_EQ(mode_type(json), "llm") << json;
  }
}

TEST_F(ModelDirectoryTest, ReadsModeFilesAndNamesWhatIsWrongWithThem) {
  write("good.json", R"({"mode_param":{"top_k":5,"template_filename_axmodel":"l%d.axmodel"}})");
  const ModeFile good = read_mode_file(root_ / "good.json");
  EXPECT_EQ(good.params.top_k, 5);
  EXPECT_TRUE(good.names_axmodels);
  const struct {
    const char* text;
    const char* complaint;
  } cases[] = {{"{\"mode_param\":", "not a JSON object"},
               {"[]", "not a JSON object"},
               {"{}", "\"mode_param\" is missing"},
               {R"({"mode_param":{"top_k":"many"}})", "\"top_k\" is \"many\""},
               {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "LFS"}};
  for (const auto& [text, complaint] : cases) {
    write("bad.json", text);
    try {
      read_mode_file(root_ / "bad.json");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadModel) << text;
      EXPECT_NE(std::string(error.what()).find(complaint), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("bad.json"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace runner
