#include "runner/npu/npu_description.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runner/error.h"
#include "tests/runner/random_model.h"

namespace runner {
namespace {

const std::string kParams =
    R"("tokenizer_type":2,"url_tokenizer_model":"http://localhost:8080",)"
    R"("filename_tokens_embed":"embed.bin","filename_post_axmodel":"post.axmodel",)"
    R"("template_filename_axmodel":"l%d_together.axmodel","axmodel_num":3,)"
    R"("tokens_embed_num":5,"tokens_embed_size":4)";

NpuDescription read_params(const std::string& params) {
  return read_npu_description("/models/m", "{\"mode_param\":{" + params + "}}", "mode_m.json");
}

std::string params_error(const std::string& params) {
  try {
    read_params(params);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadModel);
    return error.what();
  }
  return "no Error";
}

TEST(NpuDescription, NamesTheFilesOfAModel) {
  const NpuDescription description = read_params(kParams);
  EXPECT_EQ(description.graphs.layers.size(), 3U);
  EXPECT_EQ(description.graphs.layers[2], "/models/m/l2_together.axmodel");
  EXPECT_EQ(description.graphs.post, "/models/m/post.axmodel");
  EXPECT_EQ(description.embeddings, "/models/m/embed.bin");
  EXPECT_EQ(description.graphs.vocab, 5);
  EXPECT_EQ(description.graphs.hidden, 4);
  EXPECT_FALSE(description.graphs.load_layers_on_demand);
  EXPECT_EQ(description.tokenizer, "http://localhost:8080");
  EXPECT_TRUE(read_params(kParams + R"(,"b_dynamic_load_axmodel_layer":true)")
                  .graphs.load_layers_on_demand);
}

TEST(NpuDescription, LayersAreCountedFrom0) {
  EXPECT_EQ(layer_names("a/p%d_l.axmodel", 2),
            (std::vector<std::string>{"a/p0_l.axmodel", "a/p1_l.axmodel"}));
  EXPECT_TRUE(layer_names("a/l.axmodel", 2).empty());
}

TEST(NpuDescription, WhatIsWrongIsNamed) {
  const auto with = [](const std::string& key, const std::string& value) {
    std::string params;
    for (const char* other : {"tokenizer_type", "filename_tokenizer_model", "filename_tokens_embed",
                              "filename_post_axmodel", "template_filename_axmodel", "axmodel_num",
                              "tokens_embed_num", "tokens_embed_size"}) {
      const bool is_text = std::string(other).find("filename") != std::string::npos;
      const std::string usual = is_text ? "\"l%d\"" : "1";
      params += (params.empty() ? "\"" : ",\"") + std::string(other) +
                "\":" + (key == other ? value : usual);
    }
    return params;
  };
  EXPECT_EQ(params_error(with("", "")), "no Error");
  EXPECT_EQ(params_error(""), R"(mode_m.json: "template_filename_axmodel" is missing)");
  EXPECT_EQ(params_error(with("axmodel_num", "\"24\"")),
            R"(mode_m.json: "axmodel_num" is "24", expected a number from 1 to 1000)");
  EXPECT_EQ(params_error(with("axmodel_num", "0")),
            R"(mode_m.json: "axmodel_num" is 0, expected a number from 1 to 1000)");
  EXPECT_EQ(params_error(with("template_filename_axmodel", "\"l.axmodel\"")),
            R"(mode_m.json: "template_filename_axmodel" is "l.axmodel", expected a %d for the )"
            "number of the layer");
  for (const char* path : {"\"../x\"", "\"a/../../x\"", "\"/etc/passwd\"", "\"\""}) {
    for (const char* key : {"filename_tokens_embed", "filename_tokenizer_model"}) {
      EXPECT_NE(params_error(with(key, path)).find(key), std::string::npos) << path;
    }
  }
}

TEST(MapEmbeddings, ChecksTheSize) {
  const TemporaryDirectory directory;
  write_file(directory / "e.bin", std::string(40, 'x'));
  EXPECT_EQ(map_embeddings(directory / "e.bin", 5, 4)->vocab(), 5);
  const auto refused = [&](const std::string& content, const char* word) {
    write_file(directory / "bad.bin", content);
    try {
      map_embeddings(directory / "bad.bin", 5, 4);
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refused(std::string(38, 'x'), "has 38 bytes, expected 40");
  refused("", "has 0 bytes");
  refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer");
}

}  // namespace
}  // namespace runner
